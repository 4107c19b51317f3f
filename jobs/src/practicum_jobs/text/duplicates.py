"""Decides which rows of one stream are exact or near duplicates of one another.

Rows come in batches and are kept as numbers on disk (about 1 KB a row), of which a few bytes a row are in memory at
a time: memory stays nearly flat to millions of rows. Pairs that LSH proposes are verified by the real Jaccard
similarity of their shingle sets: what is reported is similar; what LSH never proposes is missed.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from practicum_jobs.text.shingles import Bool, Float64, Int64, UInt32, UInt64
from practicum_jobs.text.sketches import Sketches, SketchSettings, estimate_similarity, sketch_texts

T = TypeVar("T")

BATCH_ROWS = 2_000
WINDOW = 8
"""Neighbours of a row, within its bucket sorted by the next band too, that it is compared with."""
ESTIMATE_MARGIN = 0.15
"""A pair is verified when its estimate is no further below the threshold: over three standard errors at 128."""
_BLOCK_PAIRS = 10_000


@dataclass(frozen=True, slots=True)
class Duplicates:
    """For each row the number of the first row of its group; a row that is its own leader is no duplicate.

    ``exact_leaders`` groups rows of equal normalised text. ``near_leaders`` groups the first rows of those groups
    by verified similarity, closed transitively; a row that is an exact duplicate leads itself there.
    """

    exact_leaders: Int64
    near_leaders: Int64

    @property
    def is_exact(self) -> Bool:
        """Which rows repeat an earlier one."""
        return np.not_equal(self.exact_leaders, np.arange(len(self.exact_leaders)))

    @property
    def is_near(self) -> Bool:
        """Which rows resemble an earlier one without repeating one."""
        return np.not_equal(self.near_leaders, np.arange(len(self.near_leaders)))


class DuplicateIndex:
    """Takes sketches of a stream, then says which rows are duplicates.

    Args:
        settings: What is similar; the sketches must have been made with the same.
        folder: Existing folder for the index's files; the caller removes it.
    """

    def __init__(self, settings: SketchSettings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        self._exact = self._create("exact")
        self._bands = [self._create(f"band-{band}") for band in range(settings.num_bands)]
        self._signatures = self._create("signatures")
        self._shingles = self._create("shingles")
        self._lengths: list[UInt32] = []
        self._num_rows = 0

    def __len__(self) -> int:
        return self._num_rows

    def add(self, sketches: Sketches) -> None:
        """Append a batch."""
        self._exact.write(sketches.exact_N.tobytes())
        for band, handle in enumerate(self._bands):
            handle.write(np.ascontiguousarray(sketches.bands_NB[:, band]).tobytes())
        self._signatures.write(np.ascontiguousarray(sketches.signatures_NP).tobytes())
        self._shingles.write(np.ascontiguousarray(sketches.shingles).tobytes())
        self._lengths.append(np.diff(sketches.offsets).astype(np.uint32))
        self._num_rows += len(sketches)

    def find(self) -> Duplicates:
        """Group the rows. May be called once; the index takes no more batches afterwards."""
        for handle in (self._exact, *self._bands, self._signatures, self._shingles):
            handle.close()
        numbers = np.arange(self._num_rows, dtype=np.int64)
        if not self._num_rows:
            return Duplicates(numbers, numbers)
        exact_leaders = self._find_exact()
        lengths = np.concatenate(self._lengths)
        active = np.flatnonzero((exact_leaders == numbers) & (lengths > 0))
        verifier = _Verifier(self.settings, self._folder, lengths)
        groups = _Groups(self._num_rows)
        for band in range(self.settings.num_bands):
            for pairs in self._propose(band, active):
                _join_similar(groups, verifier, pairs)
        return Duplicates(exact_leaders, groups.leaders())

    def _create(self, name: str) -> BinaryIO:
        return (self._folder / f"{name}.bin").open("wb", buffering=1 << 16)

    def _find_exact(self) -> Int64:
        exact = np.fromfile(self._folder / "exact.bin", dtype=np.uint64)
        _, first, inverse = np.unique(exact, return_index=True, return_inverse=True)
        return first.astype(np.int64)[inverse]

    def _propose(self, band: int, active: Int64) -> Iterator[Int64]:
        """Yield pairs (earlier row, later row), shape (M, 2), that share the band."""
        this = self._read_band(band)[active]
        following = self._read_band((band + 1) % self.settings.num_bands)[active]
        order = np.argsort((this.astype(np.uint64) << np.uint64(32)) | following)
        keys, rows = this[order], active[order]
        is_first = np.ones(len(keys), dtype=np.bool_)
        is_first[1:] = keys[1:] != keys[:-1]
        leaders = np.minimum.reduceat(rows, np.flatnonzero(is_first))[np.cumsum(is_first) - 1] if len(rows) else rows
        yield from _cut(leaders[leaders != rows], rows[leaders != rows])
        for distance in range(1, WINDOW + 1):
            is_shared = keys[distance:] == keys[:-distance]
            if not is_shared.any():
                return
            yield from _cut(rows[:-distance][is_shared], rows[distance:][is_shared])

    def _read_band(self, band: int) -> UInt32:
        return np.fromfile(self._folder / f"band-{band}.bin", dtype=np.uint32)


class _Groups:
    """Union-find over row numbers; the smallest number leads its group."""

    def __init__(self, num_rows: int) -> None:
        self._parents = np.arange(num_rows, dtype=np.int64)

    def find(self, rows: Int64) -> Int64:
        """Return the leader of each row, flattening the way there."""
        leaders = self._parents[rows]
        while True:
            further = self._parents[leaders]
            if (further == leaders).all():
                self._parents[rows] = leaders
                return leaders
            leaders = further

    def join(self, pairs: Int64) -> None:
        """Join the two rows of each pair, shape (M, 2)."""
        for first, second in pairs.tolist():
            one, other = self._find_one(first), self._find_one(second)
            self._parents[max(one, other)] = min(one, other)

    def _find_one(self, row: int) -> int:
        while (parent := int(self._parents[row])) != row:
            row = parent
        return row

    def leaders(self) -> Int64:
        """Return every row's leader."""
        return self.find(np.arange(len(self._parents), dtype=np.int64))


