"""Decides what is wrong with one row, looked at alone, and how a text is shown without giving anything away."""

from __future__ import annotations

import functools
import re

from practicum_jobs.audit.catalogue import EMPTY, REFUSAL
from practicum_jobs.audit.content import Content
from practicum_jobs.text.encoding import find_defects
from practicum_jobs.text.pii import Match, find_pii, mask_matches, normalise_for_search
from practicum_jobs.text.secrets import find_secrets

EXCERPT_CHARS = 160
_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence|large language model|language model)\b"
    r"|\bi(?:'m| am) (?:just )?an? (?:ai|artificial intelligence|language model)\b"
    r"|\b(?:i'm sorry|i am sorry|sorry|i apologi[sz]e),? (?:but )?i (?:can(?:no|')?t|am unable to|am not able to)\b"
    r"|作为(?:一个|一名)?(?:人工智能|AI|大?语言模型)|我(?:只)?是(?:一个|一名)?(?:人工智能|AI|大?语言模型)"
    r"|(?:很抱歉|抱歉|对不起)[,，]?\s*我(?:无法|不能)",
    re.IGNORECASE,
)
_REFUSAL_HEAD_CHARS = 300
_REFUSAL_WORDS = ("as a", "m a", "sorry", "apolog", "作为", "我是", "我只是", "抱歉", "对不起")
"""One of these stands in every refusal; looking for them first is quicker than the pattern."""


def check_content(content: Content, normalised: str | None = None) -> list[str]:
    """Return the names of what is wrong with a row, each once.

    Args:
        content: The row.
        normalised: Its dialogue, normalised, where a caller has it.
    """
    found = set(check_text(content.dialogue, normalised))
    if content.instructions:
        found.update(_check_instructions(content.instructions))
    if not content.answer.strip():
        found.add(EMPTY)
    if is_refusal(content.answer):
        found.add(REFUSAL)
    return sorted(found)


def is_refusal(answer: str) -> bool:
    """Whether an answer begins as models refuse or speak of themselves.

    >>> is_refusal("As an AI language model, I cannot."), is_refusal("It was as an aid to memory.")
    (True, False)
    """
    head = answer[:_REFUSAL_HEAD_CHARS].lower()
    return any(word in head for word in _REFUSAL_WORDS) and _REFUSAL.search(head) is not None


def check_text(text: str, normalised: str | None = None) -> list[str]:
    """Return the names of personal data, secrets and encoding damage in a text."""
    names = [f"pii:{match.kind}" for match in find_pii(text)]
    names += [f"secret:{match.kind}" for match in find_secrets(text, normalised)]
    names += [str(defect) for defect in find_defects(text)]
    return names


@functools.lru_cache(maxsize=256)
def _check_instructions(text: str) -> tuple[str, ...]:
    return tuple(check_text(text))


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
    normal = normalise_for_search(text)
    private = [("pii", match) for match in find_pii(normal)] + [("secret", match) for match in find_secrets(normal)]
    places = [match for prefix, match in private if f"{prefix}:{match.kind}" == finding]
    masked = mask_matches(normal, [match for _, match in private])
    start = max(0, _get_start(normal, finding, places) - limit // 3)
    end = min(len(masked), start + limit)
    head, tail = ("…" if start else ""), ("…" if end < len(masked) else "")
    return head + masked[start:end].replace("\r", "").replace("\n", " ⏎ ") + tail


def _get_start(text: str, finding: str, places: list[Match]) -> int:
    if places:
        return places[0].start
    damaged = next((word for word in text.split() if finding in find_defects(word)), "") if finding else ""
    return text.find(damaged) if damaged else 0
