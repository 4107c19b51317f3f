"""The lines of ``events.jsonl``, as the local executor and the pods write them. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

from practicum_core.observed import ObservedStep


def build_event_line(now: dt.datetime, event: str, **details: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return one line; empty details are left out.

    >>> build_event_line(dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "step_started", step="sft", fix="")
    {'time': '2026-01-02T00:00:00.000+00:00', 'event': 'step_started', 'step': 'sft'}
    """
    known = {key: value for key, value in details.items() if value not in (None, "")}
    return {"time": now.isoformat(timespec="milliseconds"), "event": event, **known}


def describe_end(step: str, seen: ObservedStep, wall_s: float | None = None) -> dict[str, Any]:
    """Return the details of the event ``step_finished``.

    Args:
        step: Name of the step.
        seen: The step as observed at its end.
        wall_s: Seconds from start to end of its process; ``None`` if the process never started.
    """
    return {
        "step": step,
        "phase": seen.phase,
        "reason": seen.reason,
        "message": seen.message,
        "fix": seen.fix,
        "duration_s": seen.duration_s,
        "wall_s": wall_s,
    }
