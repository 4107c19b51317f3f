"""Detection of exact and near duplicates in a stream of rows.

Rows come in batches and are kept as numbers on disk (about 1 KB a row), of which a few bytes a row are in memory at
a time: memory stays nearly flat to millions of rows. Pairs that LSH proposes are verified by the real Jaccard
similarity of their shingle sets: what is reported is similar; what LSH never proposes is missed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from practicum_jobs.text.shingles import Float64, Int64, UInt32, UInt64
from practicum_jobs.text.sketches import Sketches, SketchSettings, estimate_similarity, sketch_texts

T = TypeVar("T")

BATCH_ROWS = 2_000
WINDOW = 8
"""Neighbours of a row, within its bucket sorted by the next band too, that it is compared with."""
_BLOCK_PAIRS = 10_000
_BLOCK_SHINGLES = 2_000_000
_MAX_HELD_BYTES = 16_000_000
"""Signatures of 440,000 rows, which are read at once; those of more rows are read row by row."""
MAX_REFUSED = 300_000
"""Refused pairs remembered, about 30 MB; when there are more they are forgotten and may be verified again."""


@dataclass(frozen=True, slots=True)
class Members:
    """The rows that belong to an earlier row: ``rows``, sorted, each with the first row of its group in ``leaders``."""

    rows: Int64
    leaders: Int64

    def __len__(self) -> int:
        return len(self.rows)

    def get_leader(self, row: int) -> int:
        """Return the first row of the group of a member."""
        return int(self.leaders[np.searchsorted(self.rows, row)])


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Which rows repeat an earlier one.

    ``exact`` groups rows of equal normalised text. ``near`` groups the first rows of those groups by verified
    similarity, closed transitively.
    """

    exact: Members
    near: Members


NO_DUPLICATES = Duplicates(*(Members(np.empty(0, np.int64), np.empty(0, np.int64)) for _ in range(2)))


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
        self.close()
        if not self._num_rows:
            return NO_DUPLICATES
        exact = group_equal(np.fromfile(self._folder / "exact.bin", dtype=np.uint64))
        lengths = np.concatenate(self._lengths)
        self._lengths.clear()
        is_active = lengths > 0
        is_active[exact.rows] = False
        active = np.flatnonzero(is_active).astype(np.uint32)
        groups = _Groups(self._num_rows)
        with contextlib.closing(_Verifier(self.settings, self._folder, lengths)) as verifier:
            for band in range(self.settings.num_bands):
                for pairs in _regroup(self._propose(band, active)):
                    _join_similar(groups, verifier, pairs)
        return Duplicates(exact, groups.build_members())

    def close(self) -> None:
        """Close the index's files; :meth:`find` does it by itself."""
        for handle in (self._exact, *self._bands, self._signatures, self._shingles):
            handle.close()

    def _create(self, name: str) -> BinaryIO:
        return (self._folder / f"{name}.bin").open("wb", buffering=1 << 16)

    def _propose(self, band: int, active: UInt32) -> Iterator[Int64]:
        """Yield pairs (earlier row, later row), shape (M, 2), that share the band."""
        # Hash and row in one number: sorting those is several times as quick as sorting positions.
        ordered = np.sort((self._read_band(band)[active].astype(np.uint64) << np.uint64(32)) | active)
        keys = (ordered >> np.uint64(32)).astype(np.uint32)
        is_shared = keys[1:] == keys[:-1]
        # Most rows share the band with no other; what follows looks at the others alone.
        is_kept = np.zeros(len(keys), dtype=np.bool_)
        is_kept[1:] |= is_shared
        is_kept[:-1] |= is_shared
        rows = ordered[is_kept].astype(np.uint32).astype(np.int64)
        if not len(rows):
            return
        keys = keys[is_kept]
        following = self._read_band((band + 1) % self.settings.num_bands)[rows]
        order = np.argsort((keys.astype(np.uint64) << np.uint64(32)) | following)
        keys, rows = keys[order], rows[order]
        is_first = np.ones(len(keys), dtype=np.bool_)
        is_first[1:] = keys[1:] != keys[:-1]
        leaders = np.minimum.reduceat(rows, np.flatnonzero(is_first))[np.cumsum(is_first) - 1]
        yield _pair(leaders[leaders != rows], rows[leaders != rows])
        for distance in range(1, WINDOW + 1):
            is_near = keys[distance:] == keys[:-distance]
            if not is_near.any():
                return
            yield _pair(rows[:-distance][is_near], rows[distance:][is_near])

    def _read_band(self, band: int) -> UInt32:
        return np.fromfile(self._folder / f"band-{band}.bin", dtype=np.uint32)


