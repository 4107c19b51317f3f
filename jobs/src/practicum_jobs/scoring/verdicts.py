"""The verdict on a candidate model against its base: improved, regressed, not distinguishable or underpowered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from practicum_jobs.scoring.intervals import Bootstrap, Interval
from practicum_jobs.scoring.multiplicity import Correction, adjust
from practicum_jobs.scoring.paired import PairedOutcomes, estimate_difference_of_means
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
    """Fewer items than ``Rule.min_items``, or so few clusters that no result could be significant."""
    SIGNIFICANT = "significant"
    """The adjusted p-value is at most alpha, and the interval does not hold 0."""
    SMALL_DIFFERENCE = "small_difference"
    """A difference of the margin would have been detected, and none was."""
    WITHIN_NOISE = "within_noise"
    """The difference is no larger than that of the base model between two runs of its own."""
    CANNOT_DETECT_MARGIN = "cannot_detect_margin"
    """Nothing was detected, and a difference as large as the margin could have been missed."""


@dataclass(frozen=True)
class Rule:
    """When a difference counts.

    ``margin`` is the smallest difference that matters. ``min_items`` is a convention of the course, not a theorem: an
    exact test of 12 items is valid, but its interval is about half the scale wide, and two relabelled items turn it.
    ``noise_floor`` is the difference that one model shows between two runs; one that is no larger is no difference.
    """

    power: Power = field(default_factory=Power)
    margin: float = 0.1
    min_items: int = 20
    bootstrap: Bootstrap = field(default_factory=lambda: Bootstrap(num_resamples=9999))
    correction: Correction = Correction.HOLM
    noise_floor: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What a comparison shows, with the figures that decided it."""

    kind: VerdictKind
    interval: Interval
    p: float
    p_adjusted: float
    smallest_detectable: float
    reason: VerdictReason


def decide(outcomes: PairedOutcomes, rule: Rule | None = None, p_adjusted: float | None = None) -> Verdict:
    """Return the verdict of one task; ``p_adjusted`` is the p-value after correction for the number of tasks.

    The clustered t test (CR2) decides, so that a difference counts exactly when the interval shown leaves out 0; the
    exact sign flip rejects 2 to 3 % of nulls with 8 clusters where 5 % are asked for (decision 0018). Without a
    difference, the task is underpowered where the smallest detectable one is larger than the margin: absence of
    evidence is not evidence of absence (Altman and Bland, BMJ 311 (1995), 485).

    >>> decide(PairedOutcomes([0, 1] * 6, [1, 1] * 6)).kind.value
    'underpowered'
    >>> decide(PairedOutcomes([0, 1] * 60, [0, 1] * 60)).kind.value
    'not_distinguishable'
    """
    asked = rule or Rule()
    estimate = estimate_difference_of_means(outcomes, 1 - asked.power.alpha)
    smallest = compute_smallest_detectable(outcomes, asked.power)
    adjusted = estimate.p if p_adjusted is None else p_adjusted
    is_possible = can_be_significant(outcomes, asked)
    kind, reason = _decide(estimate.interval, adjusted, smallest, asked, is_possible=is_possible)
    return Verdict(kind, estimate.interval, estimate.p, adjusted, smallest, reason)


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
        is_possible = can_be_significant(tasks[name], asked, len(tasks))
        kind, reason = _decide(verdict.interval, p, verdict.smallest_detectable, asked, is_possible=is_possible)
        verdicts[name] = replace(verdict, kind=kind, reason=reason, p_adjusted=p)
    return verdicts


def can_be_significant(outcomes: PairedOutcomes, rule: Rule, num_tasks: int = 1) -> bool:
    """Whether any result of these items may count.

    A test that flips the signs of C clusters has no p-value below 2 ** (1 - C), and the correction multiplies that by
    up to the number of tasks. The t test has no such bound; where fewer clusters are left, it rests on the normal
    distribution of their sums alone, and is not believed.

    >>> five = [str(number // 8) for number in range(40)]
    >>> can_be_significant(PairedOutcomes([0] * 40, [1] * 40, five), Rule())
    False
    """
    smallest_p = num_tasks * 2.0 ** (1 - outcomes.num_clusters)
    return len(outcomes.base) >= rule.min_items and smallest_p <= rule.power.alpha


def _decide(
    interval: Interval, p: float, smallest: float, rule: Rule, *, is_possible: bool
) -> tuple[VerdictKind, VerdictReason]:
    if not is_possible or smallest == float("inf"):
        return VerdictKind.UNDERPOWERED, VerdictReason.TOO_FEW_ITEMS
    if p <= rule.power.alpha and not interval.low <= 0 <= interval.high:
        if abs(interval.value) <= rule.noise_floor:
            return VerdictKind.NOT_DISTINGUISHABLE, VerdictReason.WITHIN_NOISE
        kind = VerdictKind.IMPROVED if interval.low > 0 else VerdictKind.REGRESSED
        return kind, VerdictReason.SIGNIFICANT
    if smallest > rule.margin or abs(interval.value) > rule.margin:
        return VerdictKind.UNDERPOWERED, VerdictReason.CANNOT_DETECT_MARGIN
    return VerdictKind.NOT_DISTINGUISHABLE, VerdictReason.SMALL_DIFFERENCE
