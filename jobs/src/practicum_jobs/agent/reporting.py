"""Contents of a pod's reports: its progress, and how its attempt ended."""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Sequence
from typing import Any

from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout, StageLayout
from practicum_core.metrics import Metric
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.reports import MAX_EVIDENCE_BYTES, PodStep, StepReport
from practicum_core.stages import get_stage

MAX_TEXT = 4_000
MAX_METRICS = 2_000


def build_progress(step: PodStep, layout: StageLayout) -> StepReport:
    """Build a report of how far the stage has come."""
    progress = read_json_or_empty(layout.progress)
    return StepReport(
        uid=step.uid,
        step=step.step,
        attempt=step.attempt,
        outcome="running",
        progress=_get_share(progress.get("fraction")),
        message=_cut_text(progress.get("message")),
        eta_s=_get_seconds(progress.get("eta_s")),
    )


def build_final(step: PodStep, seen: ObservedStep, run: RunLayout) -> StepReport:
    """Build the report of an attempt's end.

    Args:
        step: What the pod ran.
        seen: How it ended.
        run: The run directory; its evidence page is sent along after the stage that draws it.
    """
    has_succeeded = seen.phase is Phase.SUCCEEDED
    return StepReport(
        uid=step.uid,
        step=step.step,
        attempt=step.attempt,
        outcome="succeeded" if has_succeeded else "failed",
        progress=1.0 if has_succeeded else None,
        message=_cut_text(seen.message),
        reason=seen.reason,
        fix=_cut_text(seen.fix),
        duration_s=_get_seconds(seen.duration_s),
        metrics=clean_metrics(seen.metrics),
        evidence_html=pack_page(run) if has_succeeded and get_stage(step.stage).is_presentation else None,
    )


def clean_metrics(metrics: Sequence[Metric]) -> list[Metric]:
    """Leave out what JSON has no number for: a figure that is not finite, or an interval's bound.

    >>> clean_metrics([Metric(name="a", value=float("nan")), Metric(name="b", value=1, low=float("-inf"))])
    [Metric(name='b', value=1.0, unit='', low=None, high=None)]
    """
    finite = [metric for metric in metrics if math.isfinite(metric.value)]
    return [
        metric.model_copy(update={"low": _get_number(metric.low), "high": _get_number(metric.high)})
        for metric in finite[:MAX_METRICS]
    ]


def pack_page(run: RunLayout, limit: int = MAX_EVIDENCE_BYTES) -> str | None:
    """Return the evidence page as gzip in base64; equal pages pack equally.

    ``None`` where there is none, where it stays too large, and where a link leads out of the run directory: the pod
    holds files that no report may show.
    """
    path = run.evidence_html
    try:
        if not path.is_file() or not path.resolve().is_relative_to(run.root.resolve()):
            return None
        packed = gzip.compress(path.read_bytes(), mtime=0)
    except (OSError, RuntimeError):  # unreadable, or links that lead round in a circle
        return None
    return base64.b64encode(packed).decode() if len(packed) <= limit else None


def _get_share(value: Any) -> float | None:  # noqa: ANN401 - of a file that a stage writes
    number = _get_number(value)
    return None if number is None else min(max(number, 0.0), 1.0)


def _get_seconds(value: Any) -> float | None:  # noqa: ANN401 - as above
    number = _get_number(value)
    return None if number is None else max(number, 0.0)


def _get_number(value: Any) -> float | None:  # noqa: ANN401 - as above
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # JSON sets its whole numbers no limit
        return None
    return number if math.isfinite(number) else None


def _cut_text(value: Any) -> str:  # noqa: ANN401 - as above
    """Return a text that fits a report: half a surrogate pair, which a JSON file may name, is no UTF-8."""
    return str(value or "")[:MAX_TEXT].encode(errors="replace").decode()