class _Groups:
    """Union-find over row numbers; the smallest number leads its group."""

    def __init__(self, num_rows: int) -> None:
        self._parents = np.arange(num_rows, dtype=np.int32)

    def find(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
        """Return the leader of each row, flattening the way there."""
        leaders: npt.NDArray[np.int32] = self._parents[rows]
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

    def build_members(self) -> Members:
        """Return every row that does not lead its group."""
        rows = np.flatnonzero(self._parents != np.arange(len(self._parents), dtype=np.int32))
        return Members(rows, self.find(rows).astype(np.int64))


class _Verifier:
    """Reads signatures and shingle sets of pairs from disk, and remembers which pairs were refused."""

    def __init__(self, settings: SketchSettings, folder: Path, lengths: UInt32) -> None:
        self._settings = settings
        self._offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
        np.cumsum(lengths, out=self._offsets[1:])
        # Read row by row, not mapped: pages of a mapped file would count as this process's memory.
        self._signatures = os.open(folder / "signatures.bin", os.O_RDONLY)
        size = len(lengths) * settings.num_permutations
        self._held = np.fromfile(folder / "signatures.bin", np.uint8) if size <= _MAX_HELD_BYTES else None
        self._shingles = os.open(folder / "shingles.bin", os.O_RDONLY)
        self._refused: set[int] = set()

    def close(self) -> None:
        """Close the files."""
        os.close(self._signatures)
        os.close(self._shingles)

    def keep_similar(self, pairs: Int64) -> Int64:
        """Return the pairs, shape (M, 2), whose real Jaccard similarity reaches the threshold."""
        num_rows = len(self._offsets) - 1
        keys = np.unique(pairs[:, 0] * num_rows + pairs[:, 1])
        keys = keys[np.fromiter((key not in self._refused for key in keys.tolist()), np.bool_, len(keys))]
        pairs = np.stack(np.divmod(keys, num_rows), axis=1)
        is_likely = self._estimate(pairs) >= self._settings.threshold - self._settings.estimate_margin
        similarities = np.zeros(len(pairs))
        if is_likely.any():
            blocks = self._cut_by_size(pairs[is_likely])
            similarities[is_likely] = np.concatenate([self._compute(block) for block in blocks])
        is_similar = similarities >= self._settings.threshold
        if len(self._refused) > MAX_REFUSED:
            self._refused.clear()
        self._refused.update(keys[~is_similar].tolist())
        return pairs[is_similar]

    def _estimate(self, pairs: Int64) -> Float64:
        size = self._settings.num_permutations
        rows = pairs.ravel()
        if self._held is not None:
            signatures = self._held.reshape(-1, size)[rows]
        else:
            signatures = np.frombuffer(_read(self._signatures, rows * size, np.full(len(rows), size)), dtype=np.uint8)
        by_side = signatures.reshape(len(pairs), 2, size)
        return estimate_similarity(by_side[:, 0], by_side[:, 1])

    def _cut_by_size(self, pairs: Int64) -> Iterator[Int64]:
        """Cut pairs into blocks with so few shingles that they fit into memory; a block has one pair at least."""
        lengths = self._offsets[pairs + 1] - self._offsets[pairs]
        blocks = np.cumsum(lengths.sum(axis=1)) // _BLOCK_SHINGLES
        yield from np.split(pairs, np.flatnonzero(np.diff(blocks)) + 1)

    def _compute(self, pairs: Int64) -> Float64:
        """Return the Jaccard similarity of the two shingle sets of each pair."""
        rows = pairs.ravel()
        counts = self._offsets[rows + 1] - self._offsets[rows]
        content = _read(self._shingles, 4 * self._offsets[rows], 4 * counts)
        shingles = np.frombuffer(content, dtype=np.uint32)
        # One number for (pair, shingle, side); sorted, a shingle of both sides stands beside itself.
        numbers = np.repeat(np.arange(len(rows), dtype=np.uint64), counts)
        side = numbers & np.uint64(1)
        values = shingles.astype(np.uint64) << np.uint64(1)
        keys = _sort_unique((numbers >> np.uint64(1) << np.uint64(33)) | values | side)
        owners = (keys >> np.uint64(33)).astype(np.int64)
        is_common = (keys[1:] >> np.uint64(1)) == (keys[:-1] >> np.uint64(1))
        common = np.bincount(owners[1:][is_common], minlength=len(pairs))
        similarities: Float64 = common / (np.bincount(owners, minlength=len(pairs)) - common)
        return similarities


def _read(descriptor: int, starts: Int64, sizes: Int64) -> bytes:
    return b"".join(
        [os.pread(descriptor, size, start) for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)]
    )


def _sort_unique(keys: UInt64) -> UInt64:
    keys.sort()
    is_first = np.ones(len(keys), dtype=np.bool_)
    is_first[1:] = keys[1:] != keys[:-1]
    return keys[is_first]


def group_equal(values: UInt64) -> Members:
    """Return the positions whose value stands earlier too.

    >>> found = group_equal(np.array([7, 5, 7, 5, 9, 7], np.uint64))
    >>> found.rows.tolist(), found.leaders.tolist()
    ([2, 3, 5], [0, 1, 0])
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    is_first = np.ones(len(values), dtype=np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    places, starts = np.flatnonzero(~is_first), np.flatnonzero(is_first)
    rows = order[places]
    leaders = order[starts[np.searchsorted(starts, places, "right") - 1]]
    by_row = np.argsort(rows)
    return Members(rows[by_row], leaders[by_row])


def _pair(first: Int64, second: Int64) -> Int64:
    return np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)


def _regroup(parts: Iterable[Int64]) -> Iterator[Int64]:
    """Join small arrays of pairs and cut large ones, so that each is worth its calls and fits into memory."""
    waiting: list[Int64] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= _BLOCK_PAIRS:
            pairs = np.concatenate(waiting)
            yield from np.split(pairs, range(_BLOCK_PAIRS, len(pairs), _BLOCK_PAIRS))
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


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
    return DuplicateClusters(_group(ids, found.exact), _group(ids, found.near))


def iterate_batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut a stream into lists of at most ``size``."""
    stream = iter(rows)
    while batch := list(itertools.islice(stream, size)):
        yield batch


def _group(ids: list[str], members: Members) -> tuple[tuple[str, ...], ...]:
    groups: dict[int, list[str]] = {}
    for row, leader in zip(members.rows.tolist(), members.leaders.tolist(), strict=True):
        groups.setdefault(leader, [ids[leader]]).append(ids[row])
    return tuple(tuple(group) for _, group in sorted(groups.items()))
