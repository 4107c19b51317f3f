"""Untrusted text made safe to show: control characters are replaced by visible ones, long texts are truncated.

The templates and :mod:`practicum_jobs.render.svg` escape HTML.
"""

from __future__ import annotations

import unicodedata

BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional control characters. They reorder the text that follows and so can hide what it says."""


def make_visible(text: str) -> str:
    """Replace control, bidi and surrogate characters, which HTML forbids or which can mislead a reader.

    >>> make_visible("a" + chr(0) + "b" + chr(0x202E))
    'a␀b⟦U+202E⟧'
    """
    if text.isprintable():
        return text
    return "".join(_show(character) for character in text)


def _show(character: str) -> str:
    code = ord(character)
    if character in "\n\t":
        return character
    if code < 0x20:  # noqa: PLR2004 - Unicode has pictures of the C0 controls
        return chr(0x2400 + code)
    if character in BIDI_CONTROLS or unicodedata.category(character) in {"Cc", "Cs"}:
        return f"⟦U+{code:04X}⟧"
    return character


def shorten(text: str, limit: int) -> str:
    """Truncate ``text`` to ``limit`` characters and append the number of characters that were removed.

    >>> shorten("abcdef", 4)
    'abcd… (+2)'
    """
    return text if len(text) <= limit else f"{text[:limit]}… (+{len(text) - limit:,})"
