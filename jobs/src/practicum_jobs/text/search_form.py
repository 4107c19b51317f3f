r"""The form of a text in which personal data and secrets are searched, and the way back to the text itself.

Characters are replaced one by one, so that every place in the form has its place in the text: NFKC (full-width and
circled digits become ASCII), dashes of every kind become ``-``, spaces of every kind a space, middle dots ``·``.
Characters that nobody sees (zero-width spaces, joiners, marks of direction, soft hyphens) are dropped.
"""

from __future__ import annotations

import itertools
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass

_DASHES = "\u2043\u2212\u30fc"
"""A bullet, the minus sign and the long vowel mark of katakana, which are typed for a hyphen."""
_DOTS = "·•‧∙⋅・●"
_UNSEEN_CATEGORIES = frozenset({"Cf", "Mn", "Me"})


@dataclass(frozen=True, slots=True)
class Match:
    """A place in a text. ``kind`` is a kind of personal data or of secret."""

    kind: str
    start: int
    end: int


class SearchForm:
    """A text as patterns see it.

    >>> form = SearchForm("号１３\u200b8–0")
    >>> form.text, form.locate("phone", 1, 6)
    ('号138-0', Match(kind='phone', start=1, end=7))
    """

    def __init__(self, original: str) -> None:
        self._pieces: list[str] | None = None
        self._starts: list[int] = []
        if original.isascii():
            self.text = original.replace("\t", " ")
        else:
            self._pieces = [_PIECES[char] for char in original]
            self.text = "".join(self._pieces)

    def locate(self, kind: str, start: int, end: int) -> Match:
        """Return the place in the original text of ``start`` to ``end`` in the form."""
        if self._pieces is None:
            return Match(str(kind), start, end)
        if not self._starts:
            self._starts = [0, *itertools.accumulate(len(piece) for piece in self._pieces)]
        return Match(str(kind), bisect_right(self._starts, start) - 1, bisect_right(self._starts, end - 1))


def fold_for_gate(text: str) -> str:
    """Return a text as gates read it, which look whether a search is worth while: NFKC, case folded."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _simplify(char: str) -> str:
    normal = unicodedata.normalize("NFKC", char)
    if len(normal) > 1:
        return "".join(_simplify(part) if part != char else part for part in normal)
    category = unicodedata.category(normal)
    if category in _UNSEEN_CATEGORIES:
        return ""
    if category == "Pd" or normal in _DASHES:
        return "-"
    if category == "Zs" or normal == "\t":
        return " "
    return "·" if normal in _DOTS else normal


class _Pieces(dict[str, str]):
    def __missing__(self, char: str) -> str:
        piece = self[char] = _simplify(char)
        return piece


_PIECES = _Pieces()
"""What stands for a character in the form; grows by the characters that were met, of which there are few."""
