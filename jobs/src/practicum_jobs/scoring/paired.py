"""Tests and intervals for two models scored on the same items, with items that may be clustered.

Items of one cluster (a template, a document) tend to be right or wrong together. Each procedure here works on the sums
of clusters, so that an item alone is a cluster of one. The estimate is the mean over items, candidate minus base.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from practicum_jobs.scoring.intervals import Bootstrap, Interval, compute_mcnemar_p
from practicum_jobs.scoring.resamples import TOLERANCE, ClusterSums, draw_flipped_sums, draw_means

Floats = NDArray[np.float64]
_MAX_ENUMERATED = 15


@dataclass(frozen=True)
class PairedOutcomes:
    """Scores of two models on the same items, in the same order; right and wrong are 1 and 0.

    ``clusters`` names each item's cluster; an empty one means that items are independent.
    """

    base: Sequence[float]
    candidate: Sequence[float]
    clusters: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for no items, unequal lengths and scores that are not finite."""
        if not len(self.base) or len(self.base) != len(self.candidate):
            raise ValueError(f"{len(self.base)} scores of base and {len(self.candidate)} of candidate are not pairs")
        if len(self.clusters) not in (0, len(self.base)):
            raise ValueError(f"{len(self.clusters)} clusters for {len(self.base)} items")
        if not np.isfinite(self.differences).all():
            raise ValueError("a score is not a finite number")

    @property
    def differences(self) -> Floats:
        """Candidate minus base, one per item."""
        differences: Floats = np.asarray(self.candidate, dtype=float) - np.asarray(self.base, dtype=float)
        return differences

    @property
    def is_binary(self) -> bool:
        """Whether every score is 0 or 1."""
        return bool(np.isin(np.concatenate([self.base, self.candidate]).astype(float), (0.0, 1.0)).all())

    @property
    def num_clusters(self) -> int:
        """Number of distinct clusters; of items where they are independent."""
        return len(set(self.clusters)) or len(self.base)

    @property
    def is_clustered(self) -> bool:
        """Whether two items share a cluster."""
        return len(set(self.clusters)) < len(self.clusters)


@dataclass(frozen=True)
class PairedTest:
    """A test's name, two-sided p-value, and the count of items or clusters that decided it."""

    method: str
    p: float
    num_decisive: int


@dataclass(frozen=True)
class MeanEstimate:
    """A mean with its standard error, degrees of freedom, interval and two-sided p-value against 0."""

    interval: Interval
    standard_error: float
    degrees: float
    p: float
    num_clusters: int


def sum_clusters(values: Sequence[float] | Floats, clusters: Sequence[str] = ()) -> ClusterSums:
    """Return sums and sizes by cluster; without ``clusters`` each value is its own.

    >>> sum_clusters([1, 0, 1], ["a", "a", "b"]).sums.tolist()
    [1.0, 1.0]
    """
    array = np.asarray(values, dtype=float)
    if not len(clusters):
        return ClusterSums(array, np.ones(len(array)))
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    return ClusterSums(np.bincount(codes, weights=array).astype(float), np.bincount(codes).astype(float))


def estimate_mean(
    values: Sequence[float] | Floats, clusters: Sequence[str] = (), confidence: float = 0.95
) -> MeanEstimate:
    """Return a mean with its clustered standard error (CR2) and a t interval.

    For equal clusters this is the factor C / (C - 1) and C - 1 degrees of freedom; for independent items, the usual
    t interval. For unequal clusters, CR2 divides each cluster's squared sum of residuals by 1 - its share of the items,
    and the degrees of freedom follow Satterthwaite under independent items. With 8, 20 and 60 unequal clusters that
    covers 93 to 97 % (docs/benchmarks.md), where C - 1 covers 90 % and a working correlation of 1 covers 99 % with 8
    clusters. One cluster gives an interval without ends and p = 1.

    Source: Bell and McCaffrey, Survey Methodology 28 (2002), 169-181; Imbens and Kolesar, Review of Economics and
    Statistics 98 (2016), 701-712.

    >>> estimate = estimate_mean([1, 0, 1, 1], ["a", "a", "b", "b"])
    >>> estimate.degrees, round(estimate.standard_error, 6)
    (1.0, 0.25)
    """
    from scipy import special  # noqa: PLC0415 - the import is slow, and reading results does not need it

    grouped = sum_clusters(values, clusters)
    num_clusters, mean = len(grouped.sums), grouped.mean
    if num_clusters == 1:
        return MeanEstimate(Interval(mean, -math.inf, math.inf), math.inf, 0.0, 1.0, 1)
    shares = grouped.sizes / grouped.sizes.sum()
    residuals = (grouped.sums - grouped.sizes * mean) / grouped.sizes.sum()
    error = math.sqrt(float((residuals**2 / (1 - shares)).sum()))
    error = 0.0 if error < TOLERANCE else error
    degrees = _compute_degrees(shares)
    half = float(special.stdtrit(degrees, (1 + confidence) / 2)) * error
    p = _compute_t_p(mean, error, degrees)
    return MeanEstimate(Interval(mean, mean - half, mean + half), error, degrees, p, num_clusters)


