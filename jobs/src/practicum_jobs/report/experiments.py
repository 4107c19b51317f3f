"""The section "Faults on purpose": the time line of load, failures and ladder, and what came out of each experiment."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.rungs import RUNG_TITLES, Rung
from practicum_core.stages.experiments import (
    ExperimentResult,
    ExperimentsRecord,
    Finding,
    RungQuality,
    RungsRecord,
    RungUse,
    TimePoint,
    Verdict,
)
from practicum_core.stages.replays import ReplaysRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Charts, Column, Command, Disclosure, Notice, Section, Table
from practicum_jobs.render.charts import Chart, Mark, Series, Tone, line_chart
from practicum_jobs.render.figures import format_duration
from practicum_jobs.report.experiment_messages import EXPERIMENTS, FINDINGS, REASONS, VERDICTS
from practicum_jobs.report.messages import READING, SECTIONS
from practicum_jobs.report.verdict import Pack

_PROBE = "probe:"
_RUNG_COLUMNS = ("requests", "first_token", "e2e_p50", "e2e_p95")
_TONES: dict[Verdict, Tone] = {
    Verdict.HELD: "good",
    Verdict.DEVIATED: "bad",
    Verdict.NOT_STEADY: "warn",
    Verdict.NOT_UNDONE: "bad",
    Verdict.BROKEN_OFF: "bad",
}


def build_experiments_section(pack: Pack) -> Section | None:
    """Build the section of experiments on a service; ``None`` where the run made none."""
    # Replays have a section of their own.
    records = [one for one in pack.files.list_records(ExperimentsRecord) if not _is_replay(one)]
    measured = pack.files.list_records(RungsRecord)
    blocks = [block for record in records for block in _build_blocks(record)]
    blocks += [block for record in measured for block in _build_qualities(record)]
    if not blocks:
        return None
    return Section("experiments", SECTIONS["experiments"], blocks, READING["experiments"])


def _is_replay(record: ExperimentsRecord) -> bool:
    return isinstance(record, ReplaysRecord) and bool(record.recording)


def _build_blocks(record: ExperimentsRecord) -> list[Block]:
    blocks: list[Block] = []
    charts = [
        (build_timeline_chart(f"timeline-{record.step}-{number}", record.timeline, one), None)
        for number, one in enumerate(record.results)
        if one.fault_s is not None
    ]
    if record.timeline and charts:
        blocks.append(Charts(charts))
    columns = [
        Column(EXPERIMENTS["experiment"]),
        Column(EXPERIMENTS["verdict"]),
        *(Column(EXPERIMENTS[name], "number") for name in ("requests", "in_full", "degraded", "errors", "lost")),
        Column(EXPERIMENTS["down"], "number"),
        Column(EXPERIMENTS["back"], "number"),
    ]
    blocks.append(Table(EXPERIMENTS["table"], columns, [_build_row(one) for one in record.results]))
    if record.rungs:
        columns = [Column(EXPERIMENTS["rung"]), *(Column(EXPERIMENTS[name], "number") for name in _RUNG_COLUMNS)]
        blocks.append(Table(EXPERIMENTS["rungs"], columns, [_build_rung(one) for one in record.rungs]))
    for one in record.results:
        blocks += [Notice(EXPERIMENTS["left"].format(what=what), "bad") for what in one.left_behind]
        if one.error:
            text = EXPERIMENTS["broken_off"].format(title=_get_title(one), error=one.error)
            blocks.append(Notice(text, "bad"))
    details = [block for one in record.results for block in _build_details(one)]
    blocks.append(Disclosure(EXPERIMENTS["details"], details))
    return blocks


def _build_qualities(record: RungsRecord) -> list[Block]:
    names = ("quality", "above_next", "answered", "e2e_p50", "tokens")
    columns = [Column(EXPERIMENTS["rung"]), *(Column(EXPERIMENTS[name], "number") for name in names)]
    rows = [_build_quality(one) for one in record.qualities]
    worse = [EXPERIMENTS["worse"].format(rung=RUNG_TITLES[one.rung]) for one in record.qualities if one.is_worse]
    return [Table(EXPERIMENTS["qualities"], columns, rows), *(Notice(text, "bad") for text in worse)]


def _build_quality(one: RungQuality) -> list[Cell | Text]:
    above = "–"
    if one.above_next is not None:
        above = f"{one.above_next:+.2f} ({one.above_next_low or 0:+.2f} … {one.above_next_high or 0:+.2f})"
    return [
        RUNG_TITLES[one.rung],
        f"{one.quality:.2f} ({one.quality_low:.2f} … {one.quality_high:.2f})",
        Cell(above, "number", tone="bad" if one.is_worse else "plain"),
        f"{one.num_answered} / {one.num_rows}",
        format_duration(one.e2e_p50_s),
        f"{one.prompt_tokens:.0f} + {one.completion_tokens:.0f}",
    ]


def build_timeline_chart(name: str, timeline: Sequence[TimePoint], result: ExperimentResult) -> Chart:
    """Draw what happened in an experiment second by second, all on one axis."""
    seen = [one for one in timeline if result.start_s - 1 <= one.at_s <= result.end_s]
    lines = {
        "sent": [(one.at_s, float(one.num_sent)) for one in seen],
        "in_full": [(one.at_s, float(one.num_full)) for one in seen],
        "failed": [(one.at_s, float(one.num_failed)) for one in seen],
        "depth": [(one.at_s, float(one.depth)) for one in seen],
    }
    series = [Series(EXPERIMENTS[key], points) for key, points in lines.items()]
    moments: tuple[tuple[float | None, Bilingual, Tone], ...] = (
        (result.fault_s, EXPERIMENTS["begins"], "bad"),
        (result.undone_s, EXPERIMENTS["ends"], "good"),
    )
    marks = [Mark(at_s, label, tone) for at_s, label, tone in moments if at_s is not None]
    return line_chart(name, _get_title(result), series, x_label=EXPERIMENTS["seconds"], marks=marks)


def _build_rung(use: RungUse) -> list[Cell | Text]:
    first = "–" if use.first_token_p50_s is None else format_duration(use.first_token_p50_s)
    spans = [format_duration(one) for one in (use.e2e_p50_s, use.e2e_p95_s)]
    return [RUNG_TITLES[use.rung], f"{use.num_requests:,}", first, *spans]


def _build_row(result: ExperimentResult) -> list[Cell | Text]:
    verdict = Cell(VERDICTS[result.verdict], tone=_TONES[result.verdict])
    lost = Cell(f"{result.num_lost:,}", "number", tone="bad" if result.num_lost else "plain")
    counts = (result.num_requests, result.num_full, result.num_degraded, result.num_errors)
    spans = [format_duration(one) if one is not None else "–" for one in (result.down_s, result.back_s)]
    return [_get_title(result), verdict, *(f"{count:,}" for count in counts), lost, *spans]


def _build_details(result: ExperimentResult) -> list[Block]:
    title = _get_title(result)
    plan: list[list[Cell | Text]] = [[EXPERIMENTS["method"], step] for step in result.method]
    if result.hypothesis:
        plan.insert(0, [EXPERIMENTS["hypothesis"], result.hypothesis])
    columns = [Column(EXPERIMENTS["part"]), Column(EXPERIMENTS["text"])]
    planned: list[Block] = [Table(EXPERIMENTS["plan"].format(title=title), columns, plan)] if plan else []
    columns = [Column(EXPERIMENTS["finding"]), Column(EXPERIMENTS["found"]), Column(EXPERIMENTS["bound"])]
    rows = [_build_finding(one) for one in result.findings]
    blocks = planned + ([Table(EXPERIMENTS["findings"].format(title=title), columns, rows)] if rows else [])
    if result.changes:
        columns = [Column(EXPERIMENTS["at"], "number"), Column(EXPERIMENTS["step"]), Column(EXPERIMENTS["reason"])]
        steps: list[list[Cell | Text]] = [
            [f"{one.at_s:.1f}", _name_step(one.before, one.after), REASONS.get(one.reason, one.reason)]
            for one in result.changes
        ]
        blocks.append(Table(EXPERIMENTS["steps"].format(title=title), columns, steps))
    if result.failures:
        kinds = ", ".join(f"{count} {kind}" for kind, count in result.failures.items())
        blocks.append(Notice(EXPERIMENTS["failures"].format(kinds=kinds), "warn"))
    return [*blocks, Command(result.repeat, EXPERIMENTS["repeat"])]


def _build_finding(finding: Finding) -> list[Cell | Text]:
    name = FINDINGS.get(finding.name, finding.name.removeprefix(_PROBE))
    found = Cell(_name_value(finding.shown), tone="good" if finding.is_met else "bad")
    return [name, found, _name_value(finding.bound)]


def _name_value(value: str) -> Text:
    """Name a rung in both languages; any other value is shown as it is."""
    return RUNG_TITLES[Rung(value)] if value in set(Rung) else value


def _name_step(before: Rung, after: Rung) -> Bilingual:
    one, other = RUNG_TITLES[before], RUNG_TITLES[after]
    return Bilingual(f"{one.en} → {other.en}", f"{one.zh} → {other.zh}")


def _get_title(result: ExperimentResult) -> Bilingual:
    return Bilingual(result.title_en, result.title_zh)
