"""Scores of single answers: JSON answers by their fields, short texts by their words.

An ``extract`` answer is an exact match if it is one JSON object with exactly the expected keys and equal values.
White space around it and one Markdown code fence are allowed, because a caller can strip them safely. A sentence
before or after the object is not allowed, because a program that parses the answer would fail on it. Values are
compared as JSON: ``12.5`` equals ``12.50``, but not the string ``"12.50"``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from practicum_core.errors import DataError

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n?(.*?)\n?\s*```", re.DOTALL)
_SENTENCE_MARKS = ".,!?;:\"'`。！？；：、“”‘’"
"""Punctuation that is ignored around a short answer. It excludes ``-``, ``$`` and ``%``, which change the meaning."""


@dataclass(frozen=True)
class Score:
    """The score of one answer.

    Attributes:
        is_exact: The whole answer is right.
        is_json: The answer is one JSON object; ``None`` if the task does not ask for JSON.
        is_mentioned: The answer contains the expected words, in any form.
        fields: For tasks with fields, whether each field is right.
        failure: Empty for a right answer; else one of ``not_json``, ``wrong_keys``, ``wrong:FIELD[+FIELD]``,
            ``empty``, ``wrong_text``, or a kind of another scorer.
        value: From 0 to 1, of a scorer that grades answers; ``None`` where they are right or wrong.
    """

    is_exact: bool
    is_json: bool | None = None
    is_mentioned: bool = False
    fields: dict[str, bool] = field(default_factory=dict)
    failure: str = ""
    value: float | None = None

    @property
    def points(self) -> float:
        """What a comparison counts: the grade, or 1 and 0 for right and wrong."""
        return float(self.is_exact) if self.value is None else self.value


def score_answer(task: str, expected: str, answer: str) -> Score:
    """Score one answer: by fields if the task is ``extract`` or a JSON object is expected, else by words.

    Raises:
        DataError: The expected answer of an ``extract`` row is not a JSON object.

    >>> score_answer("question", "75 days", "75 days.").is_exact
    True
    """
    is_object = task == "extract" or parse_object(expected) is not None
    return score_object(expected, answer) if is_object else score_text(expected, answer)


def score_object(expected: str, answer: str) -> Score:
    """Score a JSON answer against the expected JSON object.

    >>> right = '{"category":"refund","order":"TK-1","amount":12.50,"urgent":true}'
    >>> score_object(right, '{"urgent": true, "category": "refund", "order": "TK-1", "amount": 12.5}').is_exact
    True
    >>> score_object(right, right.replace("refund", "billing")).failure
    'wrong:category'
    >>> score_object(right, "Sure! " + right).failure
    'not_json'
    """
    wanted = parse_object(expected)
    if wanted is None:
        raise DataError(f"the expected answer is not a JSON object: {expected!r}", "correct the row's answer")
    found = parse_object(answer)
    if found is None:
        failure = "not_json" if answer.strip() else "empty"
        return Score(is_exact=False, is_json=False, fields=dict.fromkeys(wanted, False), failure=failure)
    fields = {key: key in found and is_equal_json(value, found[key]) for key, value in wanted.items()}
    wrong = [key for key, is_right in fields.items() if not is_right]
    failure = f"wrong:{'+'.join(wrong)}" if wrong else ""
    if found.keys() != wanted.keys():
        failure = "wrong_keys"
    return Score(is_exact=not failure, is_json=True, is_mentioned=not wrong, fields=fields, failure=failure)


def score_text(expected: str, answer: str) -> Score:
    """Score a short text. Case, character width, outer punctuation and runs of white space are ignored.

    >>> score_text("Paris", "  paris. ").is_exact, score_text("Paris", "It is Paris").is_exact
    (True, False)
    """
    wanted, found = normalize_text(expected), normalize_text(answer)
    is_exact = wanted == found
    failure = "" if is_exact else ("wrong_text" if answer.strip() else "empty")
    return Score(is_exact=is_exact, is_mentioned=is_exact or is_mentioned(wanted, found), failure=failure)


def is_mentioned(wanted: str, text: str) -> bool:
    """Whether ``text`` contains ``wanted``, not as a part of a longer Latin word or number.

    >>> is_mentioned("40", "the answer is 40."), is_mentioned("40", "140"), is_mentioned("巴黎", "首都是巴黎市")
    (True, False, True)
    """
    edge = "[0-9a-z]"
    return bool(wanted) and re.search(rf"(?<!{edge})(?<!\d\.){re.escape(wanted)}(?!{edge})(?!\.\d)", text) is not None


def parse_object(text: str) -> dict[str, Any] | None:
    r"""Parse ``text`` as one JSON object. Return ``None`` for anything else, for repeated keys and for NaN.

    >>> parse_object('```json\n{"a": 1}\n```')
    {'a': 1}
    >>> parse_object('{"a": 1} and more') is None
    True
    """
    is_json, value = parse_json(text)
    return value if is_json and isinstance(value, dict) else None


def parse_json(text: str) -> tuple[bool, Any]:
    """Parse ``text`` as one JSON value, perhaps in one Markdown code fence; return whether it is one, and the value.

    >>> parse_json("[1]"), parse_json("NaN")
    ((True, [1]), (False, None))
    """
    stripped = text.strip()
    fenced = _FENCE.fullmatch(stripped)
    try:
        return True, json.loads(
            fenced[1] if fenced else stripped, object_pairs_hook=_refuse_repeats, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        return False, None


def is_equal_json(left: Any, right: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether two JSON values are equal; unlike in Python, ``true`` is not ``1``.

    >>> is_equal_json(1, 1.0), is_equal_json(True, 1), is_equal_json("1", 1)
    (True, False, False)
    """
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def normalize_text(text: str) -> str:
    """Normalize case, character width, outer punctuation and white space of a short answer.

    >>> normalize_text(" １２ Days。")
    '12 days'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split()).strip(_SENTENCE_MARKS + " ")


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is repeated")
    return result


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
