"""Detection of overlap between two sets of rows: equal rows, near duplicates, and shared long passages.

One side is indexed in memory (the smaller: the evaluation rows), the other is streamed past it, so memory depends
on the indexed side alone. Runs are 13 words (GPT-3's contamination check, Brown et al. 2020, appendix C), or 24
characters for Chinese, where white-space words mean nothing. Knows rows as ids and texts: what a caller leaves out
of the text (a system prompt that all rows share) cannot overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from practicum_jobs.text.duplicates import iterate_batches
from practicum_jobs.text.shingles import (
    Bool,
    Int64,
    UInt8,
    UInt32,
    UInt64,
    build_shingles,
    compute_jaccard,
    cut_units,
    normalise_text,
)
from practicum_jobs.text.sketches import Sketches, SketchSettings, estimate_similarity, sketch_units

BATCH_ROWS = 1_000
MAX_PROPOSALS = 256
"""Indexed rows proposed for one streamed row and one band."""


@dataclass(frozen=True)
class OverlapSettings:
    """What counts as overlap."""

    ngram_words: int = 13
    ngram_chars: int = 24
    sketch: SketchSettings = field(default_factory=SketchSettings)


@dataclass(frozen=True)
class Overlap:
    """Ids of probe rows that overlap with the reference, in probe order. A row stands in the strongest kind only."""

    exact: tuple[str, ...]
    near: tuple[str, ...]
    ngram: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing overlaps."""
        return not (self.exact or self.near or self.ngram)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of texts, ready to be indexed or matched: sketches, and hashes of long runs with their row."""

    sketches: Sketches
    runs: UInt64
    run_rows: Int64


_BIT = np.left_shift(1, np.arange(8)).astype(np.uint8)


class Kind(StrEnum):
    """How a row overlaps, strongest first."""

    EXACT = "exact"
    NEAR = "near"
    NGRAM = "ngram"


def prepare_texts(texts: Sequence[str], settings: OverlapSettings) -> Prepared:
    """Hash raw texts. Texts shorter than a run have no runs."""
    return prepare_normalised([normalise_text(text) for text in texts], settings)


def prepare_normalised(normalised: Sequence[str], settings: OverlapSettings) -> Prepared:
    """Hash texts that were normalised by :func:`practicum_jobs.text.shingles.normalise_text`."""
    units = cut_units(normalised)
    runs = build_shingles(units, settings.ngram_words, settings.ngram_chars, keep_short=False)
    return Prepared(sketch_units(normalised, units, settings.sketch), runs.hashes, runs.rows)


class OverlapIndex:
    """The indexed side. Built whole, then asked batch by batch; remembers which of its rows were met.

    Args:
        batches: The rows to index, prepared; numbered from 0 in order.
        settings: The same that prepared them.
    """

    def __init__(self, batches: Iterable[Prepared], settings: OverlapSettings) -> None:
        self.settings = settings
        kept = list(batches)
        starts = np.cumsum([0, *(len(batch.sketches) for batch in kept)])
        self.num_rows = int(starts[-1])
        self.is_met = {kind: np.zeros(self.num_rows, dtype=np.bool_) for kind in Kind}
        self._exact = _Table(_join([batch.sketches.exact_N for batch in kept], np.uint64))
        runs = _join([batch.runs for batch in kept], np.uint64)
        rows = _join([batch.run_rows + start for batch, start in zip(kept, starts, strict=False)], np.int64)
        self._runs = _Table(runs, rows)
        bands = [batch.sketches.bands_NB for batch in kept]
        num_bands = settings.sketch.num_bands
        self._bands = [_Table(_join([band[:, number] for band in bands], np.uint32)) for number in range(num_bands)]
        self._any_band = _BitTable(_join([_mark_bands(band).ravel() for band in bands], np.uint32))
        empty = np.empty((0, settings.sketch.num_permutations), dtype=np.uint8)
        self._signatures = np.concatenate([empty, *(batch.sketches.signatures_NP for batch in kept)])
        self._sets = [_get_set(batch.sketches, row) for batch in kept for row in range(len(batch.sketches))]

    def match(self, batch: Prepared) -> dict[Kind, Int64]:
        """Return, by kind, for each row of the batch the first indexed row that it overlaps with, or -1.

        A batch row or an indexed row may be met in several kinds.
        """
        num_rows = len(batch.sketches)
        exact = self._exact.match(batch.sketches.exact_N, self.is_met[Kind.EXACT])
        ngram = np.full(num_rows, -1, dtype=np.int64)
        run_matches = self._runs.match(batch.runs, self.is_met[Kind.NGRAM])
        hits = np.flatnonzero(run_matches >= 0)[::-1]
        ngram[batch.run_rows[hits]] = run_matches[hits]
        near = np.full(num_rows, -1, dtype=np.int64)
        pairs = self._find_near(batch.sketches)
        self.is_met[Kind.NEAR][pairs[:, 1]] = True
        near[pairs[::-1, 0]] = pairs[::-1, 1]
        return {Kind.EXACT: exact, Kind.NEAR: near, Kind.NGRAM: ngram}

    def _find_near(self, sketches: Sketches) -> Int64:
        """Return pairs (batch row, indexed row), shape (M, 2), sorted."""
        # Nearly all rows resemble no indexed row: one look at all bands tells them.
        rows = np.flatnonzero(self._any_band.may_hold(_mark_bands(sketches.bands_NB)).any(axis=1))
        if not len(rows):
            return np.empty((0, 2), dtype=np.int64)
        proposed = [table.pair(sketches.bands_NB[rows, band]) for band, table in enumerate(self._bands)]
        pairs = _sort_unique(np.concatenate(proposed))
        pairs[:, 0] = rows[pairs[:, 0]]
        estimates = estimate_similarity(sketches.signatures_NP[pairs[:, 0]], self._signatures[pairs[:, 1]])
        threshold = self.settings.sketch.threshold
        pairs = pairs[estimates >= threshold - self.settings.sketch.estimate_margin]
        similar = [
            compute_jaccard(_get_set(sketches, row), self._sets[indexed]) >= threshold
            for row, indexed in pairs.tolist()
        ]
        return pairs[np.array(similar, dtype=np.bool_)]


def index_texts(rows: Iterable[tuple[str, str]], settings: OverlapSettings) -> tuple[list[str], OverlapIndex]:
    """Index ``(id, text)`` rows; return their ids in order, and the index."""
    ids: list[str] = []
    prepared: list[Prepared] = []
    for batch in iterate_batches(rows, BATCH_ROWS):
        ids.extend(row_id for row_id, _ in batch)
        prepared.append(prepare_texts([text for _, text in batch], settings))
    return ids, OverlapIndex(prepared, settings)


def find_overlap(
    reference: Iterable[tuple[str, str]],
    probe: Iterable[tuple[str, str]],
    settings: OverlapSettings | None = None,
) -> Overlap:
    """Find the rows of ``probe`` that stand in ``reference`` too, both as ``(id, text)``.

    Args:
        reference: Such as the training rows; streamed, of any size.
        probe: Such as the test rows; held in memory as hashes (about 3 KB a row).
        settings: What counts as overlap.

    >>> find_overlap([("r", "the cat sat")], [("p", "The cat  SAT"), ("q", "a dog ran")])
    Overlap(exact=('p',), near=(), ngram=())
    """
    settings = settings or OverlapSettings()
    ids, index = index_texts(probe, settings)
    for batch in iterate_batches(reference, BATCH_ROWS):
        index.match(prepare_texts([text for _, text in batch], settings))
    exact, near, ngram = (index.is_met[kind] for kind in Kind)
    return Overlap(_name(ids, exact), _name(ids, near & ~exact), _name(ids, ngram & ~near & ~exact))


class _BitTable:
    """Tells most values that are not in a set, by a bit for each of their leading bits; never refuses one that is.

    Eight bits a byte: at most 16 MB, which misses the processor's caches less often than a byte for each would.
    """

    def __init__(self, values: UInt64 | UInt32) -> None:
        num_bits = min(max((32 * values.size).bit_length(), 10), 27)
        self._shift = values.dtype.type(8 * values.dtype.itemsize - num_bits)
        self._bits = np.zeros(1 << (num_bits - 3), dtype=np.uint8)
        slots = values.ravel() >> self._shift
        np.bitwise_or.at(self._bits, slots >> 3, _BIT[slots & 7])

    def may_hold(self, values: UInt64 | UInt32) -> UInt8:
        """Return for each value, in the array's shape, zero where it is not in the set."""
        slots = values >> self._shift
        bits: UInt8 = self._bits[slots >> 3] & _BIT[slots & 7]
        return bits


