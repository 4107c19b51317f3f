"""Shingles: sets of n-gram hashes of texts, computed for whole batches with NumPy.

A text is normalised (NFKC, case folded, white space collapsed) and cut into units: each ideograph, and each word or
number between them. Punctuation and white space separate units and are no units. A shingle is the hash of n units in
a row; n is larger for Chinese text, whose units are mostly characters. Knows nothing of what the hashes are for.

Hashes are polynomials over mixed code points modulo 2**64 (Karp and Rabin 1987), taken from prefix sums, so that a
batch costs a few passes over its characters and no Python loop.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

UInt64 = npt.NDArray[np.uint64]
UInt32 = npt.NDArray[np.uint32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

CHINESE_RATIO = 0.3
"""Share of ideographs among letters and digits from which a text counts as Chinese."""

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)
_SEPARATOR, _WORD, _IDEOGRAPH = 0, 1, 2
_IDEOGRAPH_RANGES = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_BMP = 0x10000


@dataclass(frozen=True, slots=True)
class Shingles:
    """N-gram hashes of a batch of texts.

    ``hashes`` is flat; those of text ``i`` are ``hashes[offsets[i]:offsets[i + 1]]``, in text order, repeats kept.
    """

    hashes: UInt64
    offsets: Int64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, index: int) -> UInt64:
        """Return the hashes of text ``index``."""
        return self.hashes[self.offsets[index] : self.offsets[index + 1]]

    @property
    def rows(self) -> Int64:
        """Number of the text that each hash belongs to."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))


@dataclass(frozen=True, slots=True)
class Units:
    """Words or characters of a batch of texts, hashed; those of text ``i`` lie between its two offsets."""

    hashes: UInt64
    offsets: Int64
    is_chinese: Bool


def normalise_text(text: str) -> str:
    r"""Bring a text into the form in which equal texts are equal: NFKC, case folded, single spaces.

    >>> normalise_text("Ｏrder　Ａ１２ \n")
    'order a12'
    """
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.split())


def hash_text(text: str) -> int:
    """Return the 64-bit hash (XXH3) of a text that is already normalised."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def cut_units(texts: Sequence[str]) -> Units:
    """Cut normalised texts into hashed units.

    Args:
        texts: Normalised by :func:`normalise_text`.
    """
    codes = np.frombuffer("\n".join([*texts, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
    classes = _classify(codes)
    kept = np.flatnonzero(classes)
    rows = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)[kept]
    kept_classes = classes[kept]
    num_kept = np.bincount(rows, minlength=len(texts))
    num_ideographs = np.bincount(rows[kept_classes == _IDEOGRAPH], minlength=len(texts))
    is_chinese = num_ideographs > CHINESE_RATIO * num_kept
    starts = np.flatnonzero(_find_starts(kept, kept_classes))
    ends = np.append(starts[1:], len(kept))
    hashes = _mix(_hash_windows(_mix(codes[kept].astype(np.uint64)), starts, ends))
    return Units(hashes, _to_offsets(np.bincount(rows[starts], minlength=len(texts))), is_chinese)


def build_shingles(units: Units, num_words: int, num_chars: int, *, keep_short: bool = True) -> Shingles:
    """Hash every run of ``num_words`` units (``num_chars`` where the text is Chinese).

    Args:
        units: From :func:`cut_units`.
        num_words: Length of an n-gram in words.
        num_chars: Length of an n-gram in units for Chinese text.
        keep_short: Give a text with fewer units one shingle of all of them; otherwise it has none.
    """
    counts = np.diff(units.offsets)
    sizes = np.where(units.is_chinese, num_chars, num_words)
    shortest = np.minimum(counts, 1) if keep_short else np.zeros_like(counts)
    num_windows = np.maximum(counts - sizes + 1, shortest)
    offsets = _to_offsets(num_windows)
    starts = np.repeat(units.offsets[:-1] - offsets[:-1], num_windows) + np.arange(offsets[-1])
    ends = np.minimum(starts + np.repeat(sizes, num_windows), np.repeat(units.offsets[1:], num_windows))
    return Shingles(_mix(_hash_windows(units.hashes, starts, ends)), offsets)


def shingle_texts(texts: Sequence[str], num_words: int, num_chars: int) -> Shingles:
    """Normalise, cut and hash texts in one go.

    >>> a, b = shingle_texts(["a b c d", "A, b: C d!"], 3, 5), shingle_texts(["a b c d"], 3, 5)
    >>> a.offsets.tolist(), bool((a.of(0) == a.of(1)).all()), bool((a.of(0) == b.of(0)).all())
    ([0, 2, 4], True, True)
    """
    return build_shingles(cut_units([normalise_text(text) for text in texts]), num_words, num_chars)


def compute_jaccard(first: npt.NDArray[np.unsignedinteger], second: npt.NDArray[np.unsignedinteger]) -> float:
    """Return the Jaccard similarity of two sets of hashes; two empty sets are not similar.

    >>> compute_jaccard(np.array([1, 2, 2], np.uint64), np.array([2, 3], np.uint64))
    0.3333333333333333
    """
    num_common = len(np.intersect1d(first, second))
    num_all = len(np.union1d(first, second))
    return num_common / num_all if num_all else 0.0


def _find_starts(kept: Int64, classes: UInt8) -> Bool:
    starts = np.ones(len(kept), dtype=np.bool_)
    starts[1:] = (kept[1:] != kept[:-1] + 1) | (classes[1:] != _WORD) | (classes[:-1] != _WORD)
    return starts


def _hash_windows(values: UInt64, starts: Int64, ends: Int64) -> UInt64:
    prefix = np.zeros(len(values) + 1, dtype=np.uint64)
    np.cumsum(values * _get_powers(_BASE, len(values))[: len(values)], out=prefix[1:])
    return (prefix[ends] - prefix[starts]) * _get_powers(_INVERSE, len(values) + 1)[starts]


def _get_powers(base: int, count: int) -> UInt64:
    size = 1 << max(16, count.bit_length())
    return _build_powers(base, size)


@functools.lru_cache(maxsize=8)
def _build_powers(base: int, size: int) -> UInt64:
    factors = np.full(size, base, dtype=np.uint64)
    factors[0] = 1
    return np.multiply.accumulate(factors)


def _mix(values: UInt64) -> UInt64:
    """Spread every input bit over the output (the finaliser of SplitMix64, Steele et al. 2014)."""
    mixed = values + np.uint64(_BASE)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _classify(codes: UInt32) -> UInt8:
    classes: UInt8 = _build_class_table()[np.minimum(codes, _BMP)]
    is_rare = codes >= _BMP
    if is_rare.any():
        classes[is_rare & (codes >= 0x20000) & (codes < 0x40000)] = _IDEOGRAPH  # noqa: PLR2004 - planes 2 and 3
    return classes


@functools.lru_cache(maxsize=1)
def _build_class_table() -> UInt8:
    table = np.zeros(_BMP + 1, dtype=np.uint8)
    table[:_BMP] = np.fromiter((chr(code).isalnum() for code in range(_BMP)), dtype=np.bool_, count=_BMP)
    for first, last in _IDEOGRAPH_RANGES:
        table[first : last + 1] *= _IDEOGRAPH
    return table


def _to_offsets(counts: npt.NDArray[np.integer]) -> Int64:
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
