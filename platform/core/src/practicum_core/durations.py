"""How long a run took: the seconds in which at least one of its steps ran."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable

from practicum_core.stages.base import StageRecord


def measure_duration(records: Iterable[StageRecord]) -> float:
    """Return the seconds in which at least one of the steps of some records ran.

    A server runs beside the steps that ask it: a sum of all durations would count the same seconds twice. A record
    without a time of its start counts with its whole duration.

    >>> times = {"started_at": "2026-01-02T03:04:05Z", "finished_at": "2026-01-02T03:05:05Z", "duration_s": 60}
    >>> later = {"started_at": "2026-01-02T03:05:00Z", "finished_at": "2026-01-02T03:05:30Z", "duration_s": 30}
    >>> both = [StageRecord(stage=name, step=name, **one) for name, one in (("serve", times), ("loadtest", later))]
    >>> measure_duration(both), measure_duration([])
    (85.0, 0.0)
    """
    spans: list[tuple[float, float]] = []
    total_s = 0.0
    for record in records:
        began = parse_time(record.started_at)
        if began is None:
            total_s += record.duration_s
        else:
            spans.append((began.timestamp(), began.timestamp() + record.duration_s))
    reached_s = -math.inf
    for start_s, end_s in sorted(spans):
        total_s += max(end_s - max(start_s, reached_s), 0.0)
        reached_s = max(reached_s, end_s)
    return round(total_s, 3)


def parse_time(text: str) -> dt.datetime | None:
    """Return a time of ISO 8601; ``None`` where it is none, or has no time zone.

    >>> parse_time("2026-01-02T03:04:05+00:00").hour, parse_time("2026-01-02T03:04:05"), parse_time("yesterday")
    (3, None, None)
    """
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
