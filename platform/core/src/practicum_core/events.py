"""Decides the lines of a run's ``events.jsonl``: the same from the local executor and from a pod. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any


def build_event_line(now: dt.datetime, event: str, **details: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Return one line; details that say nothing are left out.

    >>> build_event_line(dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "step_started", step="sft", fix="")
    {'time': '2026-01-02T00:00:00.000+00:00', 'event': 'step_started', 'step': 'sft'}
    """
    known = {key: value for key, value in details.items() if value not in (None, "")}
    return {"time": now.isoformat(timespec="milliseconds"), "event": event, **known}