class _Verifier:
    """Reads signatures and shingle sets of pairs from disk, and remembers which pairs were refused."""

    def __init__(self, settings: SketchSettings, folder: Path, lengths: UInt32) -> None:
        self._settings = settings
        self._offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=self._offsets[1:])
        self._signature_path = folder / "signatures.bin"
        self._shingle_path = folder / "shingles.bin"
        self._refused: set[int] = set()

    def keep_similar(self, pairs: Int64) -> Int64:
        """Return the pairs, shape (M, 2), whose real Jaccard similarity reaches the threshold."""
        # Mapped anew for each block: pages that were touched leave the process's memory with the mapping.
        shape = (len(self._offsets) - 1, self._settings.num_permutations)
        signatures = np.memmap(self._signature_path, dtype=np.uint8, mode="r", shape=shape)
        estimates = estimate_similarity(signatures[pairs[:, 0]], signatures[pairs[:, 1]])
        pairs = pairs[estimates >= self._settings.threshold - ESTIMATE_MARGIN]
        keys = (pairs[:, 0] * shape[0] + pairs[:, 1]).tolist()
        pairs = pairs[np.fromiter((key not in self._refused for key in keys), dtype=np.bool_, count=len(keys))]
        if not len(pairs):
            return pairs
        similarities = self._compute(pairs)
        is_similar = similarities >= self._settings.threshold
        self._refused.update((pairs[~is_similar, 0] * shape[0] + pairs[~is_similar, 1]).tolist())
        return pairs[is_similar]

    def _compute(self, pairs: Int64) -> Float64:
        """Return the Jaccard similarity of the two shingle sets of each pair."""
        shingles = np.memmap(self._shingle_path, dtype=np.uint32, mode="r")
        rows = pairs.ravel()
        counts = np.diff(self._offsets)[rows]
        ends = np.cumsum(counts)
        positions = np.repeat(self._offsets[rows] - (ends - counts), counts) + np.arange(ends[-1])
        # One number for (pair, shingle, side); sorted, a shingle of both sides stands beside itself.
        numbers = np.repeat(np.arange(len(rows), dtype=np.uint64), counts)
        keys: UInt64 = (numbers >> np.uint64(1) << np.uint64(33)) | (
            shingles[positions].astype(np.uint64) << np.uint64(1)
        )
        keys = _sort_unique(keys | (numbers & np.uint64(1)))
        owners = (keys >> np.uint64(33)).astype(np.int64)
        is_common = (keys[1:] >> np.uint64(1)) == (keys[:-1] >> np.uint64(1))
        common = np.bincount(owners[1:][is_common], minlength=len(pairs))
        similarities: Float64 = common / (np.bincount(owners, minlength=len(pairs)) - common)
        return similarities


def _sort_unique(keys: UInt64) -> UInt64:
    keys.sort()
    is_first = np.ones(len(keys), dtype=np.bool_)
    is_first[1:] = keys[1:] != keys[:-1]
    return keys[is_first]


def _cut(first: Int64, second: Int64) -> Iterator[Int64]:
    pairs = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
    for start in range(0, len(pairs), _BLOCK_PAIRS):
        yield pairs[start : start + _BLOCK_PAIRS]


def _join_similar(groups: _Groups, verifier: _Verifier, pairs: Int64) -> None:
    is_apart = groups.find(pairs[:, 0]) != groups.find(pairs[:, 1])
    if is_apart.any():
        groups.join(verifier.keep_similar(pairs[is_apart]))


@dataclass(frozen=True, slots=True)
class DuplicateClusters:
    """Row ids by group, each in stream order with the row to keep first; only groups of two or more."""

    exact: tuple[tuple[str, ...], ...]
    near: tuple[tuple[str, ...], ...]


def find_duplicates(rows: Iterable[tuple[str, str]], settings: SketchSettings | None = None) -> DuplicateClusters:
    """Find exact and near duplicates among ``(id, text)`` rows. Keeps the ids in memory, never the texts.

    >>> clusters = find_duplicates([("a", "One, two three."), ("b", "one two  three!"), ("c", "ONE, two three.")])
    >>> clusters.exact, clusters.near
    ((('a', 'c'),), (('a', 'b'),))
    """
    settings = settings or SketchSettings()
    ids: list[str] = []
    with tempfile.TemporaryDirectory(prefix="practicum-duplicates-") as folder:
        index = DuplicateIndex(settings, Path(folder))
        for batch in iterate_batches(rows, BATCH_ROWS):
            ids.extend(row_id for row_id, _ in batch)
            index.add(sketch_texts([text for _, text in batch], settings))
        found = index.find()
    return DuplicateClusters(_group(ids, found.exact_leaders), _group(ids, found.near_leaders))


def iterate_batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut a stream into lists of at most ``size``."""
    stream = iter(rows)
    while batch := list(itertools.islice(stream, size)):
        yield batch


def _group(ids: list[str], leaders: Int64) -> tuple[tuple[str, ...], ...]:
    members: dict[int, list[str]] = {}
    for row in np.flatnonzero(leaders != np.arange(len(leaders))).tolist():
        leader = int(leaders[row])
        members.setdefault(leader, [ids[leader]]).append(ids[row])
    return tuple(tuple(group) for _, group in sorted(members.items()))
