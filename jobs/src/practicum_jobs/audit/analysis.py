"""The facts of a batch of a data set, computed from its bytes on in a worker process."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xxhash

from practicum_core.rows import Row
from practicum_jobs.audit.catalogue import LEAKED, OVER_LONG, RUN, TEMPLATE, UNRENDERED, UNWANTED
from practicum_jobs.audit.checks import check_content
from practicum_jobs.audit.content import Content, build_content, normalise_content
from practicum_jobs.audit.lengths import LengthCounter
from practicum_jobs.audit.places import write_place
from practicum_jobs.datasets.columns import DefectKind
from practicum_jobs.datasets.readers import Defect, Piece, Place, Raw, read_piece, read_place
from practicum_jobs.text.overlap import Kind, OverlapIndex, OverlapSettings, Prepared, prepare_normalised, prepare_texts
from practicum_jobs.text.script import classify_numbers
from practicum_jobs.text.shingles import Bool, Int64, UInt8, UInt32, UInt64, hash_text
from practicum_jobs.text.sketches import Sketches

_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """Facts of a batch with N rows, in order. ``flags`` are pairs (row of the batch, finding)."""

    sketches: Sketches
    prompts: UInt64
    answers: UInt64
    ids: UInt64
    lengths: UInt32
    scripts: UInt8
    flags: list[tuple[int, str]]
    sound: UInt64
    """Hashes of the lines of the rows in which nothing was found."""
    partners: Int64
    """Number of the evaluation row that a row repeats, or -1."""
    unread: list[tuple[int, tuple[str, ...]]]
    """Rows of the batch with the columns that they do not hold."""
    defects: list[DefectKind]
    lines: bytes
    """The places, rows and defects, as :mod:`practicum_jobs.audit.places` writes them, where they are wanted."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Evaluation rows: their ids and hashes, and the places from which none could be read."""

    ids: list[str]
    prepared: Prepared
    defects: list[Defect]


@dataclass(frozen=True, slots=True)
class KnownRows:
    """What an earlier reading found out about rows, by hash.

    Attributes:
        exact: Exact hashes of the rows, sorted, each once.
        lengths: Their lengths in tokens.
        sound: Hashes of the lines of rows in which nothing was found, sorted.
    """

    exact: UInt64
    lengths: UInt32
    sound: UInt64


@dataclass(frozen=True)
class Shared:
    """What every worker needs beside its batch.

    Attributes:
        held_out: Index of the evaluation rows, where the data has any.
        known: What was found out before, where rows are read that were read before and written as lines: those that
            are not among them are counted and checked again, and no lines are written.
    """

    held_out: OverlapIndex | None = None
    known: KnownRows | None = None


