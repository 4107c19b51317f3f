"""What an audit keeps of a stream of rows: numbers by row, and which rows each finding is about.

Memory: some tens of bytes a row; sketches, and the places' lines where they are wanted, lie in a temporary folder.
Rows are numbered from 0 in reading order, places from which no row could be read are kept apart.
"""

from __future__ import annotations

import array
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from practicum_jobs.audit.analysis import BatchFacts, KnownRows
from practicum_jobs.audit.catalogue import (
    CATALOGUE,
    CONFLICT,
    DUPLICATE_ID,
    EXACT,
    NEAR,
    ROW_FINDINGS,
    UNREAD,
    Level,
    get_level,
)
from practicum_jobs.audit.workers import Batch
from practicum_jobs.datasets.readers import Piece, measure_piece
from practicum_jobs.text.duplicates import NO_DUPLICATES, DuplicateIndex, Duplicates
from practicum_jobs.text.script import SCRIPTS
from practicum_jobs.text.shingles import Int64, UInt64
from practicum_jobs.text.sketches import SketchSettings

Analyse = Callable[[Iterable[Batch]], Iterator[BatchFacts]]
PROMPTS, ANSWERS, IDS, LENGTHS, SOUND, LINES = "prompts", "answers", "ids", "lengths", "sound", "lines"
BATCH_ROWS = 1_000
BATCH_BYTES = 2_000_000
_WORD_BITS = 64
_BITS = {name: divmod(number, _WORD_BITS) for number, name in enumerate(ROW_FINDINGS)}
"""Word and bit of each finding in a row's marks."""
_SPILLS = (PROMPTS, ANSWERS, IDS, LENGTHS, SOUND, LINES)
_NUM_WORDS = 1 + (len(ROW_FINDINGS) - 1) // _WORD_BITS


@dataclass
class Scan:
    """What was found in one stream of rows."""

    num_rows: int = 0
    num_defects: int = 0
    defect_counts: dict[str, int] = field(default_factory=dict)
    findings: dict[str, Int64] = field(default_factory=dict)
    """Sorted row numbers of each finding that has any."""
    length_counts: Int64 = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    """Number of rows by their length in tokens."""
    scripts: dict[str, int] = field(default_factory=dict)
    duplicates: Duplicates = NO_DUPLICATES
    partners: dict[int, int] = field(default_factory=dict)
    """Row number to the number of the evaluation row that it overlaps with."""
    unread: dict[str, int] = field(default_factory=dict)
    """Columns that no row holds, with the number of rows that had them."""

    @property
    def num_places(self) -> int:
        """Rows and places that hold no row: what shares are taken of."""
        return self.num_rows + self.num_defects

    def count(self, name: str) -> int:
        """Return how many rows or places have the finding."""
        return self.defect_counts.get(name, 0) + len(self.findings.get(name, ()))

    def build_levels(self, thresholds: Mapping[str, float]) -> dict[str, Level]:
        """Return the level of every finding of the catalogue."""
        return {name: get_level(self.count(name), self.num_places, thresholds[name]) for name in CATALOGUE}

    def build_marks(self) -> UInt64:
        """Return for every row the set of its findings as bits of some words; :func:`read_marks` names them."""
        marks = np.zeros((self.num_rows, _NUM_WORDS), dtype=np.uint64)
        for name, rows in self.findings.items():
            word, bit = _BITS[name]
            marks[rows, word] |= np.uint64(1 << bit)
        return marks


def read_marks(marks: UInt64) -> list[str]:
    """Name the findings of one row, in the order of the catalogue.

    >>> read_marks(np.array([3], np.uint64))
    ['exact_duplicate', 'near_duplicate']
    """
    words = marks.tolist()
    return [name for name, (word, bit) in _BITS.items() if words[word] >> bit & 1]


def scan_pieces(
    pieces: Iterable[Piece],
    analyse: Analyse,
    settings: SketchSettings,
    folder: Path,
    on_batch: Callable[[int], None],
) -> Scan:
    """Read a stream to its end and judge it.

    Args:
        pieces: Of a data set, or of its clean copy.
        analyse: Of :class:`practicum_jobs.audit.workers.Workers`.
        settings: The sketches' own.
        folder: Empty; numbers by row are left in it, for :func:`read_known_rows`, and the lines, for
            :func:`iter_lines`.
        on_batch: Called with the number of rows done; may raise to stop.
    """
    scan = Scan()
    with contextlib.ExitStack() as stack:
        index = DuplicateIndex(settings, folder)
        stack.callback(index.close)
        spills = {name: stack.enter_context((folder / name).open("wb")) for name in _SPILLS}
        gathered = _Gathered(spills)
        for facts in analyse(cut_batches(pieces)):
            index.add(facts.sketches)
            gathered.add(facts)
            on_batch(gathered.num_rows)
    gathered.settle(scan)
    if scan.num_rows:
        conflicts = find_conflicts(np.fromfile(folder / PROMPTS, np.uint64), np.fromfile(folder / ANSWERS, np.uint64))
        scan.duplicates = index.find()
        found = {
            CONFLICT: conflicts,
            EXACT: scan.duplicates.exact.rows,
            NEAR: scan.duplicates.near.rows,
            DUPLICATE_ID: find_repeats(np.fromfile(folder / IDS, np.uint64)),
        }
        scan.findings |= {name: numbers for name, numbers in found.items() if len(numbers)}
    return scan


