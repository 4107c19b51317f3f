"""Reads the traces that the steps of a run left, joins them, and records one of a degraded request.

Their files are read twice, span by span: for what is counted, and for all spans of the one request that is shown.
"""

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
from practicum_jobs.traces.joining import build_client_span, choose_trace, show_trace, sum_traces

_NAMED = '"traceparent":"00-'
_EXPORT_S = 2.5
"""Servers write their last spans a moment after the requests, within a second."""


def run(config: TracesConfig, ctx: StageContext) -> TracesRecord:
    """Join the traces of the run."""
    del config
    time.sleep(_EXPORT_S)
    sums = sum_traces(iter_all_spans(ctx))
    chosen = choose_trace(sums)
    counts = {
        "num_traces": len(sums),
        "num_from_client": sum(one.has_client for one in sums.values()),
        "num_to_engine": sum(one.has_engine for one in sums.values()),
        "num_degraded": sum(bool(one.rung) for one in sums.values()),
        "num_retried": sum(one.num_tries > 1 for one in sums.values()),
    }
    return TracesRecord(
        **ctx.build_record_fields(),
        shown=None if chosen is None else show_trace(one for one in iter_all_spans(ctx) if one.trace_id == chosen),
        metrics=[Metric(name=name, value=value) for name, value in counts.items()],
    )


def iter_all_spans(ctx: StageContext) -> Iterator[Span]:
    """Yield the spans that servers wrote, then those of clients."""
    for path in list_trace_files(ctx):
        yield from iter_spans(path, path.parent.parent.name)
    for path in sorted(ctx.run.stages.glob("*/samples.jsonl")):
        yield from iter_client_spans(path)


def list_trace_files(ctx: StageContext) -> list[Path]:
    """List the traces among the artifacts of the run's steps."""
    return sorted(ctx.run.stages.glob(f"*/artifacts/{TRACE_FILE}"))


def iter_client_spans(samples: Path) -> Iterator[Span]:
    """Yield the spans of clients, from samples; other steps have samples too, which name no trace."""
    with samples.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if _NAMED not in line:
                continue
            try:
                span = build_client_span(LoadSample.model_validate_json(line))
            except ValidationError:
                continue
            if span is not None:
                yield span
