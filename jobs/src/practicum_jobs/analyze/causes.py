"""The causes of a wrong answer, decided from the question, the expected answer and the answer. Pure.

Every rule looks at one kind of evidence. A refusal, a loop or a cut-off answer is also no valid JSON; it is not
counted as a wrong format, because repairing the format would not repair it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from practicum_core.stages.analyze import Cause
from practicum_jobs.render.foreign_text import shorten
from practicum_jobs.scoring.answers import is_equal_json, is_mentioned, normalize_text, parse_object
from practicum_jobs.text.refusals import is_declined
from practicum_jobs.text.repetition import MIN_DISTINCT, find_loop, measure_distinct
from practicum_jobs.text.script import Script, classify_texts

MAX_VALUE = 40
"""Characters of a value in the details."""
MIN_CUT_BYTES = 72
"""A shorter text without a full stop is a short answer and not a cut-off one. In UTF-8: an ideograph says more."""

_ENDINGS = frozenset(".!?。！？…)）]】}”\"'`>」』;；:：*|")
_CLOSERS = {"{": "}", "[": "]"}


@dataclass(frozen=True)
class Answered:
    """One answer with what it answers; ``is_stopped`` is ``None`` where nobody noted whether it ended by itself."""

    prompt: str
    expected: str
    output: str
    is_stopped: bool | None = None


@dataclass(frozen=True)
class Diagnosis:
    """The causes of a wrong answer, the decisive one first, and what exactly is wrong."""

    causes: tuple[Cause, ...]
    detail: str

    @property
    def cause(self) -> Cause:
        """The decisive cause."""
        return self.causes[0]


def diagnose(answered: Answered) -> Diagnosis:
    """Return why an answer that was scored wrong is wrong; ``content`` where no other rule applies.

    >>> diagnose(Answered("Capital of France?", "Paris", "I cannot help with that.")).cause
    <Cause.REFUSAL: 'refusal'>
    >>> diagnose(Answered("q", '{"a": 1}', '{"a": 2, "b": 3}')).causes
    (<Cause.HALLUCINATED_FIELD: 'hallucinated_field'>, <Cause.FIELD: 'field'>)
    """
    found = {cause: detail for cause, rule in _RULES.items() if (detail := rule(answered)) is not None}
    if found.keys() & _BREAKS_FORM:
        found.pop(Cause.FORMAT, None)
    if not found:
        return Diagnosis((Cause.CONTENT,), "")
    causes = tuple(cause for cause in Cause if cause in found)
    details = [found[cause] for cause in causes if found[cause]]
    return Diagnosis(causes, "; ".join(details))


def _find_empty(answered: Answered) -> str | None:
    return None if answered.output.strip() else ""


def _find_refusal(answered: Answered) -> str | None:
    is_refused = is_declined(answered.output) and not is_declined(answered.expected)
    return "" if is_refused and parse_object(answered.output) is None else None


def _find_repetition(answered: Answered) -> str | None:
    """Find text that stands several times in a row, or comes again and again; not if the expected answer does that."""
    loop = find_loop(answered.output)
    if loop is not None and find_loop(answered.expected) is None:
        return f"repeats {loop.strip()[:40]!r}"
    share = measure_distinct(answered.output)
    is_form = parse_object(answered.output) is not None
    if is_form or share >= MIN_DISTINCT or measure_distinct(answered.expected) < MIN_DISTINCT:
        return None
    return f"only {share:.0%} of its runs of three words are distinct"


def _find_truncation(answered: Answered) -> str | None:
    """Find an answer that was cut off: as the engine noted, or else by how it ends.

    Prose in place of JSON is a wrong format, wherever it was cut off.
    """
    output = answered.output.rstrip()
    if answered.is_stopped:
        return None
    if parse_object(answered.expected) is not None:
        return _describe_open(output) if parse_object(output) is None else None
    if answered.is_stopped is False:
        return "ran into the limit of new tokens"
    is_long = len(output.encode(errors="replace")) >= MIN_CUT_BYTES and len(output) > len(answered.expected)
    return "ends in the middle of a sentence" if is_long and output[-1] not in _ENDINGS else None


def _describe_open(output: str) -> str | None:
    """Say what is still open at the end of a text that should be JSON; ``None`` where nothing is.

    >>> _describe_open('{"a": [1, 2'), _describe_open('{"a": 1} and more') is None
    ("']}' is missing at the end", True)
    """
    stack: list[str] = []
    is_string = is_escaped = False
    for character in output[max(output.find("{"), 0) :]:
        if is_escaped:
            is_escaped = False
        elif is_string:
            is_escaped, is_string = character == "\\", character != '"'
        elif character == '"' and stack:
            is_string = True
        elif character in _CLOSERS:
            stack.append(_CLOSERS[character])
        elif stack and character == stack[-1]:
            stack.pop()
    missing = ('"' if is_string else "") + "".join(reversed(stack))
    return f"{missing!r} is missing at the end" if missing else None


def _find_language(answered: Answered) -> str | None:
    """Find an answer in another script than what was expected; of JSON, the values count."""
    wanted, found = parse_object(answered.expected), parse_object(answered.output)
    if wanted is not None and found is not None:
        texts = [_join_values(wanted), _join_values(found)]
    else:
        texts = [answered.prompt if wanted is not None else answered.expected, answered.output]
    expected, given = classify_texts(texts)
    if {expected, given} & {Script.NONE, Script.MIXED, Script.OTHER} or expected is given:
        return None
    return f"{given} instead of {expected}"


def _join_values(document: Mapping[str, Any]) -> str:
    return " ".join(value for value in document.values() if isinstance(value, str))


def _find_format(answered: Answered) -> str | None:
    wanted = parse_object(answered.expected)
    if wanted is None:
        is_inside = is_mentioned(normalize_text(answered.expected), normalize_text(answered.output))
        return "the right words, in another form" if is_inside else None
    found = parse_object(answered.output)
    if found is None:
        return "text around the JSON" if "{" in answered.output and "}" in answered.output else "no JSON"
    missing = [key for key in wanted if key not in found]
    return f"missing: {', '.join(missing)}" if missing else None


def _find_invented(answered: Answered) -> str | None:
    """Find keys that were not asked for, and values where the expected answer leaves the field empty."""
    wanted, found = parse_object(answered.expected), parse_object(answered.output)
    if wanted is None or found is None:
        return None
    invented = [key for key in found if key not in wanted]
    filled = [key for key, value in wanted.items() if _is_blank(value) and key in found and not _is_blank(found[key])]
    return f"invented: {', '.join([*invented, *filled])}" if invented or filled else None


def _is_blank(value: object) -> bool:
    return value is None or value in ("", [], {})


def _find_wrong_fields(answered: Answered) -> str | None:
    wanted, found = parse_object(answered.expected), parse_object(answered.output)
    if wanted is None or found is None:
        return None
    wrong = [
        f"{key} ({_write_value(found[key])} instead of {_write_value(value)})"
        for key, value in wanted.items()
        if key in found and not _is_blank(value) and not is_equal_json(value, found[key])
    ]
    return f"wrong: {', '.join(wrong)}" if wrong else None


def _write_value(value: object) -> str:
    """Write a JSON value, shortened.

    >>> _write_value("退款"), _write_value(True)
    ('"退款"', 'true')
    """
    return shorten(json.dumps(value, ensure_ascii=False), MAX_VALUE)


_RULES: Mapping[Cause, Callable[[Answered], str | None]] = {
    Cause.EMPTY: _find_empty,
    Cause.REFUSAL: _find_refusal,
    Cause.REPETITION: _find_repetition,
    Cause.TRUNCATION: _find_truncation,
    Cause.LANGUAGE: _find_language,
    Cause.FORMAT: _find_format,
    Cause.HALLUCINATED_FIELD: _find_invented,
    Cause.FIELD: _find_wrong_fields,
}
_BREAKS_FORM = frozenset({Cause.EMPTY, Cause.REFUSAL, Cause.REPETITION, Cause.TRUNCATION})
