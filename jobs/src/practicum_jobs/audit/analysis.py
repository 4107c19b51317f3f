"""Decides what is computed of a batch of a data set in a worker process, from its bytes on."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from practicum_core.rows import Row
from practicum_jobs.audit.catalogue import LEAKED, OVER_LONG, RUN
from practicum_jobs.audit.checks import check_content
from practicum_jobs.audit.content import Content, build_content, normalise_content
from practicum_jobs.audit.lengths import LengthCounter
from practicum_jobs.audit.places import write_place
from practicum_jobs.datasets.formats import DefectKind
from practicum_jobs.datasets.readers import Defect, Piece, read_piece
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
    lengths: UInt32
    scripts: UInt8
    flags: list[tuple[int, str]]
    partners: Int64
    """Number of the evaluation row that a row repeats, or -1."""
    defects: list[DefectKind]
    lines: bytes
    """The places, rows and defects, as :mod:`practicum_jobs.audit.places` writes them, where they are wanted."""


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

    def prepare(self, pieces: Sequence[Piece]) -> tuple[list[str], Prepared]:
        """Hash evaluation rows for an index; return their ids too."""
        rows = [row for row in map(read_piece, pieces) if isinstance(row, Row)]
        return [row.id for row in rows], prepare_texts([build_content(row).dialogue for row in rows], self.overlap)

    def analyse(self, pieces: Sequence[Piece], shared: Shared) -> BatchFacts:
        """Read a batch and compute its facts."""
        places = [read_piece(piece) for piece in pieces]
        batch = [build_content(place) for place in places if isinstance(place, Row)]
        normalised = [normalise_content(content) for content in batch]
        prepared = prepare_normalised([texts.dialogue for texts in normalised], self.overlap)
        flags = [
            (row, name)
            for row, (content, texts) in enumerate(zip(batch, normalised, strict=True))
            for name in check_content(content, texts.dialogue)
        ]
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
        lengths = self._count(batch, exact, shared.known_lengths)
        flags += [(row, OVER_LONG) for row in np.flatnonzero(lengths > self.max_length).tolist()]
        return BatchFacts(
            sketches=replace(prepared.sketches, exact_N=exact),
            prompts=prompts,
            answers=answers,
            lengths=lengths,
            scripts=classify_numbers([texts.dialogue for texts in normalised]),
            flags=flags,
            partners=partners,
            defects=[place.kind for place in places if isinstance(place, Defect)],
            lines=b"".join(map(write_place, places)) if shared.keeps_lines else b"",
        )

    def _count(self, batch: Sequence[Content], exact: UInt64, known: KnownLengths | None) -> UInt32:
        lengths = np.zeros(len(batch), dtype=np.uint32)
        if self._counter is None:
            return lengths
        is_open = np.ones(len(batch), dtype=np.bool_)
        if known is not None:
            positions = np.minimum(np.searchsorted(known.exact, exact), len(known.exact) - 1)
            is_open = known.exact[positions] != exact
            lengths[:] = known.lengths[positions]
        rows = np.flatnonzero(is_open)
        counts = self._counter.count_conversations([batch[row].build_conversation() for row in rows.tolist()])
        lengths[rows] = np.array(counts, dtype=np.uint32)
        return lengths


def _hash(texts: list[str]) -> UInt64:
    return np.fromiter((hash_text(text) for text in texts), dtype=np.uint64, count=len(texts))
