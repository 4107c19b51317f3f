"""The smallest difference that a comparison can detect, before the run and after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from practicum_jobs.scoring.paired import PairedOutcomes, estimate_difference_of_means, sum_clusters
from practicum_jobs.scoring.resamples import Floats

ASSUMED_CORRELATION = 0.25
"""Intra-cluster correlation where none can be measured: about that of pupils' achievement within schools.

Source: Hedges and Hedberg, Educational Evaluation and Policy Analysis 29 (2007), 60-87, who find 0.22 on average.
"""


@dataclass(frozen=True)
class Power:
    """Two-sided error rate, and the chance to detect the difference asked for."""

    alpha: float = 0.05
    power: float = 0.8


@dataclass(frozen=True)
class Design:
    """A comparison that is planned: its items, its clusters, and what is guessed about them.

    ``correlation`` is the intra-cluster correlation of the differences. ``discordance`` is the share of items that one
    model gets right and the other wrong; it is their variance where there is no difference.
    """

    num_items: int
    num_clusters: int
    correlation: float = 0.0
    discordance: float = 0.25

    @property
    def effect(self) -> float:
        """Factor by which clusters of equal size raise the variance (Kish, Survey Sampling, 1965, section 5.4).

        >>> Design(100, 20, 0.5).effect
        3.0
        """
        return 1 + (self.num_items / self.num_clusters - 1) * self.correlation


def plan_smallest_detectable(design: Design, power: Power | None = None) -> float:
    """Return the smallest detectable difference before a run; infinite for fewer than two clusters.

    >>> round(plan_smallest_detectable(Design(10_000, 10_000)), 4)
    0.014
    """
    if design.num_clusters < 2:  # noqa: PLR2004 - one cluster leaves no degrees of freedom
        return math.inf
    error = math.sqrt(design.discordance * design.effect / design.num_items)
    return _multiply(error, design.num_clusters - 1, power or Power())


def compute_smallest_detectable(outcomes: PairedOutcomes, power: Power | None = None) -> float:
    """Return the smallest difference that this run could have detected, from the variance of its differences.

    A small sample may show no difference by luck. Therefore the standard error is at least that of the largest share of
    discordant items which would still show none with probability alpha: 1 - alpha ** (1 / n), the "rule of
    three" (Hanley and Lippman-Hand, JAMA 249 (1983), 1743-1745). That floor assumes scores from 0 to 1, and its n is
    the number of independent items that the clusters are worth.
    """
    asked = power or Power()
    estimate = estimate_difference_of_means(outcomes)
    if estimate.degrees == 0:
        return math.inf
    num_independent = count_independent_items(outcomes)
    floor = math.sqrt((1 - asked.alpha ** (1 / num_independent)) / num_independent)
    return _multiply(max(estimate.standard_error, floor), estimate.degrees, asked)


def count_independent_items(outcomes: PairedOutcomes) -> float:
    """Return how many independent items the items of the clusters are worth (Kish, Survey Sampling, 1965, section 5.4).

    The correlation within clusters is the largest of those of both models' scores and of their differences: few or no
    differences say nothing of it. It is ``ASSUMED_CORRELATION`` where no score differs from another.

    >>> count_independent_items(PairedOutcomes([1, 1, 0, 0], [1, 1, 0, 0], ["a", "a", "b", "b"]))
    2.0
    """
    num_items = len(outcomes.base)
    sizes = sum_clusters(outcomes.base, outcomes.clusters).sizes
    if len(sizes) == num_items:
        return float(num_items)
    series = [np.asarray(outcomes.base, float), np.asarray(outcomes.candidate, float), outcomes.differences]
    varied = [values for values in series if np.ptp(values) > 0]
    correlations = [estimate_correlation(values, outcomes.clusters) for values in varied]
    correlation = max(correlations, default=ASSUMED_CORRELATION)
    return num_items / (1 + (float((sizes**2).sum()) / num_items - 1) * correlation)


def estimate_correlation(values: Floats, clusters: Sequence[str]) -> float:
    """Return the intra-cluster correlation of values by one-way analysis of variance, at least 0.

    Source: Donner and Klar, Design and Analysis of Cluster Randomization Trials (2000), section 1.4.

    >>> estimate_correlation(np.array([1.0, 1.0, 0.0, 0.0]), ["a", "a", "b", "b"])
    1.0
    """
    grouped = sum_clusters(values, clusters)
    num_items, num_clusters = len(values), len(grouped.sums)
    if num_clusters in (1, num_items):
        return 0.0
    means = grouped.sums / grouped.sizes
    between = float((grouped.sizes * (means - grouped.mean) ** 2).sum()) / (num_clusters - 1)
    squares = float((values**2).sum() - (grouped.sizes * means**2).sum())
    within = max(squares, 0.0) / (num_items - num_clusters)
    size = (num_items - float((grouped.sizes**2).sum()) / num_items) / (num_clusters - 1)
    total = between + (size - 1) * within
    return float(np.clip((between - within) / total, 0.0, 1.0)) if total > 0 else 0.0


def _multiply(error: float, degrees: float, power: Power) -> float:
    """Return the standard error times Bloom's multiplier (Evaluation Review 19 (1995), 547-556)."""
    from scipy import special  # noqa: PLC0415 - the import is slow, and reading results does not need it

    both = special.stdtrit(degrees, [1 - power.alpha / 2, power.power])
    return float(both.sum()) * error
