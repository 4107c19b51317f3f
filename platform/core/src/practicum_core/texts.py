"""A text in both languages of the course. Everything that a person reads in a report is one of these."""

from __future__ import annotations

from dataclasses import dataclass


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
