"""The section of quantized models: recommendations, what each costs and loses, and the Pareto plot."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.stages.prompts import PromptCheck
from practicum_core.stages.quantcheck import ORIGINAL, SheetRecord, SheetRow, TaskDelta
from practicum_core.texts import Bilingual as B  # noqa: N817 - a short name keeps the texts readable
from practicum_core.texts import Text
from practicum_jobs.render.blocks import Block, Cell, Charts, Column, Paragraph, Section, Table
from practicum_jobs.render.charts import Tone
from practicum_jobs.render.figures import format_bytes, format_digits, format_duration, format_share
from practicum_jobs.render.scatter import Dot, scatter_chart
from practicum_jobs.report.messages import READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_MEBIBYTE = 2**20
_MISSING = "–"
_NAME = B("Model", "模型")
_VERDICTS: dict[str, tuple[B, Tone]] = {
    "equivalent": (B("equal within the margin", "在误差范围内等效"), "good"),
    "better": (B("better", "更好"), "good"),
    "worse": (B("worse", "变差"), "bad"),
    "unclear": (B("undecided", "无法判断"), "warn"),
}


def build_sheet_section(pack: Pack) -> Section | None:
    """Build the section of quantized models; ``None`` if no step measured any."""
    records = [record for record in pack.files.list_records(SheetRecord) if record.rows]
    if not records:
        return None
    blocks = [block for record in records for block in _build_blocks(record)]
    return Section("sheet", SECTIONS["sheet"], blocks, READING["sheet"])


def _build_blocks(record: SheetRecord) -> list[Block]:
    blocks: list[Block] = [_build_recommendations(record)] if record.recommendations else []
    blocks += [_build_costs(record.rows), _build_speed(record.rows), _build_prompts(record.rows)]
    blocks.append(_build_distance(record.rows))
    if any(row.tasks for row in record.rows):
        blocks.append(_build_tasks(record))
    chart = _build_chart(record)
    if chart is not None:
        blocks.append(chart)
    notes = [(row.name, note) for row in record.rows for note in row.notes]
    blocks += [Paragraph(f"{name}: {note}") for name, note in notes]
    return blocks


def _build_recommendations(record: SheetRecord) -> Table:
    columns = [Column(B("Task", "任务"), "name"), Column(B("Take", "建议"), "name"), Column(B("Why", "理由"))]
    rows: list[list[Cell | Text]] = [
        [one.task, Cell(_show_name(one.name), "name", "good"), B(one.reason_en, one.reason_zh)]
        for one in record.recommendations
    ]
    return Table(B("Recommendation per task", "按任务的建议"), columns, rows)


def _build_costs(rows: Sequence[SheetRow]) -> Table:
    has_vram = any(row.vram_bytes is not None for row in rows)
    columns = [
        Column(_NAME, "name"),
        Column(B("Bits/weight", "比特/权重"), "number"),
        Column(B("Disk", "磁盘"), "number"),
        Column(B("Engine alone", "仅引擎"), "number"),
        Column(B("Model loaded", "加载模型后"), "number"),
        Column(B("Peak", "峰值"), "number"),
        *([Column(B("GPU memory", "显存"), "number")] if has_vram else []),
        Column(B("Load time", "加载时间"), "number"),
        Column(B("Time to make", "生成耗时")),
    ]
    return Table(
        B(
            "Size, memory of the process (engine and cache included), and time",
            "体积、进程内存（含引擎及其缓存）与时间",
        ),
        columns,
        [
            [
                _show_name(row.name),
                _MISSING if row.bits_per_weight is None else f"{row.bits_per_weight:.2f}",
                format_bytes(row.disk_bytes),
                _bytes(row.baseline_bytes),
                _bytes(row.resident_bytes),
                _bytes(row.peak_bytes),
                *([_bytes(row.vram_bytes)] if has_vram else []),
                _MISSING if row.load_s is None else format_duration(row.load_s),
                _build_make_time(row),
            ]
            for row in rows
        ],
    )


def _build_make_time(row: SheetRow) -> Cell:
    if row.make_s is None:
        return Cell(_MISSING)
    count = row.calibration_rows
    note: Text = B(f"{count} calibration rows", f"{count} 条校准样本") if count else ""
    return Cell(format_duration(row.make_s), note=note)


def _bytes(value: int | None) -> str:
    return _MISSING if value is None else format_bytes(value)


def _build_speed(rows: Sequence[SheetRow]) -> Table:
    levels = sorted({level for row in rows for level in row.tokens_per_s}, key=int)
    columns = [
        Column(_NAME, "name"),
        Column(B("Engine and kernel", "引擎与算子"), "name"),
        Column(B("First token", "首词元时延"), "number"),
        Column(B("Per token", "每词元时延"), "number"),
        *(Column(B(f"×{level}", f"×{level}"), "number") for level in levels),
    ]
    return Table(
        B(
            "Time to the first token, time per further token, and tokens/s by requests at the same time",
            "首词元时延、后续每词元时延，以及各并发请求数下的词元/秒",
        ),
        columns,
        [
            [
                _show_name(row.name),
                Cell(row.engine, "name", note=row.kernel),
                _milliseconds(row.ttft_s),
                _milliseconds(row.tpot_s),
                *(
                    format_digits(row.tokens_per_s[level]) if level in row.tokens_per_s else _MISSING
                    for level in levels
                ),
            ]
            for row in rows
        ],
    )


def _build_prompts(rows: Sequence[SheetRow]) -> Table:
    columns = [
        Column(_NAME, "name"),
        Column(B("Engine", "引擎"), "name"),
        Column(B("Given as tokens", "以词元给出")),
        Column(B("Given as messages", "以消息给出")),
    ]
    caption = B(
        "Prompt tokens that each engine shows, against those of the original's chat template",
        "各引擎给出的提示词词元与原模型对话模板词元的比较",
    )
    checks = [(row, row.prompts, row.chat_template) for row in rows]
    return Table(
        caption,
        columns,
        [[_show_name(row.name), row.engine, _build_check(one), _build_check(other)] for row, one, other in checks],
    )


def _build_check(check: PromptCheck) -> Cell:
    if not check.num_prompts:
        return Cell(_MISSING)
    same = B(f"{check.num_same} of {check.num_prompts} the same", f"{check.num_prompts} 条中 {check.num_same} 条一致")
    if check.num_different:
        return Cell(same, tone="bad", note=check.first_difference)
    if check.num_not_shown:
        count = check.num_not_shown
        return Cell(B("not shown", "未给出"), tone="warn", note=B(f"for {count} prompts", f"{count} 条提示词"))
    return Cell(same, tone="good")


def _milliseconds(seconds: float | None) -> str:
    return _MISSING if seconds is None else f"{1000 * seconds:.0f} ms"


def _build_distance(rows: Sequence[SheetRow]) -> Table:
    measured = [row.fidelity for row in rows if row.fidelity]
    languages = list(dict.fromkeys(language for one in measured for language in one.perplexity))
    columns = [
        Column(_NAME, "name"),
        Column(B("KL divergence", "KL 散度"), "number"),
        Column(B("Same top token", "首选词元一致率"), "number"),
        *(Column(B(f"Perplexity {language}", f"困惑度 {language}"), "number") for language in languages),
        Column(B("Source", "来源"), "name"),
    ]
    shown: list[list[Cell | Text]] = []
    for row in rows:
        one = row.fidelity
        if one is None:
            shown.append([_show_name(row.name), *(_MISSING for _ in columns[1:])])
            continue
        perplexities = [
            format_digits(one.perplexity[name]) if name in one.perplexity else _MISSING for name in languages
        ]
        distance = Cell(f"{one.kl_mean:.2g}", "number", "good" if row.is_on_front else "plain")
        shown.append([_show_name(row.name), distance, format_share(one.top1_agreement), *perplexities, one.engine])
    caption = B(
        "How far each is from the original in float32, on the same tokens (nats a token)",
        "在相同词元上与 float32 原模型的距离（nat/词元）",
    )
    return Table(caption, columns, shown)


def _build_tasks(record: SheetRecord) -> Table:
    names = list(dict.fromkeys(one.task for row in record.rows for one in row.tasks))
    columns = [Column(_NAME, "name"), *(Column(B(name, name)) for name in names)]
    rows: list[list[Cell | Text]] = []
    for row in record.rows:
        by_task = {one.task: one for one in row.tasks}
        if row.name != ORIGINAL and by_task:
            rows.append([_show_name(row.name), *(_build_delta(by_task.get(name)) for name in names)])
    caption = B(
        "Quantized minus original per task in points, with the 90% interval, and the answers that changed between"
        " right and wrong; equal means within ±{margin:.0%}",
        "各任务上量化减原模型之差（百分点）、90% 置信区间，以及对错发生变化的回答数；等效指差异在 ±{margin:.0%} 以内",
    ).format(margin=record.margin)
    return Table(caption, columns, rows)


def _build_delta(one: TaskDelta | None) -> Cell:
    if one is None:
        return Cell(_MISSING)
    verdict, tone = _VERDICTS[one.verdict]
    note = f"{100 * one.difference:+.1f} ({100 * one.low:+.1f} … {100 * one.high:+.1f}), n={one.num_items}"
    if one.num_lost is None:
        return Cell(verdict, tone=tone, note=note)
    flips = B(
        f"{note}: {one.num_lost} lost, {one.num_gained} gained", f"{note}：变错 {one.num_lost}，变对 {one.num_gained}"
    )
    return Cell(verdict, tone=tone, note=flips)


def _build_chart(record: SheetRecord) -> Charts | None:
    dots = [
        Dot(
            _show_name(row.name),
            row.disk_bytes / _MEBIBYTE,
            row.fidelity.kl_mean,
            "good" if row.is_on_front else "plain",
        )
        for row in record.rows
        if row.fidelity
    ]
    if not dots:
        return None
    chart = scatter_chart(
        f"pareto-{record.step}",
        B("Pareto plot: size against distance from the original", "帕累托图：体积与偏离原模型程度"),
        dots,
        x_label=B("MiB on disk", "磁盘占用（MiB）"),
        y_label=B("Mean KL divergence", "平均 KL 散度"),
    )
    reading = B(
        "Green points are the Pareto front: no other is both smaller and closer to the original.",
        "绿色为帕累托前沿：没有其他模型既更小又更接近原模型。",
    )
    return Charts([(chart, reading)])


def _show_name(name: str) -> Text:
    return B("original", "原模型") if name == ORIGINAL else name
