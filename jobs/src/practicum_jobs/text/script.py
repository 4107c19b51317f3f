"""Detection of the script of a text by its letters; of the language only if the script determines it.

This rule comes before any language identifier: identifiers guess wildly on mixed, short and code-like text. Texts in
Latin script are named ``latin``, not ``en``: letters alone do not tell the languages apart.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Script(StrEnum):
    """What a text is written in."""

    NONE = "none"
    """No letters."""
    LATIN = "latin"
    CHINESE = "zh"
    JAPANESE = "ja"
    """Kana, with or without ideographs."""
    KOREAN = "ko"
    CYRILLIC = "cyrillic"
    ARABIC = "arabic"
    OTHER = "other"
    MIXED = "mixed"
    """Chinese and Latin words in like parts."""


SCRIPTS = tuple(Script)
_RANGES: tuple[tuple[int, int, Script], ...] = (
    (0x41, 0x5A, Script.LATIN),
    (0x61, 0x7A, Script.LATIN),
    (0xC0, 0x24F, Script.LATIN),
    (0xFF21, 0xFF5A, Script.LATIN),
    (0x400, 0x52F, Script.CYRILLIC),
    (0x600, 0x6FF, Script.ARABIC),
    (0x3040, 0x30FF, Script.JAPANESE),
    (0x3400, 0x4DBF, Script.CHINESE),
    (0x4E00, 0x9FFF, Script.CHINESE),
    (0xF900, 0xFAFF, Script.CHINESE),
    (0xAC00, 0xD7A3, Script.KOREAN),
)
LATIN_LETTERS_PER_WORD = 5
"""An ideograph weighs as much as this many Latin letters: about one word each."""
MIXED_RATIO = 0.25
KANA_RATIO = 0.1


def classify_texts(texts: Sequence[str]) -> list[Script]:
    """Return the script of each text.

    >>> classify_texts(["hello there", "你好，世界", "123", "これはペンです"])
    [<Script.LATIN: 'latin'>, <Script.CHINESE: 'zh'>, <Script.NONE: 'none'>, <Script.JAPANESE: 'ja'>]
    """
    return [SCRIPTS[number] for number in classify_numbers(texts).tolist()]


def classify_numbers(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return the script of each text as its position in :data:`SCRIPTS`."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
    rows = np.repeat(np.arange(len(texts)), lengths)
    kinds = _build_table()[np.minimum(codes, 0x10000)].astype(np.int64)
    counts = np.bincount(rows * len(SCRIPTS) + kinds, minlength=len(texts) * len(SCRIPTS))
    return _decide(counts.reshape(len(texts), len(SCRIPTS)).astype(np.float64))


def _decide(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    weights = counts.copy()
    weights[:, _number(Script.NONE)] = 0
    weights[:, _number(Script.LATIN)] /= LATIN_LETTERS_PER_WORD
    total = weights.sum(axis=1)
    share = weights / np.maximum(total, 1e-9)[:, None]
    result: npt.NDArray[np.uint8] = share.argmax(axis=1).astype(np.uint8)
    chinese, latin, kana = (share[:, _number(kind)] for kind in (Script.CHINESE, Script.LATIN, Script.JAPANESE))
    result[(chinese >= MIXED_RATIO) & (latin >= MIXED_RATIO)] = _number(Script.MIXED)
    result[kana >= KANA_RATIO] = _number(Script.JAPANESE)
    result[total == 0] = _number(Script.NONE)
    return result


def _number(script: Script) -> int:
    return SCRIPTS.index(script)


@functools.lru_cache(maxsize=1)
def _build_table() -> npt.NDArray[np.uint8]:
    is_letter = np.fromiter((chr(code).isalpha() for code in range(0x10000)), dtype=np.bool_, count=0x10000)
    table = np.full(0x10001, _number(Script.OTHER), dtype=np.uint8)
    table[:0x10000][~is_letter] = _number(Script.NONE)
    table[0x10000] = _number(Script.NONE)
    for first, last, script in _RANGES:
        span = table[first : last + 1]
        span[is_letter[first : last + 1]] = _number(script)
    return table
