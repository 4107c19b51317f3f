"""How good a judge is: its figures on the gold set and on both orders, each held against the bar. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from practicum_core.stages.calibration import CalibrationCheck, CanaryRound
from practicum_core.stages.judge import JudgeConfig
from practicum_jobs.judge.pairs import SCORES, PairVerdict
from practicum_jobs.scoring.agreement import estimate_cohen_kappa
from practicum_jobs.scoring.intervals import Bootstrap, Interval, compute_wilson, estimate_share
from practicum_jobs.scoring.paired import estimate_mean

_HALF = 0.5


@dataclass(frozen=True)
class Evidence:
    """What a judge said.

    Attributes:
        gold: Verdicts on gold pairs.
        pairs: Verdicts on pairs of the run.
        num_answers: Answers that the judge gave, or should have given.
        num_unusable: Those without a verdict.
        rounds: The rounds of canaries.
    """

    gold: Sequence[PairVerdict]
    pairs: Sequence[PairVerdict]
    num_answers: int
    num_unusable: int
    rounds: Sequence[CanaryRound]

    @property
    def usable(self) -> list[PairVerdict]:
        """Verdicts on both kinds of pairs that were given in both orders."""
        return [one for one in (*self.gold, *self.pairs) if one.winner is not None]

    @property
    def usable_gold(self) -> list[PairVerdict]:
        """Verdicts on gold pairs that were given in both orders."""
        return [one for one in self.gold if one.winner is not None]


def measure_agreement(evidence: Evidence, confidence: float) -> Interval | None:
    """Return Cohen's kappa between the judge and the labels of the gold pairs; a flipped verdict counts as a tie."""
    gold = evidence.usable_gold
    if not gold:
        return None
    said, known = [str(one.winner) for one in gold], [str(one.pair.winner) for one in gold]
    return estimate_cohen_kappa(said, known, confidence) if len({*said, *known}) > 1 else None


def measure_accuracy(evidence: Evidence, confidence: float) -> Interval | None:
    """Return the share of gold pairs that were judged right."""
    gold = evidence.usable_gold
    right = sum(one.winner == one.pair.winner for one in gold)
    return compute_wilson(right, len(gold), confidence) if gold else None


def measure_flips(evidence: Evidence, config: JudgeConfig) -> Interval | None:
    """Return the share of pairs, gold or of the run, whose verdict depends on the order."""
    usable = evidence.usable
    if not usable:
        return None
    clusters = [one.pair.cluster for one in usable]
    return estimate_share([one.is_flipped for one in usable], clusters, Bootstrap(seed=config.seed), config.confidence)


def measure_first_rate(evidence: Evidence, confidence: float) -> Interval | None:
    """Return how often the first answer was preferred, among verdicts other than a tie.

    A judge that names the same winner in both orders has exactly one half, and an interval of no width.
    """
    decided = [
        (float(winner == first), one.pair.cluster)
        for one in evidence.usable
        for winner, first in ((one.base_first, "base"), (one.candidate_first, "candidate"))
        if winner != "tie"
    ]
    clusters = [cluster for _, cluster in decided]
    if len(set(clusters)) < 2:  # noqa: PLR2004 - one cluster leaves no degrees of freedom
        return None
    interval = estimate_mean([value for value, _ in decided], clusters, confidence).interval
    return Interval(interval.value, max(interval.low, 0.0), min(interval.high, 1.0))


def measure_length_effect(evidence: Evidence, confidence: float) -> Interval | None:
    """Return how much more the longer answer of a gold pair wins than it should, from -1 to 1.

    The score of the longer answer by the judge (1, 0, or 0.5 for a tie), minus that by the label, averaged.
    """
    excess = []
    for one in evidence.usable_gold:
        if one.pair.length_gap and one.winner is not None and one.pair.winner is not None:
            difference = SCORES[one.winner] - SCORES[one.pair.winner]
            excess.append(difference if one.pair.length_gap > 0 else -difference)
    if len(excess) < 2:  # noqa: PLR2004 - a variance needs two
        return None
    interval = estimate_mean(excess, (), confidence).interval
    return Interval(interval.value, max(interval.low, -1.0), min(interval.high, 1.0))


def check_judge(evidence: Evidence, config: JudgeConfig) -> list[CalibrationCheck]:
    """Hold the judge against the bar: of an estimate, the end of its interval that is worse."""
    confidence = config.confidence
    flips, first = measure_flips(evidence, config), measure_first_rate(evidence, confidence)
    bias = first and _measure_distance(first)
    length = measure_length_effect(evidence, confidence)
    kappa = measure_agreement(evidence, confidence)
    share = evidence.num_unusable / evidence.num_answers if evidence.num_answers else None
    later = [one.num_changed / one.num_asked for one in evidence.rounds[1:]]
    models = {model for one in evidence.rounds for model in one.models}
    return [
        _check("judge_gold_pairs", len(evidence.usable_gold), ">=", config.min_gold_pairs),
        _check("judge_kappa", kappa, ">=", config.min_kappa),
        _check("judge_flip_rate", flips, "<=", config.max_flip_rate),
        _check("judge_first_bias", bias, "<=", config.max_first_bias),
        _check("judge_length_effect", length, "<=", config.max_length_effect, _get_worse_distance),
        _check("judge_unusable_share", share, "<=", config.max_unusable_share),
        _check("judge_canary_changes", max(later) if later else None, "<=", config.max_canary_changes),
        _check("judge_models", len(models), "<=", 1),
    ]


def _measure_distance(rate: Interval) -> Interval:
    """Return the distance of a rate from one half.

    >>> _measure_distance(Interval(0.6, 0.45, 0.75))
    Interval(value=0.1, low=0.0, high=0.25)
    """
    ends = abs(rate.low - _HALF), abs(rate.high - _HALF)
    nearest = 0.0 if rate.low <= _HALF <= rate.high else min(ends)
    return Interval(round(abs(rate.value - _HALF), 12), nearest, max(ends))


def _get_worse_distance(interval: Interval) -> float:
    return max(abs(interval.low), abs(interval.high))


def _check(
    name: str,
    measured: Interval | float | None,
    comparison: Literal[">=", "<="],
    bar: float,
    get_worse: Callable[[Interval], float] | None = None,
) -> CalibrationCheck:
    interval: Interval | None
    value: float | None
    held: float | None
    if isinstance(measured, Interval):
        interval, value = measured, measured.value
        held = get_worse(measured) if get_worse else (measured.low if comparison == ">=" else measured.high)
    else:
        interval, value, held = None, measured, measured
    is_passed = held is not None and (held >= bar if comparison == ">=" else held <= bar)
    return CalibrationCheck(
        name=name,
        value=value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        held=held,
        comparison=comparison,
        bar=bar,
        is_passed=is_passed,
    )
