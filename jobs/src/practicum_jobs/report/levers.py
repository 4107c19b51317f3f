"""The section of levers: what each changes with its interval, where a step's time goes, and the ladder of memory."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.stages.levers import BASELINE, CONTROL, LeverRecord, LeverRow, Ratio, Verdict
from practicum_core.stages.trainprofile import Rung, Share, TrainProfileRecord
from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable
from practicum_core.texts import Text
from practicum_jobs.render.blocks import Block, Cell, Charts, Column, Fact, Facts, Notice, Section, Table
from practicum_jobs.render.charts import Interval, Tone, interval_plot
from practicum_jobs.render.figures import format_bytes, format_digits, format_duration, format_share
from practicum_jobs.report.messages import READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_MISSING = "–"
_NAMES: dict[str, Text] = {
    BASELINE: B("baseline", "基线"),
    CONTROL: B("baseline once more", "基线重复一次"),
    "packing=true": B("packing: rows end to end", "打包：样本首尾相接"),
    "gradient_checkpointing=true": B("gradient checkpointing", "梯度检查点（重计算）"),
    "dtype=bfloat16": B("bfloat16 in place of float32", "以 bfloat16 代替 float32"),
    "optimizer=adamw_8bit": B("optimizer with 8-bit state", "8 比特优化器状态"),
    "method=qlora": B("frozen weights in 4 bits (QLoRA)", "冻结权重用 4 比特（QLoRA）"),
    "method=full": B("full tuning", "全量微调"),
    "enable_prefix_caching=false": B("no prefix cache", "关闭前缀缓存"),
    "enable_chunked_prefill=false": B("no chunked prefill", "关闭分块预填充"),
    "max_num_batched_tokens=64": B("small steps of the scheduler", "调度器每步词元数很少"),
    "max_num_seqs=4": B("few requests at the same time", "同时计算的请求很少"),
    "max_num_seqs=2": B("two requests at the same time", "同时只计算两个请求"),
    "kv_cache_gib=0.03": B("small KV cache", "很小的 KV 缓存"),
    "kv_cache_gib=0.02": B("small KV cache", "很小的 KV 缓存"),
    "kv_cache_dtype=fp8": B("keys and values in 8 bits", "键值用 8 比特"),
    "dtype=float32": B("float32 in place of bfloat16", "以 float32 代替 bfloat16"),
    "method=lora optimizer=adamw": B("LoRA in place of full tuning", "以 LoRA 代替全量微调"),
}
_VERDICTS: dict[Verdict, tuple[B, Tone]] = {
    "better": (B("faster", "更快"), "good"),
    "worse": (B("slower", "更慢"), "bad"),
    "undecided": (B("not distinguishable", "无法与噪声区分"), "warn"),
    "not_measured": (B("not measured", "未测量"), "bad"),
}
_EFFECTS = {
    "same": B("result kept", "结果不变"),
    "changed": B("result changed", "结果改变"),
    "not_compared": B("not compared", "未比较"),
}
_FIGURES: dict[str, B] = {
    "tokens_per_s": B("Tokens/s", "词元/秒"),
    "step_s": B("Step", "每步"),
    "ttft_s": B("First token", "首词元时延"),
    "tpot_s": B("Per token", "每词元时延"),
    "peak_gib": B("Peak memory", "内存峰值"),
    "memory_gib": B("Memory", "内存"),
}
_SUBJECTS = {
    "training": B("Levers of training against the baseline", "训练手段与基线的比较"),
    "serving": B("Levers of serving against the baseline", "推理服务手段与基线的比较"),
}
_PHASES = {
    "data": B("data", "取数据"),
    "forward": B("forward pass", "前向计算"),
    "backward": B("backward pass", "反向计算"),
    "optimizer": B("optimizer", "优化器"),
}
_OPERATIONS = {
    "matrix products": B("matrix products", "矩阵乘法"),
    "attention": B("attention", "注意力"),
    "4-bit weights": B("4-bit weights", "4 比特权重"),
    "copies": B("copies", "数据拷贝"),
    "optimizer": B("optimizer", "优化器"),
    "others": B("others, such as additions", "其他，如逐元素运算"),
}


def build_levers_section(pack: Pack) -> Section | None:
    """Build the section; ``None`` if no step measured levers."""
    blocks: list[Block] = []
    for record in pack.files.list_records(LeverRecord):
        blocks += _build_levers(record)
        if isinstance(record, TrainProfileRecord):
            blocks += _build_profile(record)
    return Section("levers", SECTIONS["levers"], blocks, READING["levers"]) if blocks else None


def _build_levers(record: LeverRecord) -> list[Block]:
    figures = [name for name in _FIGURES if any(name in row.figures for row in record.rows)]
    columns = [
        Column(B("Lever", "手段")),
        *(Column(_FIGURES[name], "number") for name in figures),
        Column(B("Verdict", "结论")),
        Column(B("Effect", "影响")),
    ]
    rows = [_build_row(row, figures) for row in record.rows]
    blocks: list[Block] = [Table(_SUBJECTS[record.subject], columns, rows), Facts(_list_facts(record))]
    chart = _build_chart(record)
    return blocks if chart is None else [*blocks, chart]


def _build_row(row: LeverRow, figures: Sequence[str]) -> list[Cell | Text]:
    name = name_lever(row.name)
    shown = Cell(name, note=row.name if isinstance(name, B) and row.name not in (BASELINE, CONTROL) else "")
    cells: list[Cell | Text] = [shown]
    for key in figures:
        if key not in row.figures:
            cells.append(_MISSING)
            continue
        ratio = row.ratios.get(key)
        cells.append(Cell(_format(key, row.figures[key]), "number", note="" if ratio is None else format_ratio(ratio)))
    if row.name == BASELINE:
        return [*cells, _MISSING, _MISSING]
    verdict, tone = _VERDICTS[row.verdict]
    note: Text = row.note
    if row.p_adjusted is not None:
        note = f"p {format_digits(row.p_adjusted, 2)}, n={row.num_rounds}"
    effect = Cell(_EFFECTS[row.effect], note="" if row.effect_size is None else f"{row.effect_size:.2%}")
    return [*cells, Cell(verdict, tone=tone if row.name != CONTROL else "plain", note=note), effect]


def name_lever(name: str) -> Text:
    """Return what a lever is called; its options where it has no name."""
    return _NAMES.get(name, name)


def format_ratio(ratio: Ratio) -> str:
    """Write a ratio with its interval.

    >>> format_ratio(Ratio(value=1.5, low=1.25, high=1.8))
    '×1.50 (1.25 … 1.80)'
    """
    return f"×{ratio.value:.2f} ({ratio.low:.2f} … {ratio.high:.2f})"


def _format(name: str, value: float) -> str:
    if name.endswith("_gib"):
        return format_bytes(value * 2**30)
    return format_duration(value) if name.endswith("_s") and name != "tokens_per_s" else format_digits(value)


def _list_facts(record: LeverRecord) -> list[Fact]:
    gpu: Text = ", ".join(record.gpus) or B("no GPU: computed on {n} cores", "无 GPU：在 {n} 个核心上计算").format(
        n=record.cores
    )
    no_mfu = B("not known without a GPU of a known peak", "没有已知峰值的 GPU，无法给出")
    facts = [
        Fact(B("Baseline", "基线"), record.baseline_options or B("the defaults", "默认选项"), is_code=True),
        Fact(B("Hardware", "硬件"), gpu),
        Fact(B("Model FLOP utilization", "模型算力利用率（MFU）"), _share(record.mfu, no_mfu)),
    ]
    if record.utilization is not None:
        title = B("Utilization of the GPU", "GPU 利用率") if record.gpus else B("Utilization of cores", "核心利用率")
        facts.append(Fact(title, format_share(record.utilization)))
    return facts


def _share(value: float | None, missing: Text) -> Text:
    return missing if value is None else format_share(value)


def _build_chart(record: LeverRecord) -> Charts | None:
    rows = [
        Interval(
            name_lever(row.name), ratio.value, ratio.low, ratio.high, f"×{ratio.value:.2f}", _VERDICTS[row.verdict][1]
        )
        for row in record.rows
        if row.name != BASELINE and (ratio := row.ratios.get(record.deciding_figure)) is not None
    ]
    if not rows:
        return None
    title = B("{figure} over the baseline's", "与基线之比：{figure}").format(figure=_FIGURES[record.deciding_figure])
    reading = B(
        "Right of 1 is faster. An interval that crosses 1 shows no difference.",
        "大于 1 表示更快；区间跨过 1，表示看不出差异。",
    )
    return Charts([(interval_plot(f"levers-{record.step}", title, rows, reference=1.0), reading)])


def _build_profile(record: TrainProfileRecord) -> list[Block]:
    blocks: list[Block] = []
    if record.bottleneck_en:
        title = B("Where a step's time goes: {what}", "每步时间的去向：{what}").format(
            what=B(record.bottleneck_en, record.bottleneck_zh)
        )
        blocks.append(Notice(title))
        caption = B("Parts of a step", "一步的组成")
        blocks.append(_build_shares(caption, record.phases, _PHASES))
        caption = B("Operations by the time of their own", "各类运算的自身耗时")
        blocks.append(_build_shares(caption, record.operations, _OPERATIONS))
    if record.ladder:
        blocks.append(_build_ladder(record.ladder))
    return blocks


def _build_shares(caption: B, shares: Sequence[Share], titles: dict[str, B]) -> Table:
    columns = [
        Column(B("Part", "部分")),
        Column(B("Time per step", "每步用时"), "number"),
        Column(B("Share", "占比"), "number"),
    ]
    rows: list[list[Cell | Text]] = [
        [titles.get(one.name, one.name), format_duration(one.seconds), format_share(one.ratio)] for one in shares
    ]
    return Table(caption, columns, rows)


def _build_ladder(rungs: Sequence[Rung]) -> Table:
    columns = [
        Column(B("Saving, beside those above", "在以上基础上的节省手段")),
        Column(B("Estimated", "估算"), "number"),
        Column(B("Measured peak", "实测峰值"), "number"),
        Column(B("Ratio", "实测/估算"), "number"),
        Column(B("Saved", "节省"), "number"),
        Column(B("Step", "每步"), "number"),
    ]
    rows: list[list[Cell | Text]] = []
    before: int | None = None
    for one in rungs:
        name = name_lever(one.name)
        peak = one.peak_bytes
        rows.append(
            [
                Cell(name, note=one.note or (one.name if isinstance(name, B) else "")),
                format_bytes(one.estimated_bytes),
                _MISSING if peak is None else format_bytes(peak),
                _MISSING if peak is None else f"{peak / one.estimated_bytes:.2f}",
                _MISSING if peak is None or before is None else f"{(before - peak) / before:+.0%}",
                _MISSING if one.step_s is None else format_duration(one.step_s),
            ]
        )
        before = peak if peak is not None else before
    caption = B(
        "Ladder of memory: what each saving is estimated and measured to take, above the empty process",
        "内存阶梯：各级节省手段的估算与实测内存（不含空进程）",
    )
    return Table(caption, columns, rows)
