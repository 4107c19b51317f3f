"""Reads the traces that the steps of a run left, joins them, and records one of a degraded request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from practicum_core.metrics import Metric
from practicum_core.stages.load_results import LoadSample
from practicum_core.stages.traces import TracesConfig, TracesRecord
from practicum_core.trace_names import TRACE_FILE
from practicum_jobs.context import StageContext
from practicum_jobs.traces.files import Span, iter_spans
from practicum_jobs.traces.joining import build_client_span, choose_trace, join_spans, show_trace

_NAMED = '"traceparent":"00-'
_EXPORT_S = 2.5
"""Servers write their last spans a moment after the requests, within a second."""


def run(config: TracesConfig, ctx: StageContext) -> TracesRecord:
    """Join the traces of the run."""
    del config
    time.sleep(_EXPORT_S)
    spans = [span for path in list_trace_files(ctx) for span in iter_spans(path, path.parent.parent.name)]
    spans += [span for path in sorted(ctx.run.stages.glob("*/samples.jsonl")) for span in iter_client_spans(path)]
    traces = join_spans(spans)
    chosen = choose_trace(traces)
    counts = {
        "num_traces": len(traces),
        "num_from_client": sum(trace.has_client for trace in traces),
        "num_to_engine": sum(trace.has_engine for trace in traces),
        "num_degraded": sum(bool(trace.rung) for trace in traces),
        "num_retried": sum(trace.num_tries > 1 for trace in traces),
    }
    return TracesRecord(
        **ctx.build_record_fields(),
        shown=None if chosen is None else show_trace(chosen),
        metrics=[Metric(name=name, value=value) for name, value in counts.items()],
    )


def list_trace_files(ctx: StageContext) -> list[Path]:
    """List the traces among the artifacts of the run's steps."""
    return sorted(ctx.run.stages.glob(f"*/artifacts/{TRACE_FILE}"))


def iter_client_spans(samples: Path) -> Iterator[Span]:
    """Yield the spans of clients, from samples; other steps have samples too, which name no trace."""
    for line in samples.read_text(encoding="utf-8").splitlines():
        if _NAMED not in line:
            continue
        try:
            span = build_client_span(LoadSample.model_validate_json(line))
        except ValidationError:
            continue
        if span is not None:
            yield span
