"""Random resamples of clusters: means of a bootstrap and sums with flipped signs, without drawing each item by itself.

The same seed gives the same numbers, whatever the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from practicum_jobs.scoring.intervals import Bootstrap

Floats = NDArray[np.float64]
TOLERANCE = 1e-9
"""Below this, sums of scores count as equal: they are rounding."""
NUM_BINS = 128
_FLIPPED_TOGETHER = 8
_MAX_CELLS = 4_000_000
_WORTH_GROUPING = 4


@dataclass(frozen=True)
class ClusterSums:
    """Sum of the values and number of items of each cluster."""

    sums: Floats
    sizes: Floats

    @property
    def mean(self) -> float:
        """Mean over all items."""
        return float(self.sums.sum() / self.sizes.sum())


@dataclass(frozen=True)
class _Groups:
    """Clusters that are drawn together: their number, mean sum, size, and the variance of their sums."""

    counts: NDArray[np.int64]
    sums: Floats
    sizes: Floats
    variances: Floats


def draw_means(grouped: ClusterSums, plan: Bootstrap) -> Floats:
    """Return the mean over items of each resample of the clusters with replacement.

    Clusters with the same sum and size are drawn together by a multinomial, which has the same distribution as drawing
    them one by one. Where most sums differ, the sums of each size are put into 128 bins of equal width: how often a bin
    is drawn is exact, and what its members differ from their mean is drawn from the normal distribution with their
    variance. For fractions, that part is about 1/10,000 of the variance of the mean. Few clusters are
    drawn one by one.
    """
    generator = np.random.default_rng(plan.seed)
    num_clusters = len(grouped.sums)
    for groups in (_group_equal(grouped), _group_by_bins(grouped)):
        if len(groups.counts) * _WORTH_GROUPING <= num_clusters:
            return np.concatenate(list(_draw_groups(groups, plan, generator)))
    parts = []
    for rows in _split_draws(plan.num_resamples, num_clusters):
        drawn = generator.integers(0, num_clusters, size=(rows, num_clusters))
        parts.append(grouped.sums[drawn].sum(axis=1) / grouped.sizes[drawn].sum(axis=1))
    return np.concatenate(parts)


def draw_flipped_sums(sizes: Floats, plan: Bootstrap) -> Floats:
    """Return the sum of ``sizes`` under random signs, once per resample.

    Equal sizes are flipped together: the number of those that stay positive is binomial. Where most differ, eight at a
    time are flipped by one random byte, which looks their sum up among the 256 possible ones.

    >>> sums = draw_flipped_sums(np.array([1.0, 2.0]), Bootstrap(100))
    >>> sorted(set(sums.tolist()))
    [-3.0, -1.0, 1.0, 3.0]
    """
    generator = np.random.default_rng(plan.seed)
    distinct, counts = np.unique(np.round(sizes, 12), return_counts=True)
    if len(distinct) * _WORTH_GROUPING > len(sizes):
        return _flip_by_bytes(sizes, plan, generator)
    parts = []
    for rows in _split_draws(plan.num_resamples, len(distinct)):
        positive = generator.binomial(counts, 0.5, size=(rows, len(counts)))
        parts.append((2 * positive - counts) @ distinct)
    return np.concatenate(parts)


def _flip_by_bytes(sizes: Floats, plan: Bootstrap, generator: np.random.Generator) -> Floats:
    padded = np.pad(sizes, (0, -len(sizes) % _FLIPPED_TOGETHER)).reshape(-1, _FLIPPED_TOGETHER)
    bits = (np.arange(2**_FLIPPED_TOGETHER) >> np.arange(_FLIPPED_TOGETHER)[:, None]) & 1
    totals = np.zeros(plan.num_resamples)
    for possible in padded @ (2.0 * bits - 1):
        totals += possible[np.frombuffer(generator.bytes(plan.num_resamples), dtype=np.uint8)]
    return totals


def _group_equal(grouped: ClusterSums) -> _Groups:
    pairs = np.column_stack([np.round(grouped.sums, 12), grouped.sizes])
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    return _Groups(counts, distinct[:, 0], distinct[:, 1], np.zeros(len(counts)))


def _group_by_bins(grouped: ClusterSums) -> _Groups:
    """Group the clusters of each size by the bin of their sum."""
    span = np.ptp(grouped.sums)
    bins = np.minimum((grouped.sums - grouped.sums.min()) / (span or 1.0) * NUM_BINS, NUM_BINS - 1).astype(int)
    sizes, place = np.unique(grouped.sizes, return_inverse=True)
    used, codes, counts = np.unique(place * NUM_BINS + bins, return_inverse=True, return_counts=True)
    means = np.bincount(codes, weights=grouped.sums) / counts
    variances = np.bincount(codes, weights=(grouped.sums - means[codes]) ** 2) / counts
    return _Groups(counts, means, sizes[used // NUM_BINS], variances)


def _draw_groups(groups: _Groups, plan: Bootstrap, generator: np.random.Generator) -> Iterator[Floats]:
    num_clusters = int(groups.counts.sum())
    columns = np.column_stack([groups.sums, groups.sizes, groups.variances])
    for rows in _split_draws(plan.num_resamples, len(groups.counts)):
        totals = generator.multinomial(num_clusters, groups.counts / num_clusters, size=rows) @ columns
        sums = totals[:, 0]
        if groups.variances.any():
            sums = sums + np.sqrt(totals[:, 2]) * generator.standard_normal(rows)
        yield sums / totals[:, 1]


def _split_draws(num_resamples: int, width: int) -> list[int]:
    """Return numbers of resamples that fit in memory at once."""
    rows = max(1, min(num_resamples, _MAX_CELLS // width))
    whole, rest = divmod(num_resamples, rows)
    return [rows] * whole + ([rest] if rest else [])
