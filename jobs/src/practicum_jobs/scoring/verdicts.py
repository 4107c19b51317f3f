"""The verdict on a candidate model against its base: improved, regressed, not distinguishable or underpowered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from practicum_jobs.scoring.intervals import Bootstrap, Interval
from practicum_jobs.scoring.multiplicity import Correction, adjust
from practicum_jobs.scoring.paired import (
    PairedOutcomes,
    PairedTest,
    estimate_difference_of_means,
    permute_signs,
    run_mcnemar,
)
from practicum_jobs.scoring.power import Power, compute_smallest_detectable


class VerdictKind(StrEnum):
    """What the comparison shows."""

    IMPROVED = "improved"
    REGRESSED = "regressed"
    NOT_DISTINGUISHABLE = "not_distinguishable"
    UNDERPOWERED = "underpowered"


class VerdictReason(StrEnum):
    """Why the verdict is what it is."""

    TOO_FEW_ITEMS = "too_few_items"
    """Fewer items than ``Rule.min_items``, or one cluster."""
    SIGNIFICANT = "significant"
    """The adjusted p-value is at most alpha, and the interval does not hold 0."""
    SMALL_DIFFERENCE = "small_difference"
    """A difference of the margin would have been detected, and none was."""
    CANNOT_DETECT_MARGIN = "cannot_detect_margin"
    """Nothing was detected, and a difference as large as the margin could have been missed."""


@dataclass(frozen=True)
class Rule:
    """When a difference counts.

    ``margin`` is the smallest difference that matters. ``min_items`` is a convention of the course, not a theorem: an
    exact test of 12 items is valid, but its interval is about half the scale wide, and two relabelled items turn it.
    """

    power: Power = field(default_factory=Power)
    margin: float = 0.1
    min_items: int = 20
    bootstrap: Bootstrap = field(default_factory=lambda: Bootstrap(num_resamples=9999))
    correction: Correction = Correction.HOLM


@dataclass(frozen=True)
class Verdict:
    """What a comparison shows, with the figures that decided it."""

    kind: VerdictKind
    interval: Interval
    p: float
    p_adjusted: float
    smallest_detectable: float
    reason: VerdictReason


def compute_p(outcomes: PairedOutcomes, rule: Rule) -> PairedTest:
    """Return McNemar's test for binary scores and the sign-flip test for others; both are aware of clusters."""
    return run_mcnemar(outcomes, rule.bootstrap) if outcomes.is_binary else permute_signs(outcomes, rule.bootstrap)


def decide(outcomes: PairedOutcomes, rule: Rule | None = None, p_adjusted: float | None = None) -> Verdict:
    """Return the verdict of one task; ``p_adjusted`` is the p-value after correction for the number of tasks.

    A difference counts when the exact or permutation test and the clustered t interval agree. Without one, the task
    is underpowered where the smallest detectable difference is larger than the margin: absence of evidence is
    not evidence of absence (Altman and Bland, BMJ 311 (1995), 485).

    >>> decide(PairedOutcomes([0, 1] * 6, [1, 1] * 6)).kind.value
    'underpowered'
    >>> decide(PairedOutcomes([0, 1] * 60, [0, 1] * 60)).kind.value
    'not_distinguishable'
    """
    asked = rule or Rule()
    estimate = estimate_difference_of_means(outcomes, 1 - asked.power.alpha)
    smallest = compute_smallest_detectable(outcomes, asked.power)
    p = compute_p(outcomes, asked).p
    adjusted = p if p_adjusted is None else p_adjusted
    kind, reason = _decide(len(outcomes.base), estimate.interval, adjusted, smallest, asked)
    return Verdict(kind, estimate.interval, p, adjusted, smallest, reason)


def decide_tasks(tasks: Mapping[str, PairedOutcomes], rule: Rule | None = None) -> dict[str, Verdict]:
    """Return the verdict of each task, with p-values corrected for their number.

    The control set is not among them: ``decide`` alone gives its verdict, and "regressed" there means forgetting.
    """
    asked = rule or Rule()
    # The corrected value depends on all tasks, and the verdict on it; the rest of a verdict stays as it is.
    first = {name: decide(outcomes, asked) for name, outcomes in tasks.items()}
    adjusted = adjust([verdict.p for verdict in first.values()], asked.correction)
    verdicts: dict[str, Verdict] = {}
    for (name, verdict), p in zip(first.items(), adjusted, strict=True):
        kind, reason = _decide(len(tasks[name].base), verdict.interval, p, verdict.smallest_detectable, asked)
        verdicts[name] = replace(verdict, kind=kind, reason=reason, p_adjusted=p)
    return verdicts


def _decide(
    num_items: int, interval: Interval, p: float, smallest: float, rule: Rule
) -> tuple[VerdictKind, VerdictReason]:
    if num_items < rule.min_items or smallest == float("inf"):
        return VerdictKind.UNDERPOWERED, VerdictReason.TOO_FEW_ITEMS
    if p <= rule.power.alpha and interval.low > 0:
        return VerdictKind.IMPROVED, VerdictReason.SIGNIFICANT
    if p <= rule.power.alpha and interval.high < 0:
        return VerdictKind.REGRESSED, VerdictReason.SIGNIFICANT
    if smallest > rule.margin:
        return VerdictKind.UNDERPOWERED, VerdictReason.CANNOT_DETECT_MARGIN
    return VerdictKind.NOT_DISTINGUISHABLE, VerdictReason.SMALL_DIFFERENCE