def estimate_difference_of_means(outcomes: PairedOutcomes, confidence: float = 0.95) -> MeanEstimate:
    """Return candidate minus base with its clustered t interval; see ``estimate_mean``."""
    return estimate_mean(outcomes.differences, outcomes.clusters, confidence)


def run_mcnemar(outcomes: PairedOutcomes, bootstrap: Bootstrap | None = None) -> PairedTest:
    """Return McNemar's exact test of binary scores, or its form for clustered items.

    With clusters the signs of the clusters' sums of wins minus losses are flipped, as ``permute_signs`` does: with
    clusters of one item that is the exact binomial test itself. The same sums, squared and compared with a chi-square,
    make the test of Durkalski et al., Statistics in Medicine 22 (2003), 2417-2428, which needs many clusters.

    >>> run_mcnemar(PairedOutcomes([0] * 5, [1] * 5)).p
    0.0625
    """
    if not outcomes.is_binary:
        raise ValueError("McNemar's test needs scores of 0 and 1")
    if outcomes.is_clustered:
        result = permute_signs(outcomes, bootstrap)
        return PairedTest("mcnemar-clustered", result.p, result.num_decisive)
    wins, losses = int((outcomes.differences > 0).sum()), int((outcomes.differences < 0).sum())
    return PairedTest("mcnemar-exact", compute_mcnemar_p(wins, losses), wins + losses)


def permute_signs(outcomes: PairedOutcomes, bootstrap: Bootstrap | None = None) -> PairedTest:
    """Return the sign-flip permutation test of the mean difference; the signs of whole clusters are flipped.

    Up to 15 clusters with a difference are enumerated; beyond that flips are drawn and p is (b + 1) / (B + 1).
    Source: Phipson and Smyth, Statistical Applications in Genetics and Molecular Biology 9 (2010), article 39.

    >>> permute_signs(PairedOutcomes([0] * 5, [1, 1, 1, 1, 0])).p
    0.125
    """
    plan = bootstrap or Bootstrap()
    sums = sum_clusters(outcomes.differences, outcomes.clusters).sums
    observed = abs(float(sums.sum()))
    sizes = np.abs(sums)[np.abs(sums) > TOLERANCE]
    if not len(sizes):
        return PairedTest("sign-flip", 1.0, 0)
    if len(sizes) <= _MAX_ENUMERATED:
        # The first sign stays: turning all signs turns the total, and both count by their distance from 0.
        bits = (np.arange(2 ** (len(sizes) - 1))[:, None] >> np.arange(len(sizes) - 1)) & 1
        totals = sizes[0] + (2 * bits - 1) @ sizes[1:]
        return PairedTest("sign-flip", float((np.abs(totals) >= observed - TOLERANCE).mean()), len(sizes))
    reached = int((np.abs(draw_flipped_sums(sizes, plan)) >= observed - TOLERANCE).sum())
    return PairedTest("sign-flip", (reached + 1) / (plan.num_resamples + 1), len(sizes))


def bootstrap_bca(outcomes: PairedOutcomes, bootstrap: Bootstrap | None = None, confidence: float = 0.95) -> Interval:
    """Return the mean difference with the BCa interval of a bootstrap over clusters.

    The resamples are those of ``draw_means``; the jackknife is in closed form. Differences that are all equal give an
    interval of width 0. Source: Efron, JASA 82 (1987), 171-185. ``scipy.stats.bootstrap`` gives the same interval; its
    jackknife takes the square of the number of clusters.
    """
    from scipy import special  # noqa: PLC0415 - the import is slow, and reading results does not need it

    plan = bootstrap or Bootstrap()
    grouped = sum_clusters(outcomes.differences, outcomes.clusters)
    mean = grouped.mean
    means = draw_means(grouped, plan)
    if np.ptp(means) < TOLERANCE:
        return Interval(mean, mean, mean)
    below = (np.mean(means < mean - TOLERANCE) + np.mean(means <= mean + TOLERANCE)) / 2
    bias = float(special.ndtri(below))
    left = (grouped.sums.sum() - grouped.sums) / (grouped.sizes.sum() - grouped.sizes)
    gaps = left.mean() - left
    acceleration = float((gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5))
    tails = special.ndtri([(1 - confidence) / 2, (1 + confidence) / 2])
    shifted = special.ndtr(bias + (bias + tails) / (1 - acceleration * (bias + tails)))
    low, high = np.quantile(means, shifted)
    return Interval(mean, float(low), float(high))


def _compute_degrees(shares: Floats) -> float:
    """Return Satterthwaite's degrees of freedom of CR2 for a mean; shares are of clusters, and sum to 1.

    The sums of clusters have variances proportional to their size. The matrix of the quadratic form is diagonal plus
    rank one with trace 1, so its squares need only sums; equal clusters give their number - 1.
    """
    weights = 1 / (1 - shares)
    crossed = float((weights * shares**2).sum())
    return 1 / (crossed**2 + float((weights**2 * shares**2 * (1 - 2 * shares)).sum()))


def _compute_t_p(distance: float, error: float, degrees: float) -> float:
    from scipy import special  # noqa: PLC0415 - the import is slow, and reading results does not need it

    if error == 0:
        return 1.0 if abs(distance) < TOLERANCE else 0.0
    return float(2 * special.stdtr(degrees, -abs(distance) / error))
