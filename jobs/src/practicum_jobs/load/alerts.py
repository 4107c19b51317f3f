"""Alerts on recorded traffic: burn rates of an error budget over two windows, as Prometheus rules have them. Pure.

The rule is the multi-window one of the SRE workbook (Beyer et al. 2018, chapter 5): an alert fires while the budget
burns too fast over a long and over a short window. Its windows, an hour and five minutes there, are seconds here, so
that it fires and ends within an experiment of a minute.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.traffic import TraceEvent, TraceRequest

_TICK_S = 0.5


@dataclass(frozen=True)
class AlertRule:
    """When an alert fires.

    Attributes:
        name: Of the alert.
        outcomes: Outcomes of requests that use up the budget.
        budget: Share of requests that may end so.
        burn_rate: How many times faster than that is too fast.
        long_s: Longer window.
        short_s: Shorter window, by which it ends.
    """

    name: str
    outcomes: frozenset[str]
    budget: float
    burn_rate: float
    long_s: float = 12.0
    short_s: float = 3.0


RULES = (
    AlertRule("errors_burn", frozenset({"error", "gone"}), budget=0.01, burn_rate=14.4),
    AlertRule("degraded_burn", frozenset({"error", "gone", "degraded"}), budget=0.05, burn_rate=6.0),
)
"""One for requests that are not answered, and one for those that are not answered in full."""


def list_alerts(requests: Sequence[TraceRequest], rules: Sequence[AlertRule] = RULES) -> list[TraceEvent]:
    """List when alerts fire and end, in order.

    A request counts at its end. Without requests in the short window nothing changes.

    >>> bad = [TraceRequest(at_s=n, path="/", status=503, total_s=0.1) for n in range(10)]
    >>> good = [TraceRequest(at_s=n, path="/", status=200, total_s=0.1) for n in range(10, 40)]
    >>> [(one.subject, one.after) for one in list_alerts([*bad, *good], RULES[:1])]
    [('errors_burn', 'firing'), ('errors_burn', 'quiet')]
    """
    ends = sorted((one.at_s + one.total_s, one.outcome) for one in requests)
    if not ends:
        return []
    found: list[TraceEvent] = []
    times = [at_s for at_s, _ in ends]
    for rule in rules:
        is_firing = False
        # Failures among the first requests, so that a window takes two looks and not one for each request.
        sums = [0, *itertools.accumulate(outcome in rule.outcomes for _, outcome in ends)]
        for tick in range(int(ends[-1][0] / _TICK_S) + 2):
            now_s = tick * _TICK_S
            shares = [_measure_share(times, sums, now_s, window_s) for window_s in (rule.long_s, rule.short_s)]
            if shares[0] is None or shares[1] is None:
                continue
            bound = rule.budget * rule.burn_rate
            wants = min(shares[0], shares[1]) > bound if not is_firing else shares[1] > bound
            if wants is not is_firing:
                states = ("quiet", "firing") if wants else ("firing", "quiet")
                found.append(TraceEvent(at_s=now_s, what="alert", subject=rule.name, before=states[0], after=states[1]))
            is_firing = wants
    return sorted(found, key=lambda one: one.at_s)


def _measure_share(times: Sequence[float], sums: Sequence[int], now_s: float, window_s: float) -> float | None:
    low, high = bisect.bisect_right(times, now_s - window_s), bisect.bisect_right(times, now_s)
    return (sums[high] - sums[low]) / (high - low) if high > low else None
