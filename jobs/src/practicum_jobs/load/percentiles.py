"""Percentiles of latencies with intervals that allow for correlated neighbours. Pure.

Requests that arrive together wait in the same queue, so their latencies are correlated, and an interval for independent
values is too narrow. Blocks of consecutive requests are drawn with replacement instead (circular block bootstrap,
Politis and Romano 1992); the length of a block follows from the autocorrelation (Politis and White 2004). A bootstrap
cannot reach beyond the largest value that was seen, so the interval also covers that of the order statistics for the
number of independent requests that the same bootstrap implies. With too few requests it is open at the top.

Sequences are in the order of arrival, one value for each request.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from practicum_jobs.load.quantile import find_quantile
from practicum_jobs.scoring.intervals import Bootstrap

Floats = NDArray[np.float64]
QUANTILES = (0.5, 0.95, 0.99)
_TAIL = 0.025
"""On each side of an interval of 95%."""
_MAX_CELLS = 4_000_000
_MIN_VALUES = 8
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Percentile:
    """A percentile with its 95% interval.

    Attributes:
        quantile: Such as 0.99.
        value: The smallest value that at least this share of all values does not exceed; one that was measured.
        low: Lower end.
        high: Upper end; ``None`` where there are too few values to bound it from above.
        num_independent: How many independent requests tell as much about it as these did.
    """

    quantile: float
    value: float
    low: float
    high: float | None
    num_independent: float


def estimate_percentiles(
    values: Sequence[float], bootstrap: Bootstrap, quantiles: Sequence[float] = QUANTILES
) -> list[Percentile]:
    """Return percentiles with their intervals; an empty list for no value.

    Fewer than eight values give no upper end.

    >>> [one.value for one in estimate_percentiles([1.0, 2.0, 3.0, 4.0], Bootstrap(100))]
    [2.0, 4.0, 4.0]
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    found = [find_quantile(ordered, quantile) for quantile in quantiles]
    if len(values) < _MIN_VALUES:
        pairs = zip(quantiles, found, strict=True) if len(values) else ()
        return [Percentile(quantile, value, float(ordered[0]), None, 1.0) for quantile, value in pairs]
    sampled = draw_percentiles(values, draw_weights(len(values), find_block_length(values), bootstrap), quantiles)
    return [_estimate(ordered, sampled, index, quantile) for index, quantile in enumerate(quantiles)]


@dataclass(frozen=True)
class Resampled:
    """Percentiles of resamples.

    Attributes:
        values: ``values[resample, quantile]``.
        shares: ``shares[resample, quantile]`` of each resample at or below that percentile of the whole sample.
    """

    values: Floats
    shares: Floats


def draw_percentiles(
    values: Sequence[float], weights: Iterator[NDArray[np.float32]], quantiles: Sequence[float] = QUANTILES
) -> Resampled:
    """Return the percentiles of resamples, of which each has every value so many times as its row of weights says."""
    array = np.asarray(values, dtype=float)
    order = np.argsort(array, kind="stable")
    ordered = array[order]
    places = [int(np.searchsorted(ordered, find_quantile(ordered, one), side="right")) - 1 for one in quantiles]
    drawn, shares = [], []
    for part in weights:
        totals = np.cumsum(part[:, order], axis=1, dtype=np.float64)
        ends = [(totals >= one * len(array) - _ROUNDING).argmax(axis=1) for one in quantiles]
        drawn.append(np.column_stack([ordered[end] for end in ends]))
        shares.append(totals[:, places] / len(array))
    return Resampled(np.concatenate(drawn), np.concatenate(shares))


