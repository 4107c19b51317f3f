"""Failure cases and fixes from the samples of an evaluation, the largest difference first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.stages.analyze import AnalysisSample, Change, FailureCase, Neighbour
from practicum_core.stages.evaluate import EvaluationSample
from practicum_jobs.analyze.causes import Answered, diagnose
from practicum_jobs.scoring.evaluation_samples import write_prompt

MAX_COMPARED = 10_000
"""Characters of two answers that are compared; the rest counts as different."""


@dataclass(frozen=True)
class Outcome:
    """What became of one row.

    Attributes:
        sample: The row with its answers.
        output: The final answer: of the candidate, or of the only model.
        is_right: Whether it is right; of a control row, whether it names what is expected.
        change: What tuning did to it.
    """

    sample: EvaluationSample
    output: str
    is_right: bool
    change: Change


def list_outcomes(samples: Sequence[EvaluationSample]) -> list[Outcome]:
    """Return what became of each row. The first split of the file is the scored one, others are controls."""
    return [_build_outcome(sample, is_control=sample.split != samples[0].split) for sample in samples]


def _build_outcome(sample: EvaluationSample, *, is_control: bool) -> Outcome:
    if not sample.is_paired:
        is_right = sample.mentioned if is_control else sample.correct
        return Outcome(sample, sample.output or "", bool(is_right), "")
    before = bool(sample.base_mentioned if is_control else sample.base_correct)
    after = bool(sample.candidate_mentioned if is_control else sample.candidate_correct)
    changes: dict[tuple[bool, bool], Change] = {
        (True, False): "regression",
        (False, True): "fix",
        (False, False): "still_wrong",
        (True, True): "",
    }
    return Outcome(sample, sample.candidate or "", after, changes[before, after])


def build_cases(outcomes: Sequence[Outcome]) -> list[FailureCase]:
    """Return the wrong answers with their causes, the largest difference from the expected answer first."""
    cases = [_build_case(one) for one in outcomes if not one.is_right]
    return sorted(cases, key=lambda case: (-case.difference, case.split, case.id))


def _build_case(outcome: Outcome) -> FailureCase:
    sample, expected = outcome.sample, str(outcome.sample.expected or "")
    finish = sample.candidate_finish if sample.is_paired else sample.finish
    is_stopped = None if finish is None else finish == "stop"
    diagnosis = diagnose(Answered(write_prompt(sample.prompt), expected, outcome.output, is_stopped))
    return FailureCase(
        id=sample.id,
        split=sample.split,
        task=sample.task,
        group=sample.group,
        change=outcome.change,
        cause=diagnosis.cause,
        causes=list(diagnosis.causes),
        detail=diagnosis.detail,
        expected=expected,
        output=outcome.output,
        difference=measure_difference(expected, outcome.output),
    )


def build_samples(outcomes: Sequence[Outcome], cases: Sequence[FailureCase]) -> list[AnalysisSample]:
    """Return what the page shows: the failures, then the fixes, each the largest difference first.

    Of a regression and a fix, the difference is that between the two models.
    """
    by_key = {(case.split, case.id): case for case in cases}
    shown = [
        _build_sample(one, by_key.get((one.sample.split, one.sample.id)))
        for one in outcomes
        if not one.is_right or one.change == "fix"
    ]
    return sorted(shown, key=lambda sample: (-sample.difference, sample.id))


def _build_sample(outcome: Outcome, case: FailureCase | None) -> AnalysisSample:
    sample = outcome.sample
    nearest: list[Neighbour] = case.nearest if case else []
    is_between_models = sample.base is not None and outcome.change in {"regression", "fix"}
    other = sample.base or "" if is_between_models else str(sample.expected or "")
    return AnalysisSample(
        id=sample.id,
        prompt=sample.prompt,
        expected=sample.expected,
        change=outcome.change,
        cause=case.cause if case else "",
        detail=case.detail if case else "",
        base=sample.base,
        output=outcome.output,
        difference=measure_difference(other, outcome.output),
        nearest=nearest,
    )


def measure_difference(left: str, right: str) -> int:
    """Return the number of characters in which two texts differ: removed ones plus added ones.

    >>> measure_difference("order 12", "order 13")
    2
    """
    return len(left) + len(right) - 2 * measure_common(left[:MAX_COMPARED], right[:MAX_COMPARED])


def measure_common(left: str, right: str) -> int:
    """Return the length of the longest common subsequence, quickly for every pair of texts.

    ``difflib`` takes a minute for two answers of 2,000 characters that repeat themselves. Source: the bit-parallel
    recurrence of Hyyrö, Bit-parallel LCS-length computation revisited (2004): bit ``i`` of ``row`` is 0 where the
    length rises at character ``i`` of ``left``.

    >>> measure_common("abcde", "xaxcxe")
    3
    """
    places: dict[str, int] = {}
    for place, character in enumerate(left):
        places[character] = places.get(character, 0) | 1 << place
    full = (1 << len(left)) - 1
    row = full
    for character in right:
        matched = row & places.get(character, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(left) - row.bit_count()
