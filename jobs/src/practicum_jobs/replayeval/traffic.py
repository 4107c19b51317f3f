"""Recorded times of requests: read from a load test's schedule or a trace, and laid out for a number of rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from practicum_core.errors import DataError
from practicum_core.traffic import TRAFFIC
from practicum_jobs.load.arrivals import read_trace
from practicum_jobs.load.recording import read_trace_file
from practicum_jobs.load.replay import list_replayable
from practicum_jobs.load.schedule import read_schedule


def read_arrivals(path: Path) -> list[list[float]]:
    """Read recorded times, in seconds from the start of each part; a schedule has one part for each rate.

    Args:
        path: Folder of a load test's schedule or of a recording, traffic of a gateway, or a trace with ``at_s`` alone.

    Raises:
        DataError: It is none of them, or there is no request in it.
    """
    recorded = path / TRAFFIC if (path / TRAFFIC).is_file() else path
    if recorded.name == TRAFFIC:
        parts = [[one.at_s for one in list_replayable(read_trace_file(recorded).requests)]]
    elif path.is_dir():
        schedule, _ = read_schedule(path)
        parts = [list(step.at_s) for step in schedule.steps]
    else:
        parts = [[one.at_s for one in read_trace(path)]]
    parts = [part for part in parts if part]
    if not parts:
        raise DataError(f"{path}: no requests", "give the schedule of a load test, or JSON lines with at_s")
    return parts


def lay_out(parts: Sequence[Sequence[float]], count: int, pace: float = 1.0) -> list[float]:
    """Return the times of ``count`` requests from 0 on: part after part, and from the first one again at the end.

    After the last request of a part, its mean gap passes.

    >>> lay_out([[0.0, 1.0], [5.0, 5.5]], 5)
    [0.0, 1.0, 2.0, 2.5, 3.0]
    """
    times: list[float] = []
    start_s = 0.0
    while True:
        for part in parts:
            span_s = part[-1] - part[0]
            for at_s in part:
                times.append(round((start_s + at_s - part[0]) / pace, 6))
                if len(times) == count:
                    return times
            start_s += span_s + (span_s / (len(part) - 1) if len(part) > 1 and span_s else 1.0)


def hash_times(times: Sequence[float]) -> str:
    """Return the SHA-256 of the times."""
    return hashlib.sha256(json.dumps(list(times)).encode()).hexdigest()