def iter_lines(folder: Path) -> Iterator[bytes]:
    """Yield the lines of the places of a finished scan."""
    with (folder / LINES).open("rb") as handle:
        yield from handle


def read_known_rows(folder: Path) -> KnownRows:
    """Return what a finished scan found out about its rows; of rows with equal hashes the length of the first."""
    exact = np.fromfile(folder / "exact.bin", np.uint64)
    order = np.argsort(exact, kind="stable")
    exact = exact[order]
    is_first = np.ones(len(exact), dtype=np.bool_)
    is_first[1:] = exact[1:] != exact[:-1]
    lengths = np.fromfile(folder / LENGTHS, np.uint32)[order[is_first]]
    return KnownRows(exact[is_first], lengths, np.sort(np.fromfile(folder / SOUND, np.uint64)))


class _Gathered:
    """Collects facts of batches: numbers by row go to files, what is about few rows is kept."""

    def __init__(self, spills: Mapping[str, BinaryIO]) -> None:
        self.num_rows = 0
        self._spills = spills
        self._length_counts = np.zeros(1, dtype=np.int64)
        self._script_counts = np.zeros(len(SCRIPTS), dtype=np.int64)
        self._flags: dict[str, array.array[int]] = {}
        self._partners: dict[int, int] = {}
        self._defects: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()

    def add(self, facts: BatchFacts) -> None:
        for name, numbers in ((PROMPTS, facts.prompts), (ANSWERS, facts.answers), (IDS, facts.ids)):
            self._spills[name].write(numbers.tobytes())
        self._spills[LENGTHS].write(facts.lengths.tobytes())
        self._spills[SOUND].write(facts.sound.tobytes())
        self._spills[LINES].write(facts.lines)
        self._defects.update(facts.defects)
        for row, columns in facts.unread:
            self._unread.update(columns)
            self._flags.setdefault(UNREAD, array.array("q")).append(self.num_rows + row)
        counts = np.bincount(facts.lengths, minlength=len(self._length_counts))
        counts[: len(self._length_counts)] += self._length_counts
        self._length_counts = counts
        self._script_counts += np.bincount(facts.scripts, minlength=len(SCRIPTS))
        for row, name in facts.flags:
            self._flags.setdefault(name, array.array("q")).append(self.num_rows + row)
        for row in np.flatnonzero(facts.partners >= 0).tolist():
            self._partners[self.num_rows + row] = int(facts.partners[row])
        self.num_rows += len(facts.prompts)

    def settle(self, scan: Scan) -> None:
        """Write what was gathered into the scan."""
        scan.num_rows = self.num_rows
        scan.num_defects, scan.defect_counts = self._defects.total(), dict(self._defects)
        scan.length_counts = self._length_counts
        scan.partners = self._partners
        scan.unread = dict(self._unread.most_common())
        scan.scripts = {
            str(script): int(count) for script, count in zip(SCRIPTS, self._script_counts, strict=True) if count
        }
        scan.findings = {name: np.array(rows, dtype=np.int64) for name, rows in self._flags.items()}


def find_repeats(hashes: UInt64) -> Int64:
    """Return the rows whose hash an earlier row has, sorted.

    >>> find_repeats(np.array([4, 5, 4, 4], np.uint64)).tolist()
    [2, 3]
    """
    _, firsts = np.unique(hashes, return_index=True)
    is_repeat = np.ones(len(hashes), dtype=np.bool_)
    is_repeat[firsts] = False
    return np.flatnonzero(is_repeat)


def find_conflicts(prompts: UInt64, answers: UInt64) -> Int64:
    """Return the rows whose prompt stands elsewhere with another answer, sorted.

    >>> find_conflicts(np.array([1, 2, 1, 2], np.uint64), np.array([5, 6, 7, 6], np.uint64)).tolist()
    [0, 2]
    """
    order = np.argsort(prompts, kind="stable").astype(np.int32)
    ordered = prompts[order]
    is_same = ordered[1:] == ordered[:-1]
    del ordered
    # Only rows that share their prompt are looked at: few in most data.
    is_shared = np.zeros(len(order), dtype=np.bool_)
    is_shared[1:] |= is_same
    is_shared[:-1] |= is_same
    rows = order[is_shared].astype(np.int64)
    keys = np.unique(prompts[rows], return_inverse=True)[1]
    first = np.zeros(len(keys), dtype=np.int64)
    first[keys[::-1]] = rows[::-1]
    is_other = answers[rows] != answers[first[keys]]
    conflicting = np.unique(keys[is_other])
    return np.sort(rows[np.isin(keys, conflicting)])


def cut_batches(pieces: Iterable[Piece]) -> Iterator[Batch]:
    """Cut a stream into batches bounded by places and by bytes."""
    batch: Batch = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += measure_piece(piece)
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
