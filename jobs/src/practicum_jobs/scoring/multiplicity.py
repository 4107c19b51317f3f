"""Correction of p-values for the number of tasks that were tested."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class Correction(StrEnum):
    """Which error rate is held over the tasks."""

    HOLM = "holm"
    """The chance of one false verdict among all (Holm, Scandinavian Journal of Statistics 6 (1979), 65-70)."""
    BENJAMINI_HOCHBERG = "fdr_bh"
    """The share of false ones among the verdicts (Benjamini and Hochberg, JRSS B 57 (1995), 289-300)."""


def adjust(p_values: Sequence[float], correction: Correction = Correction.HOLM) -> list[float]:
    """Return adjusted p-values, in the order given.

    >>> [round(p, 6) for p in adjust([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415 - the import takes a second

    if not p_values:
        return []
    return [float(p) for p in multipletests(list(p_values), method=correction.value)[1]]
