"""The facts of a batch of a data set, computed from its bytes on in a worker process."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from practicum_core.rows import Row
from practicum_jobs.audit.catalogue import LEAKED, OVER_LONG, RUN, TEMPLATE, UNRENDERED, UNWANTED
from practicum_jobs.audit.checks import check_content
from practicum_jobs.audit.content import Content, build_content, normalise_content
from practicum_jobs.audit.lengths import LengthCounter
from practicum_jobs.audit.places import write_place
from practicum_jobs.datasets.columns import DefectKind
from practicum_jobs.datasets.readers import Defect, Piece, Place, read_piece, read_place
from practicum_jobs.text.overlap import Kind, OverlapIndex, OverlapSettings, Prepared, prepare_normalised, prepare_texts
from practicum_jobs.text.script import classify_numbers
from practicum_jobs.text.shingles import Int64, UInt8, UInt32, UInt64, hash_text
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
class KnownLengths:
    """Lengths in tokens by a row's exact hash, sorted by it, each hash once."""

    exact: UInt64
    lengths: UInt32


@dataclass(frozen=True)
class Shared:
    """What every worker needs beside its batch.

    Attributes:
        held_out: Index of the evaluation rows, where the data has any.
        known_lengths: Lengths that were counted before; other rows are counted.
        keeps_lines: Whether the facts hold the places' lines.
    """

    held_out: OverlapIndex | None = None
    known_lengths: KnownLengths | None = None
    keeps_lines: bool = True


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
        flags = [
            (row, name)
            for row, (content, texts) in enumerate(zip(batch, normalised, strict=True))
            for name in check_content(content, texts.dialogue, special)
        ]
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
        lengths, failed = self._count(batch, exact, shared.known_lengths)
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
            partners=partners,
            unread=_list_unread(read),
            defects=[place.kind for place in places if isinstance(place, Defect)],
            lines=b"".join(map(write_place, places)) if shared.keeps_lines else b"",
        )

    def _count(
        self, batch: Sequence[Content], exact: UInt64, known: KnownLengths | None
    ) -> tuple[UInt32, list[tuple[int, str]]]:
        """Return the rows' lengths in tokens, and findings about what the chat template does with them."""
        lengths = np.zeros(len(batch), dtype=np.uint32)
        if self._counter is None:
            return lengths, []
        is_open = np.ones(len(batch), dtype=np.bool_)
        if known is not None:
            positions = np.minimum(np.searchsorted(known.exact, exact), len(known.exact) - 1)
            is_open = known.exact[positions] != exact
            lengths[:] = known.lengths[positions]
        rows = np.flatnonzero(is_open).tolist()
        counted = self._counter.count_conversations([batch[row] for row in rows])
        lengths[rows] = np.array(counted.lengths, dtype=np.uint32)
        failed = [(rows[number], TEMPLATE) for number in counted.refused]
        failed += [(rows[number], UNRENDERED) for number in counted.unrendered]
        return lengths, failed


def _list_unread(read: Sequence[Place]) -> list[tuple[int, tuple[str, ...]]]:
    rows = [place.unread for place in read if isinstance(place.content, Row)]
    return [(number, unread) for number, unread in enumerate(rows) if unread]


def _hash(texts: list[str]) -> UInt64:
    return np.fromiter((hash_text(text) for text in texts), dtype=np.uint64, count=len(texts))
