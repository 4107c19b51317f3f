"""The questions that a judge is asked, in which order, and what an interrupted step asks again.

Canaries are asked at the start, in the middle and at the end, and once more when an interrupted step is resumed: their
answers tell whether the same judge still answers. Gold pairs and pairs of the run are mixed, so that a judge that
changes does so for both.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from practicum_core.errors import PlatformError, Reason
from practicum_core.stages.calibration import CanaryRound
from practicum_core.stages.judge import Unusable
from practicum_jobs.judge.cache import JudgementCache
from practicum_jobs.judge.pairs import Judge, Judgement, Pair, PairVerdict, Question, name_winner

MAX_SILENT = 5
"""Questions in a row without any answer, after which the judge counts as down."""
_MIN_USABLE_AT_START = 0.5
START, MIDDLE, END = "start", "middle", "end"
_RESUMED = "resumed-"


@dataclass(frozen=True)
class Rounds:
    """Questions by round, in the order in which they are asked; a round ends before the next one starts."""

    start: Sequence[Question]
    first_half: Sequence[Question]
    middle: Sequence[Question]
    second_half: Sequence[Question]
    end: Sequence[Question]

    def list_rounds(self) -> list[Sequence[Question]]:
        """List the rounds in order."""
        return [self.start, self.first_half, self.middle, self.second_half, self.end]


@dataclass(frozen=True)
class Outcome:
    """Every judgement by the question's id, and which of them an earlier attempt had finished.

    ``is_given_up`` says that the judge gave so few verdicts on the first canaries that it was asked nothing else.
    """

    judgements: Mapping[str, Judgement]
    canaries: Sequence[Question]
    cached: frozenset[str]
    is_given_up: bool

    def build_verdict(self, pair: Pair) -> PairVerdict | None:
        """Return what the judge said about a pair; ``None`` where it was not asked."""
        both = [Question(pair, is_base_first=is_first) for is_first in (True, False)]
        if any(one.id not in self.judgements for one in both):
            return None
        base_first, candidate_first = (name_winner(one, self.judgements[one.id].verdict) for one in both)
        return PairVerdict(pair, base_first, candidate_first, all(one.id in self.cached for one in both))


def plan_rounds(pairs: Sequence[Pair], canaries: Sequence[Pair], seed: int) -> Rounds:
    """Plan every question of a run: each pair in both orders, in two halves, with the canaries around them."""
    questions = [Question(pair, is_base_first=is_first) for pair in pairs for is_first in (True, False)]
    random.Random(seed).shuffle(questions)  # noqa: S311 - an order of questions, no secret
    half = len(questions) // 2
    start, middle, end = (_ask_again(canaries, name) for name in (START, MIDDLE, END))
    return Rounds(start, questions[:half], middle, questions[half:], end)


def conduct(judge: Judge, rounds: Rounds, cache: JudgementCache, on_judged: Callable[[float], None]) -> Outcome:
    """Ask every question that is not in the cache.

    Args:
        judge: Who is asked.
        rounds: The questions.
        cache: What is finished; every judgement is added to it at once.
        on_judged: Called after each judgement with the share that is done. It may raise ``Stopped``.

    Raises:
        PlatformError: The judge did not answer several questions in a row.
    """
    planned = rounds.list_rounds()
    total = sum(map(len, planned))
    judgements = {one.id: found for asked in planned for one in asked if (found := cache.find(one)) is not None}
    cached = frozenset(judgements)
    canaries = [*rounds.start]
    if 0 < len(cached) < total:
        resumed = _ask_again([one.pair for one in rounds.start if one.is_base_first], _name_resumed(cache))
        planned = [rounds.start, resumed, *planned[1:]]
        canaries += resumed
    canaries += [*rounds.middle, *rounds.end]
    num_silent = 0
    for asked in planned:
        waiting = [one for one in asked if one.id not in judgements]
        with contextlib.closing(judge.judge(waiting)) as answers:
            for question, judgement in answers:
                cache.add(question, judgement)
                judgements[question.id] = judgement
                num_silent = num_silent + 1 if judgement.unusable is Unusable.NO_ANSWER else 0
                if num_silent >= MAX_SILENT:
                    raise _explain_silence(judge)
                on_judged(min(len(judgements) / total, 1.0))
        if asked is rounds.start and not _is_usable_enough(asked, judgements):
            return Outcome(judgements, canaries, cached, is_given_up=True)
    return Outcome(judgements, canaries, cached, is_given_up=False)


def describe_canaries(outcome: Outcome) -> list[CanaryRound]:
    """Compare each round of canaries with the first one."""
    asked = [one for one in outcome.canaries if one.id in outcome.judgements]
    first = {_get_key(one): outcome.judgements[one.id] for one in asked if one.round == START}
    rounds = []
    for name in dict.fromkeys(one.round for one in asked):
        said = [(one, outcome.judgements[one.id]) for one in asked if one.round == name]
        changed = [one for one, judgement in said if _differs(first.get(_get_key(one)), judgement)]
        right = [one for one, judgement in said if name_winner(one, judgement.verdict) == one.pair.winner]
        models = sorted({judgement.model for _, judgement in said if judgement.model})
        rounds.append(
            CanaryRound(name=name, num_asked=len(said), num_right=len(right), num_changed=len(changed), models=models)
        )
    return rounds


def _ask_again(pairs: Sequence[Pair], name: str) -> list[Question]:
    return [Question(pair, is_base_first=is_first, round=name) for pair in pairs for is_first in (True, False)]


def _name_resumed(cache: JudgementCache) -> str:
    return f"{_RESUMED}{1 + sum(name.startswith(_RESUMED) for name in cache.round_names)}"


def _is_usable_enough(asked: Sequence[Question], judgements: Mapping[str, Judgement]) -> bool:
    usable = sum(judgements[one.id].verdict is not None for one in asked if one.id in judgements)
    return usable >= _MIN_USABLE_AT_START * len(asked)


def _get_key(question: Question) -> tuple[str, bool]:
    return question.pair.id, question.is_base_first


def _differs(first: Judgement | None, later: Judgement) -> bool:
    return first is not None and (first.verdict, first.unusable) != (later.verdict, later.unusable)


def _explain_silence(judge: Judge) -> PlatformError:
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"{judge.identity}: no answer to {MAX_SILENT} questions in a row",
        "check that the judge runs, or raise judge.timeout_s; resume the run: finished judgements are kept",
    )