def draw_weights(num_requests: int, block_length: int, bootstrap: Bootstrap) -> Iterator[NDArray[np.float32]]:
    """Yield how often each request is in each resample, some resamples at a time.

    A resample is made of blocks of ``block_length`` that start anywhere; requests stand in a circle for that.

    >>> [part.sum(axis=1).tolist() for part in draw_weights(6, 4, Bootstrap(3))]
    [[6.0, 6.0, 6.0]]
    """
    generator = np.random.default_rng(bootstrap.seed)
    num_blocks = math.ceil(num_requests / block_length)
    lengths = np.full(num_blocks, block_length)
    lengths[-1] = num_requests - block_length * (num_blocks - 1)
    most = max(1, _MAX_CELLS // (2 * num_requests))
    for first in range(0, bootstrap.num_resamples, most):
        num = min(most, bootstrap.num_resamples - first)
        starts = generator.integers(0, num_requests, size=(num, num_blocks))
        width = 2 * num_requests + 1
        rows = width * np.arange(num)[:, None]
        begins, ends = (np.bincount((rows + at).ravel(), minlength=num * width) for at in (starts, starts + lengths))
        counts = np.cumsum((begins - ends).reshape(num, width)[:, :-1], axis=1).astype(np.float32)
        yield counts[:, :num_requests] + counts[:, num_requests:]


def find_block_length(values: Sequence[float]) -> int:
    """Return the length of blocks for which a circular block bootstrap is best, by the autocorrelation of the ranks.

    Source: Politis and White, Econometric Reviews 23 (2004), 53-70, with the correction of Patton, Politis and White,
    Econometric Reviews 28 (2009), 372-375. Ranks are used because one slow request would hide the correlation.

    >>> find_block_length(np.random.default_rng(1).normal(size=500)) <= 4
    True
    >>> find_block_length(np.cumsum(np.random.default_rng(1).normal(size=500))) >= 30
    True
    """
    array = np.asarray(values, dtype=float)
    num = len(array)
    if num < _MIN_VALUES or np.ptp(array) == 0:
        return 1
    covariances, num_compared = _compute_covariances(array)
    most = len(covariances) - 1
    is_small = np.abs(covariances[1:] / covariances[0]) < 2 * math.sqrt(math.log10(num) / num)
    quiet = [lag for lag in range(most - num_compared + 1) if is_small[lag : lag + num_compared].all()]
    width = min(2 * max(quiet[0] if quiet else most, 1), most)
    lags = np.arange(-width, width + 1)
    terms = np.minimum(1.0, 2 * (1 - np.abs(lags) / width)) * covariances[np.abs(lags)]
    variance = 4 / 3 * float(np.sum(terms)) ** 2
    bias = float(np.sum(np.abs(lags) * terms))
    longest = math.ceil(min(3 * math.sqrt(num), num / 3))
    best = (2 * bias**2 / variance * num) ** (1 / 3) if variance > 0 else math.inf
    return max(1, math.ceil(min(best, longest)))


def _compute_covariances(array: Floats) -> tuple[Floats, int]:
    """Return the autocovariances of the ranks, and how many of them in a row must be small to count as none."""
    num = len(array)
    ranks = np.argsort(np.argsort(array, kind="stable"), kind="stable").astype(float)
    centred = ranks - ranks.mean()
    num_compared = max(5, math.ceil(math.sqrt(math.log10(num))))
    most = min(math.ceil(math.sqrt(num)) + num_compared, num - 1)
    return np.array([centred[: num - lag] @ centred[lag:] / num for lag in range(most + 1)]), num_compared


def _estimate(ordered: Floats, sampled: Resampled, index: int, quantile: float) -> Percentile:
    value = find_quantile(ordered, quantile)
    drawn = np.sort(sampled.values[:, index])
    low, high = find_quantile(drawn, _TAIL), find_quantile(drawn, 1 - _TAIL)
    num_independent = _count_independent(sampled.shares[:, index], len(ordered))
    below, above = _bound_by_order(ordered, num_independent, quantile)
    return Percentile(
        quantile, value, min(low, below, value), None if above is None else max(high, above, value), num_independent
    )


def _count_independent(shares: Floats, num_requests: int) -> float:
    """Return the number of independent requests whose share below a value would vary as those of the resamples do."""
    share, spread = float(np.mean(shares)), float(np.var(shares))
    if spread <= 0:
        return float(num_requests)
    return max(min(share * (1 - share) / spread, float(num_requests)), 1.0)


def _bound_by_order(ordered: Floats, num_independent: float, quantile: float) -> tuple[float, float | None]:
    """Return the interval of the order statistics; without an upper end where none of the values is high enough.

    Source: David and Nagaraja, Order Statistics (2003), section 7.1.
    """
    from scipy import stats  # noqa: PLC0415 - the import takes a second, and only this function needs it

    num = max(int(num_independent), 1)
    first, last = (int(stats.binom.ppf(tail, num, quantile)) for tail in (_TAIL, 1 - _TAIL))
    low = find_quantile(ordered, max(first, 1) / num)
    return low, None if last + 1 > num else find_quantile(ordered, (last + 1) / num)
