"""Decides how one text exists in both languages of the course, and how foreign text is made safe to show.

Refuses to know HTML: escaping belongs to the templates and to :mod:`practicum_jobs.render.svg`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder what follows them; shown by name, because they can make a text read as another."""


@dataclass(frozen=True)
class Bilingual:
    """One text in English and in Chinese. Both are required: a page has no half-translated line."""

    en: str
    zh: str

    def __post_init__(self) -> None:
        """Refuse a missing language."""
        if not self.en or not self.zh:
            raise ValueError(f"a text misses a language: {self!r}")

    def format(self, **values: object) -> Bilingual:
        """Fill ``{name}`` fields in both languages; a value that is itself bilingual is taken by language.

        >>> Bilingual("{n} rows", "{n} 行").format(n=3).zh
        '3 行'
        """
        return Bilingual(
            self.en.format(**{key: _pick(value, "en") for key, value in values.items()}),
            self.zh.format(**{key: _pick(value, "zh") for key, value in values.items()}),
        )


Text = Bilingual | str
"""A text in both languages, or one that reads the same in both (a number, an id, a file name)."""


def _pick(value: object, language: str) -> object:
    return getattr(value, language) if isinstance(value, Bilingual) else value


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
