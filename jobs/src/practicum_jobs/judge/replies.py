"""Verdicts read strictly from what a judge model wrote. Anything else is named, and never guessed at. Pure."""

from __future__ import annotations

from typing import Final

from practicum_core.stages.judge import Unusable
from practicum_jobs.judge.pairs import Judgement, Verdict
from practicum_jobs.scoring.answers import parse_object
from practicum_jobs.text.refusals import is_declined

MAX_TEXT = 300
"""Characters of an answer that are kept."""
_VERDICTS: Final[dict[str, Verdict]] = {"A": "first", "B": "second", "tie": "tie"}
_MIN_PROSE_LETTERS = 8


def read_reply(text: str, model: str = "") -> Judgement:
    """Return the verdict of an answer that is one JSON object with ``verdict`` as its only key, or why there is none.

    One Markdown code fence around it is allowed, as for the answers that are judged.

    >>> read_reply('{"verdict": "B"}').verdict
    'second'
    >>> read_reply("Answer A is clearly better.").unusable.value, read_reply('{"verdict": "A or B"}').unusable.value
    ('prose', 'garbage')
    """
    found = parse_object(text)
    kept = text[:MAX_TEXT]
    if found is not None:
        said = found.get("verdict")
        if found.keys() == {"verdict"} and isinstance(said, str) and said in _VERDICTS:
            return Judgement(_VERDICTS[said], text=kept, model=model)
        return Judgement(None, Unusable.GARBAGE, kept, model)
    return Judgement(None, _name_unusable(text), kept, model)


def _name_unusable(text: str) -> Unusable:
    if not text.strip():
        return Unusable.EMPTY
    if is_declined(text):
        return Unusable.REFUSAL
    is_prose = "{" not in text and sum(letter.isalpha() for letter in text) >= _MIN_PROSE_LETTERS
    return Unusable.PROSE if is_prose else Unusable.GARBAGE
