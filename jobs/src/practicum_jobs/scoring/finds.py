"""Scores by what is found in an answer: the match of a pattern, or a number."""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache
from typing import Any

import regex

from practicum_core.errors import DataError
from practicum_core.scorers import NumericScorer, RegexScorer
from practicum_jobs.scoring.answers import Score, is_mentioned, normalize_text

MATCH_TIMEOUT_S = 1.0
"""A pattern that takes longer on one answer is taken for one that backtracks without end."""

_NUMBER = regex.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?%?")


def score_pattern(scorer: RegexScorer, expected: str, answer: str) -> Score:
    r"""Score what a pattern finds.

    Raises:
        DataError: The pattern does not end on this answer.

    >>> score_pattern(RegexScorer(pattern=r"answer is (\w+)"), "Paris", "The answer is Paris.").is_exact
    True
    """
    found = _find(scorer, answer)
    if found is None:
        return Score(is_exact=False, is_mentioned=_mentions(expected, answer), failure="no_match")
    is_right = not expected or normalize_text(found) == normalize_text(expected)
    mentioned = is_right or _mentions(expected, answer)
    return Score(is_exact=is_right, is_mentioned=mentioned, failure="" if is_right else "wrong_match")


def score_number(scorer: NumericScorer, expected: str, answer: str) -> Score:
    """Score the first or last number of an answer.

    Raises:
        DataError: The expected answer holds no number.

    >>> score_number(NumericScorer(), "1234.5", "Altogether 1,234.50").is_exact
    True
    >>> score_number(NumericScorer(absolute=0.1), "3.14", "about 3.2").is_exact
    True
    """
    wanted = parse_numbers(expected)
    if not wanted:
        raise DataError(f"the expected answer {expected!r} holds no number", "correct the row, or its scorer")
    found = parse_numbers(answer)
    if not found:
        return Score(is_exact=False, failure="no_number" if answer.strip() else "empty")
    tolerance = max(scorer.absolute, scorer.relative * abs(wanted[-1]))
    is_right = _is_close(found[0] if scorer.take == "first" else found[-1], wanted[-1], tolerance)
    mentioned = is_right or any(_is_close(one, wanted[-1], tolerance) for one in found)
    return Score(is_exact=is_right, is_mentioned=mentioned, failure="" if is_right else "wrong_number")


def parse_numbers(text: str) -> list[float]:
    """Return the numbers in a text; thousands are marked by commas, a percentage is a hundredth.

    >>> parse_numbers("１２ of 1,000 is 1.2%, not -3e2 or v2")
    [12.0, 1000.0, 0.012, -300.0]
    """
    found = []
    for match in _NUMBER.findall(unicodedata.normalize("NFKC", text)):
        number = float(match.replace(",", "").rstrip("%"))
        found.append(number / 100 if match.endswith("%") else number)
    return found


def _is_close(one: float, other: float, tolerance: float) -> bool:
    return math.isfinite(one) and abs(one - other) <= tolerance


def _mentions(expected: str, answer: str) -> bool:
    return is_mentioned(normalize_text(expected), normalize_text(answer))


def _find(scorer: RegexScorer, answer: str) -> str | None:
    pattern = _compile(scorer.pattern)
    try:
        finds = [match[pattern.groups] for match in pattern.finditer(answer, timeout=MATCH_TIMEOUT_S)]
    except TimeoutError as error:
        raise DataError(
            f"the pattern {scorer.pattern!r} takes more than {MATCH_TIMEOUT_S:.0f} s on one answer",
            "write it without repetitions inside repetitions",
        ) from error
    given = [find for find in finds if find is not None]
    return (given[0] if scorer.take == "first" else given[-1]) if given else None


@lru_cache(maxsize=256)
def _compile(pattern: str) -> Any:  # noqa: ANN401 - regex publishes no types
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise DataError(f"the pattern {pattern!r} is not understood ({error})", "correct it") from error
