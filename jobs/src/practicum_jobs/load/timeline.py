"""The time line of a test: what ran and what waited, second by second. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from practicum_core.stages.load_results import LoadLevel, LoadSample, ServerMetrics, TimelinePoint
from practicum_jobs.load.signals import ENGINE, GATEWAY, GATEWAY_WAITING, KV_USAGE, RUNNING, WAITING, rename_metrics

_MAX_POINTS = 600
_FRESH_S = 3
"""How long what a server said counts: on a busy machine, it misses a second now and then."""


def build_timeline(
    levels: Sequence[LoadLevel], samples: Sequence[LoadSample], metrics: Sequence[ServerMetrics]
) -> list[TimelinePoint]:
    """Build one point a second; of a test longer than ten minutes, one for every few seconds.

    Args:
        levels: All rates.
        samples: All requests; a rate lasts from its first to the end of its measured part.
        metrics: All that servers said.
    """
    by_second: dict[int, dict[str, ServerMetrics]] = defaultdict(dict)
    for one in metrics:
        by_second[round(one.at_s)][one.source] = one
    spans = []
    for level in levels:
        first_s = min((one.scheduled_s for one in samples if one.load == level.load), default=level.start_s)
        spans.append((first_s, level.end_s, level.rate))
    step = -(-len(by_second) // _MAX_POINTS) or 1
    return [_build_point(second, _merge(by_second, second), spans) for second in sorted(by_second)[::step]]


def _merge(by_second: dict[int, dict[str, ServerMetrics]], second: int) -> dict[str, ServerMetrics]:
    """Return the last that each server said until then, if that is not long ago."""
    latest: dict[str, ServerMetrics] = {}
    for at in range(second - _FRESH_S + 1, second + 1):
        latest |= by_second.get(at, {})
    return latest


def _build_point(
    second: int, sources: dict[str, ServerMetrics], spans: Sequence[tuple[float, float, float]]
) -> TimelinePoint:
    engines = [rename_metrics(one.values) for name, one in sources.items() if name.startswith(ENGINE)]
    gateway = sources[GATEWAY].values if GATEWAY in sources else {}

    def add_up(name: str) -> float | None:
        values = [values[name] for values in engines if name in values]
        return sum(values) if values else None

    return TimelinePoint(
        at_s=second,
        rate=next((rate for first_s, end_s, rate in spans if first_s <= second <= end_s), None),
        running=add_up(RUNNING),
        waiting=add_up(WAITING),
        gateway_waiting=gateway.get(GATEWAY_WAITING),
        kv_usage=max((values[KV_USAGE] for values in engines if KV_USAGE in values), default=None),
        num_engines=len(engines),
    )
