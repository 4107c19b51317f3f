"""Win rates and means of a judge's scores, corrected by gold labels or for the length of answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from practicum_jobs.scoring.intervals import Interval
from practicum_jobs.scoring.paired import sum_clusters


def estimate_prediction_powered(
    gold: Sequence[float],
    judged_gold: Sequence[float],
    judged: Sequence[float],
    confidence: float = 0.95,
    weight: float | None = None,
    clusters: Sequence[str] = (),
) -> Interval:
    """Return the mean gold score of all items from a few gold scores and a judge's scores of all.

    ``judged_gold`` are the judge's scores of the items that have gold scores, in the same order; ``judged`` those of
    other items. ``weight`` is how much the judge counts: 0 leaves it out, 1 is plain prediction-powered
    inference, and by default it is the one with the least variance for independent items. ``clusters`` are those of
    the gold items and then of the others: the interval is then the wider one of independent items and of a clustered
    standard error with a t quantile. One cluster alone raises ``ValueError``.

    Source: Angelopoulos et al., Science 382 (2023), 669-674, and "PPI++", arXiv:2311.01453, example 6.1.

    >>> estimate_prediction_powered([1, 0, 1], [1, 0, 1], [1, 1, 0, 1], weight=1).value
    0.75
    """
    from scipy import special  # noqa: PLC0415 - the import is slow

    labels, same, rest = (np.asarray(one, dtype=float) for one in (gold, judged_gold, judged))
    if len(labels) != len(same) or len(labels) < 2 or len(rest) < 2:  # noqa: PLR2004 - a variance needs two
        raise ValueError(f"{len(labels)} gold, {len(same)} judged gold and {len(rest)} judged scores are too few")
    if weight is None:
        variance = float(np.concatenate([same, rest]).var(ddof=1))
        shared = float(np.cov(labels, same)[0, 1])
        weight = min(max(shared / ((1 + len(labels) / len(rest)) * variance), 0.0), 1.0) if variance else 0.0
    value = float(weight * rest.mean() + (labels - weight * same).mean())
    error = math.sqrt((labels - weight * same).var(ddof=1) / len(labels) + weight**2 * rest.var(ddof=1) / len(rest))
    half = float(special.ndtri((1 + confidence) / 2)) * error
    if len(clusters):
        # A cluster's items move the estimate together, those with gold scores and the others alike.
        corrected = labels - weight * same
        parts = [(corrected - corrected.mean()) / len(labels), weight * (rest - rest.mean()) / len(rest)]
        sums = sum_clusters(np.concatenate(parts), clusters).sums
        degrees = len(sums) - 1
        if not degrees:
            raise ValueError("all pairs are of one cluster: no interval")
        clustered = math.sqrt((degrees + 1) / degrees * float((sums**2).sum()))
        half = max(half, float(special.stdtrit(degrees, (1 + confidence) / 2)) * clustered)
    return Interval(value, value - half, value + half)


def estimate_length_controlled(
    wins: Sequence[float], length_gaps: Sequence[float], clusters: Sequence[str] = (), confidence: float = 0.95
) -> Interval:
    """Return the win rate that a candidate would have if its answers were as long as the base model's.

    ``wins`` are 1, 0, or 0.5 for a tie; ``length_gaps`` are candidate minus base, in one unit. A logistic regression on
    tanh(gap / standard deviation of gaps) is read at a gap of 0, with standard errors clustered if ``clusters`` are
    given. Wins that the length separates perfectly have no finite fit, which raises ``ValueError``.

    Source: Dubois et al., "Length-Controlled AlpacaEval", arXiv:2404.04475, without its term for the difficulty of
    instructions, which needs many models.
    """
    import statsmodels.api as sm  # noqa: PLC0415 - the import takes seconds
    from scipy import special  # noqa: PLC0415 - the import is slow

    gaps = np.asarray(length_gaps, dtype=float)
    scores = np.asarray(wins, dtype=float)
    if len(scores) != len(gaps):
        raise ValueError(f"{len(scores)} wins for {len(gaps)} length gaps")
    spread = float(gaps.std())
    shape = np.column_stack([np.ones(len(gaps)), np.tanh(gaps / spread)]) if spread else np.ones((len(gaps), 1))
    if not np.ptp(scores) or _is_separated(scores, gaps):
        raise ValueError("length alone decides every win, or all results are the same: no length-controlled win rate")
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1] if len(clusters) else np.arange(len(gaps))
    if codes.max() < 2:  # noqa: PLR2004 - two coefficients need more than two clusters
        raise ValueError("a length-controlled win rate needs at least three clusters")
    fit = sm.GLM(scores, shape, family=sm.families.Binomial()).fit(cov_type="cluster", cov_kwds={"groups": codes})
    degrees = len(sum_clusters(scores, clusters).sums) - 1
    half = float(special.stdtrit(degrees, (1 + confidence) / 2)) * float(fit.bse[0])
    value, low, high = special.expit([fit.params[0], fit.params[0] - half, fit.params[0] + half])
    return Interval(float(value), float(low), float(high))


def _is_separated(wins: np.ndarray, gaps: np.ndarray) -> bool:
    """Whether a threshold of the gap splits losses from wins, so that the fit has no finite slope."""
    lost, won = gaps[wins < 1], gaps[wins > 0]
    if not len(lost) or not len(won):
        return True
    return bool(np.ptp(gaps) > 0 and (lost.max() <= won.min() or won.max() <= lost.min()))
