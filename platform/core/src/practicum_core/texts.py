"""Texts in English and Chinese. All texts of reports are bilingual."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bilingual:
    """One text in English and in Chinese; both are required."""

    en: str
    zh: str

    def __post_init__(self) -> None:
        """Check that both languages are there."""
        if not self.en or not self.zh:
            raise ValueError(f"a text misses a language: {self!r}")

    def format(self, **values: object) -> Bilingual:
        """Fill ``{name}`` placeholders in both languages. A bilingual value is inserted in the same language.

        >>> Bilingual("{n} rows", "{n} 行").format(n=3).zh
        '3 行'
        """
        return Bilingual(
            self.en.format(**{key: _pick(value, "en") for key, value in values.items()}),
            self.zh.format(**{key: _pick(value, "zh") for key, value in values.items()}),
        )


Text = Bilingual | str
"""A bilingual text, or a string that is the same in both languages (a number, an id, a file name)."""


def _pick(value: object, language: str) -> object:
    return getattr(value, language) if isinstance(value, Bilingual) else value
