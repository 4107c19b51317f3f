"""Comparison of two deployments: the difference of a percentile with an interval. Pure.

If both were asked by the same saved schedule, request by request, the same blocks are drawn from both, so that what the
schedule itself does (a burst, a long prompt) cancels out. Otherwise each gets blocks of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from practicum_jobs.load.percentiles import (
    Floats,
    Percentile,
    draw_percentiles,
    draw_weights,
    estimate_percentiles,
    find_block_length,
)
from practicum_jobs.scoring.intervals import Bootstrap, Interval

Verdict = Literal["faster", "slower", "unclear", "too_few"]
_MIN_BEYOND = 5
"""Independent requests beyond the percentile below which a resample says nothing of it."""


@dataclass(frozen=True)
class Difference:
    """Candidate minus base of one percentile.

    Attributes:
        quantile: Such as 0.99.
        base: Of the base.
        candidate: Of the candidate.
        interval: The difference with its 95% interval.
        is_paired: Whether the same requests were compared.
        verdict: ``too_few`` where fewer than five independent requests lie beyond the percentile.
    """

    quantile: float
    base: Percentile
    candidate: Percentile
    interval: Interval
    is_paired: bool
    verdict: Verdict


def compare_percentile(
    base: Sequence[float], candidate: Sequence[float], quantile: float, bootstrap: Bootstrap, *, is_paired: bool
) -> Difference:
    """Compare a percentile of two deployments.

    Args:
        base: Latencies of the base in the order of arrival.
        candidate: Those of the candidate; with ``is_paired``, of the same requests in the same order.
        quantile: Such as 0.99.
        bootstrap: Number of resamples and seed.
        is_paired: Whether the same requests were asked of both.

    Raises:
        ValueError: One has no values, or pairs are of different number.

    >>> slow = [1.0 + (number % 10) / 100 for number in range(600)]
    >>> compare_percentile(slow, [one - 0.5 for one in slow], 0.99, Bootstrap(200), is_paired=True).verdict
    'faster'
    """
    if not base or not candidate or (is_paired and len(base) != len(candidate)):
        raise ValueError(f"{len(base)} and {len(candidate)} latencies cannot be compared")
    before, after = (estimate_percentiles(one, bootstrap, [quantile])[0] for one in (base, candidate))
    drawn = _draw_differences(base, candidate, quantile, bootstrap, is_paired=is_paired)
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    value = after.value - before.value
    interval = Interval(value, min(low, value), max(high, value))
    beyond = min(before.num_independent, after.num_independent) * (1 - quantile)
    verdict = _judge(interval) if beyond >= _MIN_BEYOND else "too_few"
    return Difference(quantile, before, after, interval, is_paired, verdict)


def _draw_differences(
    base: Sequence[float], candidate: Sequence[float], quantile: float, bootstrap: Bootstrap, *, is_paired: bool
) -> Floats:
    lengths = [find_block_length(one) for one in (base, candidate)]
    if is_paired:
        lengths = [max(lengths)] * 2
    # Equal seeds and lengths draw the same blocks from both.
    plans = [bootstrap, bootstrap if is_paired else replace(bootstrap, seed=bootstrap.seed + 1)]
    before, after = (
        draw_percentiles(values, draw_weights(len(values), length, plan), [quantile]).values[:, 0]
        for values, length, plan in zip((base, candidate), lengths, plans, strict=True)
    )
    return after - before


def _judge(interval: Interval) -> Verdict:
    if interval.high < 0:
        return "faster"
    return "slower" if interval.low > 0 else "unclear"
