"""Which model a judge prefers: the win rate as it is, at equal length, and corrected by known winners. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from practicum_core.stages.judge import Winner
from practicum_jobs.judge.pairs import SCORES, Pair
from practicum_jobs.judge.reference_judge import name_better
from practicum_jobs.scoring.debiasing import estimate_length_controlled, estimate_prediction_powered
from practicum_jobs.scoring.intervals import Interval
from practicum_jobs.scoring.win_rates import estimate_win_rate

_MIN_SCORES = 2


@dataclass(frozen=True)
class Judged:
    """One pair of the run with the judge's winner; equal answers are a tie without a question."""

    pair: Pair
    winner: Winner

    @property
    def score(self) -> float:
        """1 where the candidate won, 0 where the base model did, 0.5 for a tie."""
        return SCORES[self.winner]


@dataclass(frozen=True)
class WinRates:
    """The three win rates; ``problems`` says of each that is missing why.

    ``num_labelled`` counts the pairs with a known winner.
    """

    plain: Interval | None
    length_controlled: Interval | None
    debiased: Interval | None
    num_labelled: int
    problems: Mapping[str, str]


def draw_labels(judged: Sequence[Judged], count: int, seed: int) -> dict[str, Winner]:
    """Let the scorers label pairs that differ and are drawn at random, at most half of them.

    A correction is valid only where the labelled pairs are a random part of all (Angelopoulos et al. 2023).
    """
    differing = [one for one in judged if not one.pair.is_equal]
    chosen = random.Random(seed).sample(differing, min(count, len(differing) // 2))  # noqa: S311 - a sample, no secret
    return {one.pair.id: name_better(one.pair) for one in chosen}


def estimate_win_rates(judged: Sequence[Judged], labels: Mapping[str, Winner] | None, confidence: float) -> WinRates:
    """Estimate the rate at which the candidate's answers win; without labels, none is corrected by them."""
    if not judged:
        return WinRates(None, None, None, 0, {"judge_win_rate": "no pair has a verdict in both orders"})
    scores = [one.score for one in judged]
    clusters = [one.pair.cluster for one in judged]
    problems: dict[str, str] = {}
    length_controlled = debiased = None
    try:
        length_controlled = estimate_length_controlled(
            scores, [one.pair.length_gap for one in judged], clusters, confidence
        )
    except ValueError as error:
        problems["judge_win_rate_length_controlled"] = str(error)
    if labels is not None:
        try:
            debiased = _correct(judged, labels, confidence)
        except ValueError as error:
            problems["judge_win_rate_debiased"] = str(error)
    plain = estimate_win_rate(scores, clusters, confidence)
    num_labelled = sum(one.pair.id in (labels or {}) and not one.pair.is_equal for one in judged)
    return WinRates(plain, length_controlled, debiased, num_labelled, problems)


def _correct(judged: Sequence[Judged], labels: Mapping[str, Winner], confidence: float) -> Interval:
    """Estimate the win rate by the known winners.

    A blind test draws pairs that differ, so they are no random part of all: the rate is estimated on pairs that differ,
    and equal ones count one half each. Their share is taken as it is.

    Raises:
        ValueError: Too few pairs have a known winner or none, or all are of one cluster.
    """
    differing = [one for one in judged if not one.pair.is_equal]
    labelled = [one for one in differing if one.pair.id in labels]
    rest = [one for one in differing if one.pair.id not in labels]
    if len(labelled) < _MIN_SCORES or len(rest) < _MIN_SCORES:
        raise ValueError(f"of the pairs that differ, {len(labelled)} have a known winner and {len(rest)} have none")
    found = estimate_prediction_powered(
        [SCORES[labels[one.pair.id]] for one in labelled],
        [one.score for one in labelled],
        [one.score for one in rest],
        confidence,
        clusters=[one.pair.cluster for one in (*labelled, *rest)],
    )
    share = 1 - len(differing) / len(judged)
    value, low, high = (
        (1 - share) * one + share * SCORES["tie"] for one in (found.value, max(found.low, 0.0), min(found.high, 1.0))
    )
    return Interval(value, low, high)
