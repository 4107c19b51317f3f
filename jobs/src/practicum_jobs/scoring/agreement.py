"""Agreement of raters, and of a judge with gold labels, beyond chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from practicum_jobs.scoring.intervals import Interval


def estimate_cohen_kappa(first: Sequence[str], second: Sequence[str], confidence: float = 0.95) -> Interval:
    """Return Cohen's kappa of two raters over the same items with its large-sample interval.

    Raters who both give one and the same label to every item have no kappa, which raises ``ValueError``. Source:
    Fleiss, Cohen and Everitt, Psychological Bulletin 72 (1969), 323-327, as in statsmodels.

    >>> estimate_cohen_kappa(["a", "a", "b", "b"], ["a", "a", "b", "a"]).value
    0.5
    """
    from scipy import special  # noqa: PLC0415 - the import is slow
    from statsmodels.stats.inter_rater import cohens_kappa  # noqa: PLC0415 - the import takes seconds

    labels = sorted({*first, *second})
    if len(labels) < 2:  # noqa: PLR2004 - chance agreement is 1, and kappa is 0 / 0
        raise ValueError("kappa needs two different labels")
    table = np.zeros((len(labels), len(labels)))
    for one, other in zip(first, second, strict=True):
        table[labels.index(one), labels.index(other)] += 1
    result = cohens_kappa(table)
    half = float(special.ndtri((1 + confidence) / 2)) * float(result.std_kappa)
    value = float(result.kappa)
    return Interval(value, max(value - half, -1.0), min(value + half, 1.0))


def compute_fleiss_kappa(ratings: Sequence[Sequence[int]]) -> float:
    """Return Fleiss' kappa of a table, one row an item and one column a label, of counts of raters.

    Source: Fleiss, Psychological Bulletin 76 (1971), 378-382.

    >>> compute_fleiss_kappa([[2, 0], [0, 2]])
    1.0
    """
    from statsmodels.stats.inter_rater import fleiss_kappa  # noqa: PLC0415 - the import takes seconds

    table = np.asarray(ratings)
    if np.count_nonzero(table.sum(axis=0)) < 2:  # noqa: PLR2004 - chance agreement is 1, and kappa is 0 / 0
        raise ValueError("kappa needs two different labels")
    if np.ptp(table.sum(axis=1)) or table.sum(axis=1)[0] < 2:  # noqa: PLR2004 - one rater agrees with nobody
        raise ValueError("each item needs the same number of raters, at least 2")
    return float(fleiss_kappa(table))
