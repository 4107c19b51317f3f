"""The section "One request from client to engine": a waterfall of the trace that a run's stage ``traces`` chose."""

from __future__ import annotations

from practicum_core import trace_names
from practicum_core.rungs import RUNG_TITLES, Rung
from practicum_core.stages.traces import ShownTrace, TraceEvent, TraceSpan, TracesRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import Block, Cell, Charts, Column, Disclosure, Notice, Section, Table
from practicum_jobs.render.charts import Tone
from practicum_jobs.render.waterfall import Lane, waterfall
from practicum_jobs.report.experiment_messages import REASONS
from practicum_jobs.report.messages import READING, SECTIONS
from practicum_jobs.report.trace_messages import EVENTS, FAILED, LANES, PLACES, TRACE, TRY, WHOLE
from practicum_jobs.report.verdict import Pack


def build_trace_section(pack: Pack) -> Section | None:
    """Build the section of a traced request; ``None`` where the run has no stage that reads traces."""
    records = pack.files.list_records(TracesRecord)
    if not records:
        return None
    blocks = [block for record in records for block in build_trace_blocks(record)]
    return Section("trace", SECTIONS["trace"], blocks, READING["trace"])


def build_trace_blocks(record: TracesRecord) -> list[Block]:
    """Build the waterfall of a trace, its events, and what its spans say of themselves."""
    shown = record.shown
    if shown is None:
        return [Notice(TRACE["nothing"], "warn")]
    lanes = build_lanes(shown)
    title = TRACE["chart"].format(id=shown.trace_id, status=shown.status)
    blocks: list[Block] = [Charts([(waterfall(f"trace-{record.step}", title, lanes), None)])]
    if shown.rung:
        reason = REASONS.get(shown.reason, shown.reason)
        blocks.append(Notice(TRACE["degraded"].format(rung=RUNG_TITLES[Rung(shown.rung)], reason=reason), "warn"))
    else:
        blocks.append(Notice(TRACE["full"], "good"))
    if not any(span.name == trace_names.ENGINE_SPAN for span in shown.spans):
        blocks.append(Notice(TRACE["no_engine"], "warn"))
    if shown.events:
        columns = [
            Column(TRACE["at"], "number"),
            Column(TRACE["place"]),
            Column(TRACE["event"]),
            Column(TRACE["detail"]),
        ]
        blocks.append(Table(TRACE["events"], columns, [_build_event(one) for one in shown.events]))
    columns = [Column(TRACE["span"]), Column(TRACE["name"]), Column(TRACE["value"])]
    rows: list[list[Cell | Text]] = [
        [lane.label, name, value]
        for lane, span in zip(lanes, shown.spans, strict=True)
        for name, value in span.attributes.items()
    ]
    return [*blocks, Disclosure(TRACE["attributes"], [Table(TRACE["attributes"], columns, rows)])]


def build_lanes(shown: ShownTrace) -> list[Lane]:
    """Build the bars of a trace, with tries at engines numbered."""
    lanes, num_tries = [], 0
    for span in shown.spans:
        num_tries += trace_names.ADDRESS in span.attributes
        label = _name_span(span, num_tries)
        if span.error:
            label = FAILED.format(label=label, error=span.error)
        tone: Tone = "bad" if span.error else "plain"
        lanes.append(Lane(label, span.start_ms, span.duration_ms, span.depth, tone))
    return lanes


def _name_span(span: TraceSpan, num_tries: int) -> Bilingual:
    if trace_names.ADDRESS in span.attributes:
        return TRY.format(number=num_tries)
    return LANES.get(span.name) or WHOLE.format(name=span.name)


def _build_event(event: TraceEvent) -> list[Cell | Text]:
    about = event.attributes
    named = [about[name] for name in (trace_names.BEFORE, trace_names.AFTER, trace_names.RUNG) if name in about]
    rungs = [RUNG_TITLES[Rung(one)] for one in named]
    detail: Text = ""
    if rungs:
        told = about.get(trace_names.REASON, "")
        path = Bilingual(" → ".join(one.en for one in rungs), " → ".join(one.zh for one in rungs))
        detail = TRACE["because"].format(path=path, reason=REASONS.get(told, told))
    return [f"{event.at_ms:.1f}", PLACES[event.place], EVENTS.get(event.name, event.name), detail]
