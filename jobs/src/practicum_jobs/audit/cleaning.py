"""What the second reading of the data leaves behind: the clean copy, its manifest, samples and scores.

The clean copy holds the rows without a finding that removes them, in reading order, as JSON lines of the chat or
preference format. The manifest names every other row or place and why. Neither manifest nor samples hold personal
data or secrets.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from practicum_core.atomic import explain_os_errors, open_atomic
from practicum_core.rows import Row
from practicum_jobs.audit.catalogue import CATALOGUE, CONFLICT, EXACT, HELD_OUT, LEAKED, NEAR, RUN, UNREAD
from practicum_jobs.audit.checks import has_private, write_excerpt
from practicum_jobs.audit.content import build_content
from practicum_jobs.audit.places import build_piece, is_defect, read_defect, read_id, read_row, write_place
from practicum_jobs.audit.scan import Scan, read_marks
from practicum_jobs.audit.truth import Truth, build_key
from practicum_jobs.datasets.readers import Defect, Raw
from practicum_jobs.datasets.row_records import write_line
from practicum_jobs.datasets.sources import Source

MAX_ID_CHARS = 80
MAX_COLUMNS = 30
NUM_CLUSTERS = 10
_PAIRED = {EXACT: "repeats", NEAR: "resembles", LEAKED: "stands in", RUN: "shares a run with"}


@dataclass
class Cleaning:
    """What the second reading found.

    ``samples`` holds masked excerpts of each finding. ``clusters`` are the largest groups of duplicates, as (id of
    the first row, number of rows).
    """

    num_clean: int
    samples: dict[str, list[str]]
    clusters: list[tuple[str, int]]


@dataclass(frozen=True)
class Outputs:
    """Where the copy and the manifest go; ``None`` where no copy is wanted."""

    clean: Path
    manifest: Path


def write_clean_set(clean: Path, source: Source, folder: Path) -> None:
    """Write a data set of the clean copy and of the splits that it was compared with, which are not cleaned.

    Args:
        clean: The clean copy; it takes no second room on the disk where that can link files.
        source: The data set that was audited.
        folder: Where the splits go, each as a file of its name.

    Raises:
        PlatformError: No space or no permission.
    """
    first, *others = source.splits
    with explain_os_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            (folder / f"{first}.jsonl").hardlink_to(clean)
        except OSError:
            shutil.copy(clean, folder / f"{first}.jsonl")
    for split in others:
        with open_atomic(folder / f"{split}.jsonl") as handle:
            handle.writelines(write_place(row) for row in source.iter_split(split) if isinstance(row, Row))


class Cleaner:
    """Walks the data again with the findings at hand.

    Args:
        scan: The findings.
        held_out_ids: Ids of the indexed evaluation rows.
        num_samples: Samples kept per finding.
        truth: Takes note of everything that was found, where it is known what was planted.
    """

    def __init__(self, scan: Scan, held_out_ids: list[str], num_samples: int, truth: Truth | None) -> None:
        self._scan = scan
        self._marks = scan.build_marks()
        self._is_marked: list[bool] = (self._marks != 0).any(axis=1).tolist()
        self._held_out_ids = held_out_ids
        self._num_samples = num_samples
        self._truth = truth
        self._sizes = _count_groups(scan)
        self._leader_ids: dict[int, str] = {}
        self._num_clean = 0
        self._samples: dict[str, list[str]] = {}

    @property
    def result(self) -> Cleaning:
        """What was found; complete when :meth:`walk` has ended."""
        largest = sorted(self._sizes.items(), key=lambda item: (-item[1], item[0]))[:NUM_CLUSTERS]
        clusters = [(self._leader_ids[row], size) for row, size in largest]
        if self._scan.unread:
            self._samples[UNREAD] = list_unread(self._scan.unread)
        return Cleaning(self._num_clean, self._samples, clusters)

    def walk(self, lines: Iterable[bytes], outputs: Outputs | None) -> Iterator[Raw]:
        """Read the places to their end, writing copy and manifest where they are wanted, whole or not at all.

        Args:
            lines: Written by :mod:`practicum_jobs.audit.places`.
            outputs: Where to.

        Yields:
            The lines of the copy, as they were written.
        """
        with contextlib.ExitStack() as stack:
            if outputs:
                stack.enter_context(explain_os_errors(outputs.clean.parent))
            clean = stack.enter_context(open_atomic(outputs.clean)) if outputs else None
            manifest = stack.enter_context(open_atomic(outputs.manifest)) if outputs else None
            for line in self._iter_clean(lines, manifest):
                self._num_clean += 1
                if clean is not None:
                    clean.write(line)
                    yield build_piece(line, self._num_clean)

    def _iter_clean(self, lines: Iterable[bytes], manifest: BinaryIO | None) -> Iterator[bytes]:
        number = -1
        for line in lines:
            if is_defect(line):
                self._note_defect(read_defect(line), manifest)
                continue
            number += 1
            if number in self._sizes:
                self._leader_ids[number] = _show_id(read_id(line))
            if not self._is_marked[number]:
                yield line
                continue
            found = read_marks(self._marks[number])
            is_removed = any(CATALOGUE[name].removes for name in found)
            self._note_row(number, line, found, manifest if is_removed else None)
            if not is_removed:
                yield line

    def _note_row(self, number: int, line: bytes, found: list[str], manifest: BinaryIO | None) -> None:
        row_id = read_id(line)
        partners = {name: partner for name in found if (partner := self._get_partner(name, number))}
        shown_id = _show_id(row_id)
        if self._truth is not None:
            self._truth.note(row_id, found)
        if manifest is not None:
            entry = {"row": number + 1, "id": shown_id, "findings": found, "partners": partners}
            manifest.write(write_line(entry))
        for name in found:
            if name == UNREAD:
                continue  # the columns are named, not the rows
            kept = self._samples.setdefault(name, [])
            if len(kept) < self._num_samples:
                relation = f" ({_PAIRED[name]} {partners[name]})" if name in partners else ""
                kept.append(f"{shown_id}{relation}: {_write_sample(read_row(line), name)}")

    def note_held_out(self, defects: Iterable[Defect]) -> None:
        """Keep samples of the places of evaluation splits from which no row could be read."""
        self._samples[HELD_OUT] = [
            f"{build_key(defect.file, defect.line)}: {write_excerpt(defect.detail)}" for defect in defects
        ][: self._num_samples]

    def _note_defect(self, defect: Defect, manifest: BinaryIO | None) -> None:
        place = build_key(defect.file, defect.line)
        if self._truth is not None:
            self._truth.note(place, [defect.kind])
        if manifest is not None:
            where = {"file": defect.file.name, "line": defect.line}
            manifest.write(write_line({**where, "findings": [defect.kind], "detail": write_excerpt(defect.detail)}))
        kept = self._samples.setdefault(defect.kind, [])
        if len(kept) < self._num_samples:
            kept.append(f"{place}: {write_excerpt(defect.detail)}")

    def _get_partner(self, name: str, number: int) -> str:
        if name == EXACT:
            return self._leader_ids[self._scan.duplicates.exact.get_leader(number)]
        if name == NEAR:
            return self._leader_ids[self._scan.duplicates.near.get_leader(number)]
        if name in {LEAKED, RUN} and number in self._scan.partners:
            return _show_id(self._held_out_ids[self._scan.partners[number]])
        return ""


def list_unread(columns: Mapping[str, int]) -> list[str]:
    """Name the columns that rows do not hold, the most frequent first.

    >>> list_unread({"source": 1200, "score": 3})
    ['source: 1,200 rows', 'score: 3 rows']
    """
    named = [f"{write_excerpt(name)}: {count:,} rows" for name, count in columns.items()]
    more = [f"{len(named) - MAX_COLUMNS} more columns"] if len(named) > MAX_COLUMNS else []
    return named[:MAX_COLUMNS] + more


def _count_groups(scan: Scan) -> dict[int, int]:
    """Return the size of every group of duplicates by its first row."""
    sizes: dict[int, int] = {}
    for members in (scan.duplicates.exact, scan.duplicates.near):
        rows, counts = np.unique(members.leaders, return_counts=True)
        for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
            sizes[row] = sizes.get(row, 1) + count
    return sizes


def _write_sample(row: Row, name: str) -> str:
    content = build_content(row)
    if name == CONFLICT:
        return f"{write_excerpt(content.turns[-1][1], limit=80)} → {write_excerpt(content.answer, limit=80)}"
    return write_excerpt(content.dialogue, name)


def _show_id(row_id: str) -> str:
    if len(row_id) <= MAX_ID_CHARS and row_id.isprintable() and not has_private(row_id):
        return row_id
    return write_excerpt(row_id, limit=MAX_ID_CHARS)
