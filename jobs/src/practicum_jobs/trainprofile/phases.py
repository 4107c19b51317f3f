"""Names what a training step spends its time on, from the times of its parts and operations. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from practicum_core.stages.trainprofile import Share
from practicum_core.texts import Bilingual

PHASES = ("data", "forward", "backward", "optimizer")
SLOW_DATA, SLOW_OPTIMIZER = 0.2, 0.25
"""Shares of a step from which on data, or the optimizer, is what to look at first."""
DOMINANT = 0.4
"""Share of the time of all operations from which on one kind of them dominates."""
_KINDS = {
    "matrix products": ("mm", "linear", "matmul", "bmm", "addmm", "gemm"),
    "attention": ("attention", "softmax", "flash"),
    "4-bit weights": ("4bit", "bitsandbytes", "dequant"),
    "copies": ("copy", "_to_copy", "clone", "cat", "contiguous", "index", "gather", "memcpy"),
    "optimizer": ("adam", "foreach", "lerp", "addcdiv", "addcmul", "optimizer"),
}
_OTHER = "others"
_ADVICE = {
    "matrix products": Bilingual(
        "matrix products: the step computes. Fewer tokens (packing), a faster type, or more processors help",
        "矩阵乘法：时间花在计算上。减少词元（打包）、更快的数据类型或更多算力有效",
    ),
    "attention": Bilingual(
        "attention: shorter rows, or an attention kernel made for the hardware, help",
        "注意力计算：缩短样本或采用针对硬件的注意力算子有效",
    ),
    "4-bit weights": Bilingual(
        "turning 4-bit weights into numbers: that is the price of their memory",
        "4 比特权重的反量化：这是节省内存的代价",
    ),
    "copies": Bilingual(
        "copies: look for changes of type or device in the loop", "数据拷贝：检查循环中的类型或设备转换"
    ),
}
_DATA = Bilingual(
    "waiting for data: {ratio} of a step. Prepare the rows before, or load them with more processes",
    "等待数据：占每步的 {ratio}。请预先处理样本，或用更多进程加载",
)
_OPTIMIZER = Bilingual(
    "the optimizer: {ratio} of a step. Train fewer weights (LoRA), or take larger batches",
    "优化器：占每步的 {ratio}。减少可训练权重（LoRA）或加大批量",
)
_COMPUTE = Bilingual("{phase}, {ratio} of a step, most of it {advice}", "{phase}，占每步的 {ratio}，其中多为{advice}")
_NO_KIND = Bilingual("spread over many operations", "分散在多种运算上")
PHASE_TITLES = {
    "data": Bilingual("data", "取数据"),
    "forward": Bilingual("forward pass", "前向计算"),
    "backward": Bilingual("backward pass", "反向计算"),
    "optimizer": Bilingual("optimizer", "优化器"),
}


def list_phases(phases_s: Mapping[str, float], num_steps: int, step_s: float) -> list[Share]:
    """Return the parts of a step, per step and as shares of it, in the order in which they come."""
    return [
        Share(name=name, seconds=phases_s.get(name, 0.0) / num_steps, ratio=phases_s.get(name, 0.0) / step_s)
        for name in PHASES
    ]


def group_operations(operations_s: Mapping[str, float], num_steps: int) -> list[Share]:
    """Sum torch's operators by kind, largest first; shares are of all operators.

    >>> found = group_operations({"aten::addmm": 3.0, "aten::mm": 1.0, "aten::copy_": 1.0}, 1)
    >>> [(one.name, one.ratio) for one in found]
    [('matrix products', 0.8), ('copies', 0.2)]
    """
    sums: dict[str, float] = {}
    for name, seconds in operations_s.items():
        kind = find_kind(name)
        sums[kind] = sums.get(kind, 0.0) + seconds
    total = sum(sums.values()) or 1.0
    ordered = sorted(sums.items(), key=lambda pair: -pair[1])
    return [Share(name=name, seconds=seconds / num_steps, ratio=seconds / total) for name, seconds in ordered]


def find_kind(operator: str) -> str:
    """Return the kind of one of torch's operators.

    >>> find_kind("aten::_scaled_dot_product_flash_attention_for_cpu"), find_kind("aten::mul")
    ('attention', 'others')
    """
    name = operator.lower().rpartition("::")[2]
    order = ("4-bit weights", "attention", "optimizer", "copies", "matrix products")
    whole = operator.lower()
    for kind in order:
        if any(word in (whole if kind == "4-bit weights" else name) for word in _KINDS[kind]):
            return kind
    return _OTHER


def name_bottleneck(phases: list[Share], operations: list[Share]) -> Bilingual | None:
    """Name what a step waits for first; ``None`` where nothing was timed."""
    ratios = {one.name: one.ratio for one in phases}
    if not sum(ratios.values()):
        return None
    if ratios["data"] >= SLOW_DATA:
        return _DATA.format(ratio=f"{ratios['data']:.0%}")
    if ratios["optimizer"] >= SLOW_OPTIMIZER:
        return _OPTIMIZER.format(ratio=f"{ratios['optimizer']:.0%}")
    largest = max(phases, key=lambda one: one.ratio)
    dominant = next((one.name for one in operations if one.ratio >= DOMINANT), "")
    advice = _ADVICE.get(dominant, _NO_KIND)
    return _COMPUTE.format(phase=PHASE_TITLES[largest.name], ratio=f"{largest.ratio:.0%}", advice=advice)
