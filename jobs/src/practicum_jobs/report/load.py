"""The section of a load test: the first bottleneck with its proofs, the knee, each rate, and the charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from practicum_core.stages.load_results import Bottleneck, BottleneckName, Estimate, LoadDifference, LoadLevel
from practicum_core.stages.loadtest import LoadtestRecord, Objective
from practicum_core.stages.serve import ServeRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Charts, Column, Notice, Paragraph, Section, Table
from practicum_jobs.render.charts import Tone
from practicum_jobs.render.figures import format_digits, format_share
from practicum_jobs.report.load_charts import build_load_charts
from practicum_jobs.report.load_messages import (
    ADAPTER,
    ALSO,
    ASKED,
    AT_LEAST,
    AT_RATE,
    BOTTLENECKS,
    COLUMNS,
    DIFFERENCES,
    ENGINES,
    KNEE,
    LATENCIES,
    LEVELS,
    LIMITS,
    PROOFS,
    REFUSED,
    SERVED,
    SHORT_NAMES,
    SLO,
    VERDICTS,
)
from practicum_jobs.report.messages import READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_MISSING = "–"
_TONES: dict[BottleneckName, Tone] = {
    BottleneckName.NONE: "warn",
    BottleneckName.UNKNOWN: "warn",
    BottleneckName.CLIENT: "bad",
}


def build_load_section(pack: Pack) -> Section | None:
    """Build the section of load tests; ``None`` if no step ran one."""
    blocks: list[Block] = []
    for step in pack.files.steps:
        record = step.record
        if isinstance(record, LoadtestRecord) and record.levels:
            blocks += _build_blocks(record, pack.files.list_records(ServeRecord))
            charts = build_load_charts(record, step.samples)
            if charts:
                blocks.append(Charts(charts))
    return Section("load", SECTIONS["load"], blocks, READING["load"]) if blocks else None


def _build_blocks(record: LoadtestRecord, servers: Sequence[ServeRecord]) -> list[Block]:
    blocks: list[Block] = []
    if record.bottleneck is not None:
        blocks += _build_bottleneck(record.bottleneck)
    blocks.append(Paragraph(_describe_knee(record)))
    asked, objective = describe_model(record.model, servers), describe_objective(record.objective)
    blocks.append(Paragraph(Bilingual(f"{asked.en} {objective.en}", f"{asked.zh}{objective.zh}")))
    blocks += [_build_levels(record.levels), _build_latencies(record.levels)]
    if record.differences:
        blocks.append(_build_differences(record.differences))
    return blocks


def _build_bottleneck(found: Bottleneck) -> list[Block]:
    title, advice = BOTTLENECKS[found.name]
    if found.rate is not None and found.name is not BottleneckName.NONE:
        where = AT_RATE.format(rate=f"{found.rate:g}")
        title = Bilingual(f"{title.en} ({where.en})", f"{title.zh}（{where.zh}）")
    blocks: list[Block] = [Notice(title, _TONES.get(found.name, "plain"), advice)]
    columns = [
        Column(PROOFS["text"]),
        Column(PROOFS["metric"], "code"),
        Column(PROOFS["value"], "number"),
        Column(PROOFS["limit"], "number"),
    ]
    rows: list[list[Cell | Text]] = [
        [
            Bilingual(one.text_en, one.text_zh),
            Cell(one.metric, "code", note=one.source),
            format_digits(one.value),
            _MISSING if one.limit is None else format_digits(one.limit),
        ]
        for one in found.proofs
    ]
    if rows:
        blocks.append(Table(PROOFS["caption"], columns, rows))
    if found.others:
        names = [SHORT_NAMES[name] for name in found.others]
        both = Bilingual(", ".join(name.en for name in names), "、".join(name.zh for name in names))
        blocks.append(Paragraph(ALSO.format(names=both)))
    return blocks


def _describe_knee(record: LoadtestRecord) -> Bilingual:
    knee = record.knee_rate
    if knee is None or record.knee_basis is None:
        return KNEE["none_held"]
    said = KNEE[record.knee_basis].format(rate=f"{knee.value:g}")
    if record.knee_basis != "bracketed" or knee.low == knee.value:
        return said
    kinds = {(True, True): "unsure", (False, True): "unsure_below", (True, False): "unsure_above"}
    kind = kinds.get((knee.low is not None, knee.high is not None), "unsure_all")
    unsure = KNEE[kind].format(low=f"{knee.low or 0:g}", high=f"{knee.high or 0:g}")
    return Bilingual(f"{said.en} {unsure.en}", f"{said.zh}{unsure.zh}")


def describe_model(name: str, servers: Sequence[ServeRecord]) -> Bilingual:
    """Say which model was asked for, and what answers to that name where a step of the run served it.

    >>> describe_model("sft", []).en
    'The model asked for was sft.'
    """
    for served in servers:
        if name in (*served.served_names, *served.adapters):
            said = ADAPTER if name in served.adapters else SERVED
            engine = ENGINES.get(served.engine, served.engine)
            return said.format(name=name, uri=served.model, engine=engine, dtype=served.dtype)
    return ASKED.format(name=name)


def describe_objective(objective: Objective) -> Bilingual:
    """Say what a request has to keep, and how many have to."""
    limits = [
        text.format(limit=_format_seconds(limit))
        for name, text in LIMITS.items()
        if (limit := getattr(objective, name)) is not None
    ]
    both = Bilingual(", ".join(one.en for one in limits), "、".join(one.zh for one in limits))
    return SLO.format(limits=both, share=f"{objective.share:.0%}")


def _build_levels(levels: Sequence[LoadLevel]) -> Table:
    names = ("rate", "reached", "good", "failed", "tokens")
    columns = [Column(COLUMNS[name], "text" if name == "good" else "number") for name in names]
    return Table(LEVELS, columns, [_build_level_row(level) for level in sorted(levels, key=lambda one: one.rate)])


def _build_level_row(level: LoadLevel) -> list[Cell | Text]:
    failed: Cell | Text = Cell(str(level.num_failed), "number", "bad") if level.num_failed else "0"
    if level.refused:
        return [f"{level.rate:g}", _MISSING, Cell(REFUSED, tone="bad", note=level.refused), failed, _MISSING]
    share = level.good_share
    tone: Tone = "good" if level.meets_slo else "bad"
    good: Cell | Text = _MISSING
    if share is not None:
        good = Cell(format_share(share.value), "text", tone, _format_range(share, format_share))
    reached, tokens = format_digits(level.reached_rate), format_digits(level.completion_tokens_per_s)
    return [f"{level.rate:g}", reached, good, failed, tokens]


def _build_latencies(levels: Sequence[LoadLevel]) -> Table:
    names = ("p50", "p95", "p99", "tpot", "e2e")
    columns = [Column(COLUMNS["rate"], "number"), *(Column(COLUMNS[name]) for name in names)]
    rows: list[list[Cell | Text]] = []
    for level in sorted(levels, key=lambda one: one.rate):
        ttft = level.ttft
        first = (ttft.p50, ttft.p95, ttft.p99) if ttft else (None, None, None)
        others = (latency.p95 if latency else None for latency in (level.tpot, level.e2e))
        rows.append([f"{level.rate:g}", *map(_show_estimate, (*first, *others))])
    return Table(LATENCIES, columns, rows)


def _build_differences(differences: Sequence[LoadDifference]) -> Table:
    names = ("rate", "figure", "base", "candidate", "difference", "verdict")
    columns = [
        Column(DIFFERENCES[name], "number" if name in {"rate", "base", "candidate"} else "text") for name in names
    ]
    return Table(DIFFERENCES["caption"], columns, [_build_difference_row(one) for one in differences])


def _build_difference_row(one: LoadDifference) -> list[Cell | Text]:
    verdict, tone = VERDICTS[one.verdict]
    title, share = DIFFERENCES[one.latency], f"p{100 * one.quantile:g}"
    shown = _format_seconds(one.difference.value)
    return [
        f"{one.rate:g}",
        Bilingual(f"{title.en} {share}", f"{title.zh} {share}"),
        _format_seconds(one.base.value),
        _format_seconds(one.candidate.value),
        Cell(shown, note=_format_range(one.difference, _format_seconds)),
        Cell(verdict, tone=tone, note=DIFFERENCES["paired" if one.is_paired else "unpaired"]),
    ]


def _show_estimate(one: Estimate | None) -> Cell | Text:
    if one is None:
        return _MISSING
    return Cell(_format_seconds(one.value), note=_format_range(one, _format_seconds))


def _format_range(one: Estimate, write: Callable[[float], str]) -> Text:
    """Write an interval; one without an upper end has too few requests for it."""
    if one.low is None:
        return ""
    if one.high is None:
        return AT_LEAST.format(low=write(one.low))
    return f"{write(one.low)} … {write(one.high)}"


def _format_seconds(seconds: float) -> str:
    """Write a latency: below a second in milliseconds.

    >>> _format_seconds(0.0314), _format_seconds(2.345)
    ('31 ms', '2.35 s')
    """
    return f"{1000 * seconds:.0f} ms" if abs(seconds) < 1 else f"{seconds:.3g} s"
