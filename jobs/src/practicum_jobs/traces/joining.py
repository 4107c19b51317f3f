"""Spans of client, gateway and engine joined to one tree for each request. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from practicum_core import trace_names
from practicum_core.stages.load_results import LoadSample
from practicum_core.stages.traces import Place, ShownTrace, TraceEvent, TraceSpan
from practicum_jobs.traces.files import Moment, Span

_MS = 1000
_SHOWN_BEFORE_S = 60.0
"""Steps of the ladder longer before a request say little of it."""
_PARENT_PARTS = 4


@dataclass(slots=True)
class TraceSum:
    """What is kept of the spans of one request while files of them are read: a file may have a million.

    Attributes:
        num_spans: Spans that were read.
        num_tries: Tries at engines.
        has_client: Whether its client told of it.
        has_engine: Whether its engine did.
        root_start_s: When the gateway's span of it began; infinite where no gateway saw it.
        rung: That answered; empty for the best one.
    """

    num_spans: int = 0
    num_tries: int = 0
    has_client: bool = False
    has_engine: bool = False
    root_start_s: float = math.inf
    rung: str = ""

    def add(self, span: Span) -> None:
        """Count a span."""
        self.num_spans += 1
        self.num_tries += trace_names.ADDRESS in span.attributes
        self.has_client |= span.step == Place.CLIENT
        self.has_engine |= span.name == trace_names.ENGINE_SPAN
        if trace_names.STATUS in span.attributes and span.start_s < self.root_start_s:
            self.root_start_s = span.start_s
            self.rung = str(span.attributes.get(trace_names.RUNG, ""))


def build_client_span(sample: LoadSample) -> Span | None:
    """Build the span of a request as its client saw it; ``None`` for one that was not traced."""
    parts = sample.traceparent.split("-")
    if len(parts) != _PARENT_PARTS or not sample.sent_at_s:
        return None
    about: dict[str, str | int] = {trace_names.STATUS + ".client": sample.status}
    if sample.error:
        about[trace_names.ERROR] = sample.error
    events: tuple[Moment, ...] = ()
    if sample.first_token_s is not None:
        at_s = sample.sent_at_s + sample.first_token_s - sample.sent_s
        events = (Moment(trace_names.FIRST_TOKEN_EVENT, at_s),)
    end_s = sample.sent_at_s + sample.ended_s - sample.sent_s
    return Span(Place.CLIENT, "client", parts[1], parts[2], "", sample.sent_at_s, end_s, about, events)


def sum_traces(spans: Iterable[Span]) -> dict[str, TraceSum]:
    """Sum up spans by their traces, and leave out those that no gateway saw, such as vLLM's of its own start."""
    sums: dict[str, TraceSum] = defaultdict(TraceSum)
    for span in spans:
        sums[span.trace_id].add(span)
    return {trace_id: one for trace_id, one in sums.items() if one.root_start_s < math.inf}


def choose_trace(sums: Mapping[str, TraceSum]) -> str | None:
    """Choose the degraded request whose trace shows most, from client to engine and with the most spans."""
    degraded = {trace_id: one for trace_id, one in sums.items() if one.rung} or sums
    return max(degraded, key=lambda trace_id: _rank(degraded[trace_id]), default=None)


def _rank(one: TraceSum) -> tuple[bool, bool, bool, int]:
    return one.has_engine, one.num_tries > 0, one.has_client, one.num_spans


def show_trace(spans: Iterable[Span]) -> ShownTrace:
    """Describe a trace by all of its spans, in milliseconds from its beginning."""
    ordered = sorted(spans, key=lambda span: span.start_s)
    begin_s = ordered[0].start_s
    ids = {span.span_id: span for span in ordered}
    rows = [row for span in _order(ordered, ids) for row in _describe(span, ids, begin_s)]
    events = sorted(
        (
            TraceEvent(
                at_ms=round(_MS * (one.at_s - begin_s), 3),
                place=_find_place(span),
                name=one.name,
                attributes=_to_texts(one.attributes),
            )
            for span in ordered
            for one in span.events
            if one.at_s > begin_s - _SHOWN_BEFORE_S
        ),
        key=lambda one: one.at_ms,
    )
    about = next((span.attributes for span in ordered if trace_names.STATUS in span.attributes), {})
    return ShownTrace(
        trace_id=ordered[0].trace_id,
        request_id=str(about.get(trace_names.REQUEST_ID, "")),
        status=int(about.get(trace_names.STATUS, 0)),
        rung=str(about.get(trace_names.RUNG, "")),
        reason=str(about.get(trace_names.REASON, "")),
        spans=rows,
        events=events,
    )


def _order(spans: Sequence[Span], ids: Mapping[str, Span]) -> list[Span]:
    """Order spans so that each follows the one above it, and those below one another by their beginnings."""
    below: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_s):
        below[span.parent_id if span.parent_id in ids else ""].append(span)
    ordered: list[Span] = []
    waiting = list(reversed(below[""]))
    while waiting:
        span = waiting.pop()
        ordered.append(span)
        waiting += reversed(below[span.span_id])
    return ordered


def _describe(span: Span, ids: Mapping[str, Span], begin_s: float) -> list[TraceSpan]:
    """Describe a span; below one of vLLM's, the parts of its time, which it tells as numbers."""
    depth, above = 0, ids.get(span.parent_id)
    while above is not None:
        depth, above = depth + 1, ids.get(above.parent_id)
    place = _find_place(span)
    error = str(span.attributes.get(trace_names.ERROR, ""))
    rows = [_build_row(span.name, place, depth, (span.start_s - begin_s, span.end_s - span.start_s), error)]
    rows[0] = rows[0].model_copy(update={"attributes": _to_texts(span.attributes)})
    if place is Place.ENGINE:
        at_s = span.start_s - begin_s
        for name, key in trace_names.ENGINE_PARTS.items():
            seconds = float(span.attributes.get(key, 0.0))
            rows.append(_build_row(name, place, depth + 1, (at_s, seconds), ""))
            at_s += seconds
    return rows


def _find_place(span: Span) -> Place:
    if span.step == Place.CLIENT:
        return Place.CLIENT
    return Place.ENGINE if span.name == trace_names.ENGINE_SPAN else Place.GATEWAY


def _build_row(name: str, place: Place, depth: int, times_s: tuple[float, float], error: str) -> TraceSpan:
    start_ms, duration_ms = (round(_MS * max(one, 0.0), 3) for one in times_s)
    return TraceSpan(name=name, place=place, depth=depth, start_ms=start_ms, duration_ms=duration_ms, error=error)


def _to_texts(attributes: Mapping[str, object]) -> dict[str, str]:
    return {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in attributes.items()}
