"""Foreign text made safe to show: control characters by name, long texts cut.

Escaping for HTML belongs to the templates and to :mod:`practicum_jobs.render.svg`.
"""

from __future__ import annotations

import unicodedata

BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder what follows them; shown by name, because they can make a text read as another."""


def make_visible(text: str) -> str:
    """Replace what HTML may not hold or what would mislead a reader: control, bidi and surrogate characters.

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
    if code < 0x20:  # noqa: PLR2004 - the C0 controls have pictures of their own
        return chr(0x2400 + code)
    if character in BIDI_CONTROLS or unicodedata.category(character) in {"Cc", "Cs"}:
        return f"⟦U+{code:04X}⟧"
    return character


def shorten(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters and say how many were left out.

    >>> shorten("abcdef", 4)
    'abcd… (+2)'
    """
    return text if len(text) <= limit else f"{text[:limit]}… (+{len(text) - limit:,})"
