"""What is wrong with one row, looked at alone, and excerpts of texts that give nothing away."""

from __future__ import annotations

import functools
import re

from practicum_jobs.audit.catalogue import (
    EMPTY,
    EMPTY_PROMPT,
    EMPTY_REJECTED,
    EQUAL_PAIR,
    PLACEHOLDER,
    REFUSAL,
    REPEATED_TURN,
    SPECIAL_TOKEN,
)
from practicum_jobs.audit.content import Content
from practicum_jobs.text.encoding import find_defects
from practicum_jobs.text.pii import find_pii, mask_matches
from practicum_jobs.text.refusals import is_refusal
from practicum_jobs.text.search_form import Match
from practicum_jobs.text.secrets import find_secrets

EXCERPT_CHARS = 160
_PLACEHOLDER_CHARS = 12

_PLACEHOLDERS = frozenset(
    {"n/a", "n.a.", "nan", "none", "null", "nil", "undefined", "todo", "tbd", "...", "…", "……", "-", "--", "—", "?"}
)
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u2800\u3164"))
"""Characters that print nothing and that ``strip`` leaves."""
_SPECIAL = re.compile(
    r"<\|[A-Za-z0-9_]{2,40}\|>|<\uff5c[^<>\s]{2,40}\uff5c>|<(?:start|end)_of_turn>|<(?:bos|eos)>|\[/?INST\]|<</?SYS>>"
)
"""Marks of turns of the common chat templates."""


def check_content(content: Content, normalised: str | None = None, special: re.Pattern[str] | None = None) -> list[str]:
    """Return the names of what is wrong with a row, each once.

    Args:
        content: The row.
        normalised: Its dialogue, normalised, where a caller has it.
        special: The special tokens of the model, beside the common ones.
    """
    dialogue = content.dialogue
    found = set(check_text(dialogue, normalised))
    instructions = content.instructions
    if instructions:
        found.update(_check_instructions(instructions, special))
    if has_special_token(dialogue, special):
        found.add(SPECIAL_TOKEN)
    found.update(_check_answer(content.reply))
    found.update(_check_turns(content))
    if content.rejected is not None:
        if not _strip(content.rejected):
            found.add(EMPTY_REJECTED)
        elif content.rejected.strip() == content.answer.strip():
            found.add(EQUAL_PAIR)
    return sorted(found)


def has_special_token(text: str, special: re.Pattern[str] | None = None) -> bool:
    """Whether a text holds what a tokenizer or a chat template takes for a mark.

    >>> has_special_token("a <|im_end|> b"), has_special_token("a < b | c > d [1]")
    (True, False)
    """
    if ("<" in text or "[" in text) and _SPECIAL.search(text) is not None:
        return True
    return special is not None and special.search(text) is not None


def _check_answer(answer: str) -> list[str]:
    found = []
    stripped = _strip(answer)
    if not stripped:
        found.append(EMPTY)
    elif len(stripped) < _PLACEHOLDER_CHARS and stripped.lower() in _PLACEHOLDERS:
        found.append(PLACEHOLDER)
    if is_refusal(answer):
        found.append(REFUSAL)
    return found


def _check_turns(content: Content) -> list[str]:
    found = []
    before = ""
    for role, text in content.turns:
        if role == "user":
            if before == "user":
                found.append(REPEATED_TURN)
            if not _strip(text):
                found.append(EMPTY_PROMPT)
        before = role
    return found


def _strip(text: str) -> str:
    """Strip a text of blanks and of characters that print nothing."""
    stripped = text.strip()
    return stripped if stripped.isascii() else stripped.translate(_UNSEEN).strip()


def check_text(text: str, normalised: str | None = None) -> list[str]:
    """Return the names of personal data, secrets and encoding damage in a text."""
    names = [f"pii:{match.kind}" for match in find_pii(text, normalised)]
    names += [f"secret:{match.kind}" for match in find_secrets(text, normalised)]
    names += [str(defect) for defect in find_defects(text)]
    return names


@functools.lru_cache(maxsize=256)
def _check_instructions(text: str, special: re.Pattern[str] | None) -> tuple[str, ...]:
    return (*check_text(text), *([SPECIAL_TOKEN] if has_special_token(text, special) else []))


def has_private(text: str) -> bool:
    """Whether a text holds personal data or a secret."""
    return bool(find_pii(text) or find_secrets(text))


def write_excerpt(text: str, finding: str = "", limit: int = EXCERPT_CHARS) -> str:
    """Return a part of ``text`` in one line, with every piece of personal data and every secret in it masked.

    Args:
        text: Any text of a row.
        finding: The excerpt is taken around the first place of this finding, where it has a place.
        limit: Characters.
    """
    private = [("pii", match) for match in find_pii(text)] + [("secret", match) for match in find_secrets(text)]
    places = [match for prefix, match in private if f"{prefix}:{match.kind}" == finding]
    masked = mask_matches(text, [match for _, match in private])
    start = max(0, _get_start(text, finding, places) - limit // 3)
    end = min(len(masked), start + limit)
    head, tail = ("…" if start else ""), ("…" if end < len(masked) else "")
    return head + masked[start:end].replace("\r", "").replace("\n", " ⏎ ") + tail


def _get_start(text: str, finding: str, places: list[Match]) -> int:
    if places:
        return places[0].start
    damaged = next((word for word in text.split() if finding in find_defects(word)), "") if finding else ""
    return text.find(damaged) if damaged else 0
