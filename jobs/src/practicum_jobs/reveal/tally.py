"""The result of a blind test: which raters count, who won each pair, agreement and side effects. Pure.

A rater is left out who prefers an answer that is plainly wrong, or who misses at least half of the attention checks.
The result of a pair is the mean over the raters who count, with 1 where the candidate was preferred, 0 where the base
model was, and 0.5 for a tie. The interval treats pairs of one group (template) as dependent, and the raters as given:
it is about other questions, rated by the same raters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from practicum_core.blind_files import BlindKey, CheckKind, Choice, KeyItem, Ratings
from practicum_core.stages.reveal import RaterResult
from practicum_jobs.scoring.agreement import compute_fleiss_kappa, estimate_cohen_kappa
from practicum_jobs.scoring.intervals import Interval, compute_mcnemar_p
from practicum_jobs.scoring.win_rates import estimate_win_rate

MAX_MISSED_SHARE = 0.5
_SCORES = {"candidate": 1.0, "base": 0.0, "tie": 0.5}


@dataclass(frozen=True)
class Pair:
    """One rated pair.

    Attributes:
        item: As in the key.
        choices: ``candidate``, ``base`` or ``tie`` by rater; raters who count alone.
    """

    item: KeyItem
    choices: Mapping[str, str]

    @property
    def score(self) -> float:
        """Share of the raters who preferred the candidate, a tie counting half."""
        return sum(_SCORES[choice] for choice in self.choices.values()) / len(self.choices)

    @property
    def winner(self) -> str:
        """The model that more raters preferred; ``tie`` where neither."""
        if math.isclose(self.score, _SCORES["tie"]):
            return "tie"
        return "candidate" if self.score > _SCORES["tie"] else "base"

    @property
    def is_longer(self) -> bool:
        """Whether the candidate's answer has more characters."""
        return len(self.item.candidate) > len(self.item.base)


def judge_rater(key: BlindKey, ratings: Ratings) -> RaterResult:
    """Check one rater's attention, and count the preferences."""
    checks = [item for item in key.items if item.check is not None]
    failed = [item for item in checks if ratings.answers[item.id] is not _get_right(item)]
    preferred_planted = any(
        item.check is CheckKind.PLANTED and ratings.answers[item.id] is not Choice.TIE for item in failed
    )
    missed_too_many = bool(checks) and len(failed) >= MAX_MISSED_SHARE * len(checks)
    chosen = [_name_choice(item, ratings.answers[item.id]) for item in key.items if item.check is None]
    return RaterResult(
        rater=ratings.rater,
        is_kept=not preferred_planted and not missed_too_many,
        num_checks=len(checks),
        failed_checks=[item.id for item in failed],
        preferred_planted=preferred_planted,
        wins=chosen.count("candidate"),
        losses=chosen.count("base"),
        ties=chosen.count("tie"),
    )


def _get_right(item: KeyItem) -> Choice:
    return Choice.TIE if item.check is CheckKind.IDENTICAL else item.candidate_side


def _name_choice(item: KeyItem, choice: Choice) -> str:
    """Return the model on the chosen side.

    >>> item = KeyItem(id="item-01", sample="t1", candidate_side=Choice.SECOND)
    >>> _name_choice(item, Choice.SECOND), _name_choice(item, Choice.FIRST)
    ('candidate', 'base')
    """
    if choice is Choice.TIE:
        return "tie"
    return "candidate" if choice is item.candidate_side else "base"


def list_pairs(key: BlindKey, kept: Sequence[Ratings]) -> list[Pair]:
    """List the rated pairs, without attention checks, with the choices of the raters who count."""
    return [
        Pair(item, {one.rater: _name_choice(item, one.answers[item.id]) for one in kept})
        for item in key.items
        if item.check is None
    ]


def estimate_preference(pairs: Sequence[Pair], confidence: float) -> Interval:
    """Return the mean score of pairs; pairs of one group (template) are a cluster."""
    groups = [pair.item.group or f"row:{pair.item.sample}" for pair in pairs]
    return estimate_win_rate([pair.score for pair in pairs], groups, confidence)


def compute_sign_test(pairs: Sequence[Pair]) -> float:
    """Return the exact two-sided p-value of the sign test over pairs; ties are left out."""
    winners = [pair.winner for pair in pairs]
    return compute_mcnemar_p(winners.count("candidate"), winners.count("base"))


def compute_kappa(pairs: Sequence[Pair]) -> float | None:
    """Return Cohen's kappa, averaged over all pairs of raters; ``None`` for fewer than two raters.

    Two raters who both gave one and the same choice throughout agree fully, where kappa is undefined: 1.
    """
    raters = list(pairs[0].choices) if pairs else []
    values = []
    for left, right in itertools.combinations(raters, 2):
        first, second = ([pair.choices[rater] for pair in pairs] for rater in (left, right))
        is_constant = len({*first, *second}) == 1
        values.append(1.0 if is_constant else estimate_cohen_kappa(first, second).value)
    return sum(values) / len(values) if values else None


def compute_joint_kappa(pairs: Sequence[Pair]) -> float | None:
    """Return Fleiss' kappa of three raters or more; ``None`` for fewer, for whom the mean of pairs of raters says all.

    Raters who all gave one and the same choice throughout agree fully, where kappa is undefined: 1.
    """
    if not pairs or len(pairs[0].choices) <= 2:  # noqa: PLR2004 - two raters are one pair of raters
        return None
    counts = [[list(pair.choices.values()).count(choice) for choice in _SCORES] for pair in pairs]
    is_constant = len({choice for pair in pairs for choice in pair.choices.values()}) == 1
    return 1.0 if is_constant else compute_fleiss_kappa(counts)


def count_sides(key: BlindKey, kept: Sequence[Ratings]) -> tuple[int, int]:
    """Count how often the first and the second side of a pair were preferred, over all raters who count."""
    chosen = [one.answers[item.id] for one in kept for item in key.items if item.check is None]
    return chosen.count(Choice.FIRST), chosen.count(Choice.SECOND)


def compute_longer_rate(pairs: Sequence[Pair]) -> float | None:
    """Return how often the longer answer was preferred, among preferences for answers of different length."""
    is_longer = [
        (choice == "candidate") == pair.is_longer
        for pair in pairs
        if len(pair.item.candidate) != len(pair.item.base)
        for choice in pair.choices.values()
        if choice != "tie"
    ]
    return sum(is_longer) / len(is_longer) if is_longer else None


def average(pairs: Sequence[Pair], where: Callable[[Pair], bool]) -> float | None:
    """Return the mean score of the pairs that fulfil a condition; ``None`` where none does."""
    scores = [pair.score for pair in pairs if where(pair)]
    return sum(scores) / len(scores) if scores else None
