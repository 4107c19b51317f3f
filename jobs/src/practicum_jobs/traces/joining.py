"""Spans of client, gateway and engine joined to one tree for each request. Pure."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Trace:
    """All spans of one request."""

    spans: tuple[Span, ...]

    @property
    def root(self) -> Span | None:
        """The gateway's span of the request."""
        return next((span for span in self.spans if trace_names.STATUS in span.attributes), None)

    @property
    def has_client(self) -> bool:
        """Whether its client told of it."""
        return any(span.step == Place.CLIENT for span in self.spans)

    @property
    def has_engine(self) -> bool:
        """Whether its engine did."""
        return any(span.name == trace_names.ENGINE_SPAN for span in self.spans)

    @property
    def num_tries(self) -> int:
        """Tries at engines."""
        return sum(trace_names.ADDRESS in span.attributes for span in self.spans)

    @property
    def rung(self) -> str:
        """That answered; empty for the best one."""
        return str(self.root.attributes.get(trace_names.RUNG, "")) if self.root is not None else ""


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


def join_spans(spans: Iterable[Span]) -> list[Trace]:
    """Join spans to traces, and leave out those that no gateway saw, such as vLLM's of its own start."""
    by_trace: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_trace[span.trace_id].append(span)
    joined = (Trace(tuple(sorted(found, key=lambda span: span.start_s))) for found in by_trace.values())
    return [trace for trace in joined if trace.root is not None]


def choose_trace(traces: Sequence[Trace]) -> Trace | None:
    """Choose the degraded request whose trace shows most, from client to engine and with the most spans."""
    degraded = [trace for trace in traces if trace.rung]
    return max(
        degraded or traces,
        key=lambda trace: (trace.has_engine, trace.num_tries > 0, trace.has_client, len(trace.spans)),
        default=None,
    )


def show_trace(trace: Trace) -> ShownTrace:
    """Describe a trace, in milliseconds from its beginning."""
    begin_s = min(span.start_s for span in trace.spans)
    ids = {span.span_id: span for span in trace.spans}
    rows = [row for span in _order(trace.spans, ids) for row in _describe(span, ids, begin_s)]
    events = sorted(
        (
            TraceEvent(
                at_ms=round(_MS * (one.at_s - begin_s), 3),
                place=_find_place(span),
                name=one.name,
                attributes=_to_texts(one.attributes),
            )
            for span in trace.spans
            for one in span.events
            if one.at_s > begin_s - _SHOWN_BEFORE_S
        ),
        key=lambda one: one.at_ms,
    )
    root = trace.root
    about = {} if root is None else root.attributes
    return ShownTrace(
        trace_id=trace.spans[0].trace_id,
        request_id=str(about.get(trace_names.REQUEST_ID, "")),
        status=int(about.get(trace_names.STATUS, 0)),
        rung=trace.rung,
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