def _mark_bands(bands_NB: UInt32) -> UInt32:  # noqa: N803 - shape in the name
    """Make equal hashes of different bands differ."""
    return bands_NB ^ (np.arange(bands_NB.shape[1], dtype=np.uint32) * np.uint32(0x9E3779B1))


class _Table:
    """Finds equal values: by a table of bits that refuses nearly all absent values, then by binary search."""

    def __init__(self, values: UInt64 | UInt32, rows: Int64 | None = None) -> None:
        order = np.argsort(values, kind="stable")
        self._values = values[order]
        self._rows: Int64 = order if rows is None else rows[order]
        self._bits = _BitTable(values)

    def match(self, values: UInt64 | UInt32, is_met: Bool) -> Int64:
        """Return for each value the first row that has it, or -1; set ``is_met`` for every row that has one."""
        positions, left, right = self._search(values)
        first = np.full(len(values), -1, dtype=np.int64)
        first[positions] = self._rows[left]
        starts, places = np.unique(left, return_index=True)
        counts = right[places] - starts
        is_met[self._rows[_expand(starts, counts)]] = True
        return first

    def pair(self, values: UInt32) -> Int64:
        """Return pairs (position in ``values``, row), shape (M, 2), at most MAX_PROPOSALS for one position."""
        found, left, right = self._search(values)
        counts = np.minimum(right - left, MAX_PROPOSALS)
        return np.stack([np.repeat(found, counts), self._rows[_expand(left, counts)]], axis=1)

    def _search(self, values: UInt64 | UInt32) -> tuple[Int64, Int64, Int64]:
        """Return the positions of values that are there, and between which bounds they stand."""
        likely = np.flatnonzero(self._bits.may_hold(values))
        left = np.searchsorted(self._values, values[likely], "left")
        right = np.searchsorted(self._values, values[likely], "right")
        is_found = right > left
        return likely[is_found], left[is_found], right[is_found]


def _expand(starts: Int64, counts: Int64) -> Int64:
    """Return ``counts[i]`` successive numbers from each ``starts[i]``.

    >>> _expand(np.array([5, 9]), np.array([2, 1])).tolist()
    [5, 6, 9]
    """
    offsets = np.concatenate([[0], np.cumsum(counts)])
    expanded: Int64 = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
    return expanded


def _sort_unique(pairs: Int64) -> Int64:
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    is_first = np.ones(len(pairs), dtype=np.bool_)
    is_first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[is_first]


def _join(parts: list[npt.NDArray[Any]], dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


def _get_set(sketches: Sketches, row: int) -> UInt32:
    return sketches.shingles[sketches.offsets[row] : sketches.offsets[row + 1]]


def _name(ids: list[str], is_met: Bool) -> tuple[str, ...]:
    return tuple(ids[row] for row in np.flatnonzero(is_met).tolist())
