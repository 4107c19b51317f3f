"""Whether two models are equal up to a margin (two one-sided tests)."""

from __future__ import annotations

from dataclasses import dataclass

from practicum_jobs.scoring.intervals import Interval
from practicum_jobs.scoring.paired import PairedOutcomes, estimate_difference_of_means


@dataclass(frozen=True)
class Equivalence:
    """Result of two one-sided tests; the interval has confidence 1 - 2 alpha and decides the same."""

    interval: Interval
    p: float
    is_equivalent: bool


def compare_to_margin(outcomes: PairedOutcomes, margin: float, alpha: float = 0.05) -> Equivalence:
    """Return whether the mean difference lies within ``margin`` of 0 on both sides, aware of clusters.

    Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), 657-680.

    >>> compare_to_margin(PairedOutcomes([0, 1] * 20, [0, 1] * 20), 0.1).is_equivalent
    True
    """
    from scipy import special  # noqa: PLC0415 - the import is slow, and reading results does not need it

    if margin <= 0:
        raise ValueError(f"a margin of {margin} is not positive")
    estimate = estimate_difference_of_means(outcomes, 1 - 2 * alpha)
    mean, error = estimate.interval.value, estimate.standard_error
    if estimate.degrees == 0:
        return Equivalence(estimate.interval, 1.0, is_equivalent=False)
    if error == 0:
        # Equal differences show no spread: clusters that differ by the rest of the margin could all have been missed.
        p = (1 - min(margin - abs(mean), 1.0)) ** estimate.num_clusters if abs(mean) < margin else 1.0
    else:
        p = float(special.stdtr(estimate.degrees, (abs(mean) - margin) / error))
    return Equivalence(estimate.interval, p, is_equivalent=p < alpha)
