"""The score of an answer by the scorer that its row chooses, or else by that of the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from practicum_core.errors import ConfigError, DataError
from practicum_core.rows import Row
from practicum_core.scorers import (
    ChoiceScorer,
    ChrfScorer,
    JsonScorer,
    NumericScorer,
    RegexScorer,
    RougeScorer,
    SchemaScorer,
    Scorer,
    ScorerName,
    ScorerOptions,
    TextScorer,
    UnitTestScorer,
)
from practicum_jobs.scoring.answers import Score, score_answer, score_object, score_text
from practicum_jobs.scoring.code_tests import score_code
from practicum_jobs.scoring.finds import score_number, score_pattern
from practicum_jobs.scoring.json_schemas import score_schema
from practicum_jobs.scoring.similarity import score_chrf, score_rouge

_DEFAULTS: dict[str, Scorer] = {
    "json": JsonScorer(),
    "text": TextScorer(),
    "numeric": NumericScorer(),
    "chrf": ChrfScorer(),
    "rouge": RougeScorer(),
}


def get_scorer(row: Row, name: ScorerName) -> Scorer | None:
    """Return the scorer of a row: its own, or the one called ``name``; ``None`` where its expected answer decides."""
    return row.scorer or _DEFAULTS.get(name)


def score_row(row: Row, answer: str, name: ScorerName = "auto", *, may_run_code: bool = False) -> Score:
    """Score the answer to a row.

    Args:
        row: With the expected answer and perhaps its own scorer.
        answer: Of the model.
        name: Scorer of rows that choose none.
        may_run_code: Whether tests of code may run.

    Raises:
        ConfigError: The row's tests would run code, and that is not allowed.
        DataError: The expected answer does not fit the scorer.

    >>> row = Row(id="1", messages=[{"role": "user", "content": "6 * 7?"}], answer="42")
    >>> score_row(row, "It is 42.0", "numeric").is_exact
    True
    """
    scorer = get_scorer(row, name)
    try:
        if scorer is None:
            return score_answer(row.task, row.answer, answer)
        if isinstance(scorer, UnitTestScorer) and not may_run_code:
            raise ConfigError(
                f"row {row.id}: its scorer runs the model's answer as code",
                "allow it by name: evaluate.run_code=true, on a machine where that does no harm",
            )
        return score_with(scorer, row.answer, cut_answer(answer, scorer.until))
    except DataError as error:
        raise DataError(f"row {row.id}: {error.detail}", error.fix) from error


def refuse_other_than_text(rows: Iterable[Row], program: str) -> None:
    """Refuse rows whose scorer needs more than a generated text, before a program that has no more generates anything.

    Args:
        rows: To be answered.
        program: What it is called.

    Raises:
        DataError: A row is scored by log-probabilities or by running its answer.
    """
    for row in rows:
        if isinstance(row.scorer, ChoiceScorer | UnitTestScorer):
            needs = "compares log-probabilities" if row.scorer.kind == "choice" else "runs the answer as code"
            raise DataError(
                f"row {row.id}: its scorer '{row.scorer.kind}' {needs}, and {program} scores generated text only",
                "leave such rows out; `practicum compare` scores them",
            )


def score_with(scorer: Scorer, expected: str, answer: str) -> Score:
    """Score an answer.

    Raises:
        DataError: The expected answer does not fit the scorer.
    """
    score: Callable[[Any, str, str], Score] = _SCORES[type(scorer)]
    return score(scorer, expected, answer)


def cut_answer(answer: str, until: tuple[str, ...]) -> str:
    r"""Return the part of an answer before the first of some texts.

    >>> cut_answer("42\n\nQ: next", ("\n\n", "Q:"))
    '42'
    """
    places = [place for text in until if (place := answer.find(text)) >= 0]
    return answer[: min(places)] if places else answer


def _score_choice(scorer: ChoiceScorer, expected: str, answer: str) -> Score:
    if expected not in scorer.choices:
        raise DataError(f"the expected answer {expected!r} is none of the choices", "give one of them as the answer")
    is_right = answer == expected
    return Score(is_exact=is_right, is_mentioned=is_right, failure="" if is_right else "wrong_choice")


_SCORES: dict[type[ScorerOptions], Callable[[Any, str, str], Score]] = {
    JsonScorer: lambda _, expected, answer: score_object(expected, answer),
    TextScorer: lambda _, expected, answer: score_text(expected, answer),
    RegexScorer: score_pattern,
    NumericScorer: score_number,
    ChrfScorer: score_chrf,
    RougeScorer: score_rouge,
    SchemaScorer: lambda scorer, _, answer: score_schema(scorer.json_schema, answer),
    UnitTestScorer: lambda scorer, _, answer: score_code(scorer, answer),
    ChoiceScorer: _score_choice,
}
