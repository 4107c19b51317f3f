"""The units ``performance`` and ``memory``: what each lever changes and why, and what training needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from practicum_core.gates import Comparison
from practicum_core.units.shared_steps import MODEL, NO_LEAKAGE, REPORT, SNAPSHOT
from practicum_core.units.unit import Step, Unit, build_gate

_SHORT_TRAINING: Mapping[str, Any] = {
    "baseline": "batch_size=2",
    "levers": [
        "packing=true",
        "batch_size=1 gradient_accumulation_steps=2",
        "gradient_checkpointing=true",
        "dtype=bfloat16",
        "optimizer=adamw_8bit",
        "method=qlora",
    ],
    "ladder": [
        "method=full",
        "optimizer=adamw_8bit",
        "gradient_checkpointing=true",
        "batch_size=1 gradient_accumulation_steps=2",
        "method=lora optimizer=adamw",
        "method=qlora",
    ],
    "rounds": 3,
    "steps": 1,
}
_SHORT_MEMORY = {name: _SHORT_TRAINING[name] for name in ("baseline", "ladder", "steps")}
_SHORT_SERVING: Mapping[str, Any] = {
    "baseline": "max_model_len=512 max_num_seqs=8 kv_cache_gib=0.25",
    # Each lever starts a server, which takes most of its time: on two cores, those whose effect a short burst shows.
    "levers": ["enable_prefix_caching=false", "max_num_seqs=2", "kv_cache_gib=0.02"],
    "rounds": 3,
    "num_requests": 8,
    "max_tokens": 16,
    "num_answers": 3,
}

PERFORMANCE = Unit(
    "performance",
    "Performance deep dive",
    "性能深挖",
    "Find where time and memory go, change one lever at a time, and tell what helps from what is noise.",
    "找出时间与内存的去向，一次只改变一个手段，并区分真实效果与噪声。",
    ("V12.2",),
    (
        MODEL,
        SNAPSHOT,
        Step("trainprofile", "trainprofile", quick=_SHORT_TRAINING),
        Step("serveprofile", "serveprofile", quick=_SHORT_SERVING),
        REPORT,
    ),
    (
        NO_LEAKAGE,
        build_gate(
            "training_levers_measured",
            "trainprofile",
            "num_unmeasured",
            Comparison.EQUAL,
            0,
            "Every lever of training was measured",
            "每个训练手段都已测量",
        ),
        build_gate(
            "training_control_agrees",
            "trainprofile",
            "control_deviation",
            Comparison.AT_MOST,
            0.15,
            "The baseline measured twice differs by at most 15%",
            "基线重复测量之差不超过 15%",
        ),
        build_gate(
            "loss_kept",
            "trainprofile",
            "num_unexpected_changes",
            Comparison.EQUAL,
            0,
            "Packing, accumulation and checkpointing do not change the loss",
            "打包、梯度累积与重计算不改变损失",
        ),
        build_gate(
            "step_explained",
            "trainprofile",
            "phase_coverage",
            Comparison.AT_LEAST,
            0.9,
            "Data, forward, backward and optimizer explain nine tenths of a step",
            "取数据、前向、反向与优化器能解释九成的步时",
        ),
        build_gate(
            "memory_estimated",
            "trainprofile",
            "estimate_ratio_largest",
            Comparison.AT_MOST,
            1.25,
            "The rung that needs most memory needs at most a quarter above its estimate",
            "占用最大的一级，实测内存不超过估算的 1.25 倍",
        ),
        build_gate(
            "serving_levers_measured",
            "serveprofile",
            "num_unmeasured",
            Comparison.AT_MOST,
            1,  # keys and values in 8 bits need a processor with AVX-512
            "Every lever of serving was measured, but one that the processor may lack",
            "每个推理服务手段都已测量（处理器不支持的一个除外）",
        ),
        build_gate(
            "serving_control_agrees",
            "serveprofile",
            "control_deviation",
            Comparison.AT_MOST,
            0.15,
            "A second server with the baseline's options differs by at most 15%",
            "以相同选项启动的第二个服务，差异不超过 15%",
        ),
        build_gate(
            "no_request_failed",
            "serveprofile",
            "num_failed_requests",
            Comparison.EQUAL,
            0,
            "No request failed",
            "没有失败的请求",
        ),
    ),
    proves="performance",
)

MEMORY = Unit(
    "memory",
    "Memory of training",
    "训练所需内存",
    "Estimate what training needs, measure it, and climb a ladder of savings, each estimated and measured.",
    "估算训练所需内存并实测，再沿节省阶梯逐级估算与测量。",
    ("W9.2",),
    (
        MODEL,
        SNAPSHOT,
        Step("trainprofile", "trainprofile", config={"levers": [], "rounds": 2}, quick=_SHORT_MEMORY),
        REPORT,
    ),
    tuple(gate for gate in PERFORMANCE.gates if gate.name in ("step_explained", "memory_estimated")),
)
"""What to run where training ends out of memory or is slow: the ladder and the step's profile, without the levers."""