@dataclass
class Analyser:
    """Computes the facts of batches. Travels to worker processes, which load what it names there.

    Attributes:
        overlap: Settings of sketches and of runs.
        max_length: Tokens from which a row is over-long.
        model: Folder of the model whose tokenizer counts; without it lengths are zero.
    """

    overlap: OverlapSettings
    max_length: int
    model: Path | None

    @functools.cached_property
    def _counter(self) -> LengthCounter | None:
        return LengthCounter(self.model) if self.model else None

    def prepare(self, pieces: Sequence[Piece]) -> HeldOut:
        """Hash evaluation rows for an index."""
        places = [read_piece(piece) for piece in pieces]
        rows = [row for row in places if isinstance(row, Row)]
        prepared = prepare_texts([build_content(row).dialogue for row in rows], self.overlap)
        return HeldOut([row.id for row in rows], prepared, [place for place in places if isinstance(place, Defect)])

    def analyse(self, pieces: Sequence[Piece], shared: Shared) -> BatchFacts:
        """Read a batch and compute its facts."""
        read = [read_place(piece) for piece in pieces]
        places = [place.content for place in read]
        rows = [place for place in places if isinstance(place, Row)]
        batch = [build_content(row) for row in rows]
        normalised = [normalise_content(content) for content in batch]
        prepared = prepare_normalised([texts.dialogue for texts in normalised], self.overlap)
        special = self._counter.special if self._counter else None
        written = list(map(write_place, places)) if shared.known is None else list(map(_get_line, pieces))
        lines = [line for line, place in zip(written, places, strict=True) if isinstance(place, Row)]
        hashes = np.fromiter(map(xxhash.xxh3_64_intdigest, lines), dtype=np.uint64, count=len(lines))
        is_sound = _stand_in(hashes, shared.known.sound if shared.known else np.empty(0, np.uint64))
        flags = []
        for row in np.flatnonzero(~is_sound).tolist():
            names = check_content(batch[row], normalised[row].dialogue, special)
            flags += [(row, name) for name in names]
            is_sound[row] = not names
        flags += [(number, UNWANTED) for number, row in enumerate(rows) if row.label is False]
        partners = np.full(len(batch), -1, dtype=np.int64)
        if shared.held_out is not None:
            found = shared.held_out.match(prepared)
            partners = np.where(found[Kind.EXACT] >= 0, found[Kind.EXACT], found[Kind.NEAR])
            is_run = (found[Kind.NGRAM] >= 0) & (partners < 0)
            flags += [(row, LEAKED) for row in np.flatnonzero(partners >= 0).tolist()]
            flags += [(row, RUN) for row in np.flatnonzero(is_run).tolist()]
            partners = np.where(is_run, found[Kind.NGRAM], partners)
        prompts = _hash([texts.prompt for texts in normalised])
        answers = _hash([texts.answers for texts in normalised])
        exact = prompts * _ODD + answers
        lengths, failed = self._count(batch, exact, shared.known)
        flags += failed
        flags += [(row, OVER_LONG) for row in np.flatnonzero(lengths > self.max_length).tolist()]
        return BatchFacts(
            sketches=replace(prepared.sketches, exact_N=exact),
            prompts=prompts,
            answers=answers,
            ids=_hash([row.id for row in rows]),
            lengths=lengths,
            scripts=classify_numbers([texts.dialogue for texts in normalised]),
            flags=flags,
            sound=hashes[is_sound],
            partners=partners,
            unread=_list_unread(read),
            defects=[place.kind for place in places if isinstance(place, Defect)],
            lines=b"".join(written) if shared.known is None else b"",
        )

    def _count(
        self, batch: Sequence[Content], exact: UInt64, known: KnownRows | None
    ) -> tuple[UInt32, list[tuple[int, str]]]:
        """Return the rows' lengths in tokens, and findings about what the chat template does with them."""
        lengths = np.zeros(len(batch), dtype=np.uint32)
        if self._counter is None:
            return lengths, []
        is_open = np.ones(len(batch), dtype=np.bool_)
        if known is not None:
            is_open = ~_stand_in(exact, known.exact)
            lengths[~is_open] = known.lengths[np.searchsorted(known.exact, exact[~is_open])]
        rows = np.flatnonzero(is_open).tolist()
        counted = self._counter.count_conversations([batch[row] for row in rows])
        lengths[rows] = np.array(counted.lengths, dtype=np.uint32)
        failed = [(rows[number], TEMPLATE) for number in counted.refused]
        failed += [(rows[number], UNRENDERED) for number in counted.unrendered]
        return lengths, failed


def _get_line(piece: Piece) -> bytes:
    """Return the line of a place of the clean copy."""
    return piece.record if isinstance(piece, Raw) and isinstance(piece.record, bytes) else b""


def _stand_in(hashes: UInt64, known: UInt64) -> Bool:
    """Return which hashes stand among the known ones, which are sorted."""
    places = np.searchsorted(known, hashes)
    found: Bool = places < len(known)
    found[found] = known[places[found]] == hashes[found]
    return found


def _list_unread(read: Sequence[Place]) -> list[tuple[int, tuple[str, ...]]]:
    rows = [place.unread for place in read if isinstance(place.content, Row)]
    return [(number, unread) for number, unread in enumerate(rows) if unread]


def _hash(texts: list[str]) -> UInt64:
    return np.fromiter((hash_text(text) for text in texts), dtype=np.uint64, count=len(texts))
