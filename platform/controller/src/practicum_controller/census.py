"""Counts over all week jobs, for the series that Prometheus reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from practicum_core.phases import Phase

Document = Mapping[str, Any]


def count_phases(week_jobs: Iterable[Document]) -> dict[str, int]:
    """Return how many week jobs stand in each phase."""
    counts = dict.fromkeys((phase.value for phase in Phase), 0)
    for one in week_jobs:
        phase = str((one.get("status") or {}).get("phase") or Phase.PENDING.value)
        # A phase that another version wrote is counted too.
        counts[phase] = counts.get(phase, 0) + 1
    return counts


def list_progress(week_jobs: Iterable[Document]) -> dict[tuple[str, str, str], float]:
    """Return the share done of each week job that runs, by namespace, name and unit.

    >>> one = {"metadata": {"namespace": "student-01", "name": "week-03"}, "spec": {"unit": "sft"}}
    >>> list_progress([one | {"status": {"phase": "Running", "progress": "25%"}}])
    {('student-01', 'week-03', 'sft'): 0.25}
    >>> list_progress([one | {"status": {"phase": "Running", "progress": "a quarter"}}])
    {}
    """
    shares: dict[tuple[str, str, str], float] = {}
    for one in week_jobs:
        status = one.get("status") or {}
        percent = str(status.get("progress", "")).removesuffix("%")
        if status.get("phase") == Phase.RUNNING.value and percent.isascii() and percent.isdecimal():
            metadata = one["metadata"]
            key = (metadata["namespace"], metadata["name"], str((one.get("spec") or {}).get("unit", "")))
            shares[key] = int(percent) / 100
    return shares
