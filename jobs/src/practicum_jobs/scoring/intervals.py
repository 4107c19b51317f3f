"""Confidence intervals of a share and of a paired difference of shares, and McNemar's test.

Rows that share a template are not independent: they tend to be right or wrong together, and an interval that assumes
independence is too narrow. Therefore each interval is computed twice, by a closed form for independent rows and by a
bootstrap over groups. The smallest interval that covers both is reported; it may be too wide. The bootstrap alone is
not enough: its width is zero if all rows have the same outcome, and that of the closed forms is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval."""

    value: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Distance between the ends."""
        return self.high - self.low

    def cover(self, other: Interval) -> Interval:
        """Return this value with the smallest interval that covers both.

        >>> Interval(0.5, 0.4, 0.6).cover(Interval(0.5, 0.45, 0.7))
        Interval(value=0.5, low=0.4, high=0.7)
        """
        return Interval(self.value, min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class Bootstrap:
    """Options of the bootstrap: number of resamples and seed."""

    num_resamples: int = 2000
    seed: int = 7


def compute_wilson(num_right: int, num_rows: int, confidence: float = 0.95) -> Interval:
    """Return a share of independent rows with its Wilson score interval.

    Source: Wilson, JASA 22 (1927), 209-212.

    >>> interval = compute_wilson(8, 10)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.4902, 0.9433)
    """
    if not 0 <= num_right <= num_rows or num_rows == 0:
        raise ValueError(f"{num_right} of {num_rows} is not a share")
    z = _get_z(confidence)
    share = num_right / num_rows
    scale = 1 + z * z / num_rows
    centre = (share + z * z / (2 * num_rows)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / num_rows + z * z / (4 * num_rows * num_rows))
    low = 0.0 if num_right == 0 else max(centre - half, 0.0)
    high = 1.0 if num_right == num_rows else min(centre + half, 1.0)
    return Interval(share, low, high)


def compute_newcombe(base: Sequence[bool], tuned: Sequence[bool], confidence: float = 0.95) -> Interval:
    """Return the paired difference of two shares of independent rows, tuned minus base, with Newcombe's interval.

    Source: method 10 of Newcombe, Statistics in Medicine 17 (1998), 2635-2650: the two Wilson intervals combined
    with the correlation of the pairs. His table II gives 0.0569 to 0.3404 for counts 36, 12, 2, 0 (both, only
    first, only second, neither).

    >>> first = [True] * 48 + [False] * 2
    >>> second = [True] * 36 + [False] * 12 + [True] * 2
    >>> interval = compute_newcombe(second, first)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.0569, 0.3404)
    """
    both, only_tuned, only_base, neither = _count_pairs(base, tuned)
    num_rows = len(base)
    first = compute_wilson(both + only_tuned, num_rows, confidence)
    second = compute_wilson(both + only_base, num_rows, confidence)
    phi = _compute_phi(both, only_tuned, only_base, neither)
    difference = (only_tuned - only_base) / num_rows
    below = _combine(first.value - first.low, second.high - second.value, phi)
    above = _combine(first.high - first.value, second.value - second.low, phi)
    return Interval(difference, max(difference - below, -1.0), min(difference + above, 1.0))


def compute_group_bootstrap(
    values: Sequence[float], groups: Sequence[str], bootstrap: Bootstrap, confidence: float = 0.95
) -> Interval:
    """Return the mean of ``values`` with the percentile interval of a bootstrap over groups.

    Groups are drawn with replacement, each with all its rows. Source: the cluster bootstrap of Davison and Hinkley,
    Bootstrap Methods and their Application (1997), section 3.8.
    """
    _, places = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(places, weights=np.asarray(values, dtype=float))
    sizes = np.bincount(places)
    generator = np.random.default_rng(bootstrap.seed)
    drawn = generator.integers(0, len(sums), size=(bootstrap.num_resamples, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    value = float(np.mean(values))
    return Interval(value, min(float(low), value), max(float(high), value))


def estimate_share(
    outcomes: Sequence[bool], groups: Sequence[str], bootstrap: Bootstrap, confidence: float = 0.95
) -> Interval:
    """Return the share of true outcomes with an interval that covers Wilson's and that of the group bootstrap.

    >>> estimate_share([True, True, False, False], ["a", "a", "b", "b"], Bootstrap(200)).low
    0.0
    """
    interval = compute_wilson(sum(outcomes), len(outcomes), confidence)
    if not has_repeats(groups):
        return interval
    return interval.cover(compute_group_bootstrap([float(one) for one in outcomes], groups, bootstrap, confidence))


def estimate_difference(
    base: Sequence[bool],
    tuned: Sequence[bool],
    groups: Sequence[str],
    bootstrap: Bootstrap,
    confidence: float = 0.95,
) -> Interval:
    """Return tuned minus base with an interval that covers Newcombe's and that of the group bootstrap."""
    interval = compute_newcombe(base, tuned, confidence)
    if not has_repeats(groups):
        return interval
    values = [float(after) - float(before) for before, after in zip(base, tuned, strict=True)]
    return interval.cover(compute_group_bootstrap(values, groups, bootstrap, confidence))


def compute_mcnemar_p(num_wins: int, num_losses: int) -> float:
    """Return the exact two-sided p-value for the hypothesis that wins and losses are equally likely.

    It is 1 if there are neither wins nor losses.

    Source: McNemar, Psychometrika 12 (1947), 153-157, in its exact binomial form.

    >>> compute_mcnemar_p(5, 0)
    0.0625
    """
    total = num_wins + num_losses
    from scipy import stats  # noqa: PLC0415 - the import takes a second, and only this function needs it

    return float(stats.binomtest(num_wins, total, 0.5).pvalue) if total else 1.0


def has_repeats(groups: Sequence[str]) -> bool:
    """Whether two rows share a group.

    >>> has_repeats(["a", "b"]), has_repeats(["a", "a"])
    (False, True)
    """
    return len(set(groups)) < len(groups)


def _count_pairs(base: Sequence[bool], tuned: Sequence[bool]) -> tuple[int, int, int, int]:
    pairs = list(zip(base, tuned, strict=True))
    both, only_tuned = pairs.count((True, True)), pairs.count((False, True))
    only_base = pairs.count((True, False))
    return both, only_tuned, only_base, len(pairs) - both - only_tuned - only_base


def _compute_phi(both: int, only_tuned: int, only_base: int, neither: int) -> float:
    """Return the correlation of the pairs; a positive one gets Newcombe's continuity correction."""
    product = (both + only_tuned) * (only_base + neither) * (both + only_base) * (only_tuned + neither)
    if product == 0:
        return 0.0
    excess = both * neither - only_tuned * only_base
    num_rows = both + only_tuned + only_base + neither
    corrected = max(excess - num_rows / 2, 0.0) if excess > 0 else float(excess)
    return corrected / math.sqrt(product)


def _combine(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))


def _get_z(confidence: float) -> float:
    return NormalDist().inv_cdf(1 - (1 - confidence) / 2)
