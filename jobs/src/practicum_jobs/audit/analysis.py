"""Decides what is computed of a batch of rows in a worker process: numbers only, no text leaves it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from practicum_jobs.audit.catalogue import LEAKED, OVER_LONG, RUN
from practicum_jobs.audit.checks import check_content
from practicum_jobs.audit.content import Content, normalise_content
from practicum_jobs.audit.lengths import LengthCounter
from practicum_jobs.text.overlap import Kind, OverlapIndex, OverlapSettings, Prepared, prepare_normalised, prepare_texts
from practicum_jobs.text.script import classify_numbers
from practicum_jobs.text.shingles import Int64, UInt8, UInt32, UInt64, hash_text
from practicum_jobs.text.sketches import Sketches

_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """Facts of N rows in order. ``flags`` are pairs (row of the batch, finding)."""

    sketches: Sketches
    prompts: UInt64
    answers: UInt64
    lengths: UInt32
    scripts: UInt8
    flags: list[tuple[int, str]]
    partners: Int64
    """Number of the evaluation row that a row repeats, or -1."""


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

    def prepare(self, dialogues: list[str]) -> Prepared:
        """Hash evaluation rows for an index."""
        return prepare_texts(dialogues, self.overlap)

    def analyse(self, batch: Sequence[Content], held_out: OverlapIndex | None) -> BatchFacts:
        """Compute the facts of a batch.

        Args:
            batch: Rows.
            held_out: Index of the evaluation rows, where the data has any.
        """
        normalised = [normalise_content(content) for content in batch]
        prepared = prepare_normalised([texts.dialogue for texts in normalised], self.overlap)
        flags = [(row, name) for row, content in enumerate(batch) for name in check_content(content)]
        partners = np.full(len(batch), -1, dtype=np.int64)
        if held_out is not None:
            found = held_out.match(prepared)
            partners = np.where(found[Kind.EXACT] >= 0, found[Kind.EXACT], found[Kind.NEAR])
            is_run = (found[Kind.NGRAM] >= 0) & (partners < 0)
            flags += [(row, LEAKED) for row in np.flatnonzero(partners >= 0).tolist()]
            flags += [(row, RUN) for row in np.flatnonzero(is_run).tolist()]
            partners = np.where(is_run, found[Kind.NGRAM], partners)
        lengths = self._count(batch)
        flags += [(row, OVER_LONG) for row in np.flatnonzero(lengths > self.max_length).tolist()]
        prompts = _hash([texts.prompt for texts in normalised])
        answers = _hash([texts.answers for texts in normalised])
        return BatchFacts(
            sketches=replace(prepared.sketches, exact_N=prompts * _ODD + answers),
            prompts=prompts,
            answers=answers,
            lengths=lengths,
            scripts=classify_numbers([texts.dialogue for texts in normalised]),
            flags=flags,
            partners=partners,
        )

    def _count(self, batch: Sequence[Content]) -> UInt32:
        if self._counter is None:
            return np.zeros(len(batch), dtype=np.uint32)
        counts = self._counter.count_conversations([content.build_conversation() for content in batch])
        return np.array(counts, dtype=np.uint32)


def _hash(texts: list[str]) -> UInt64:
    return np.fromiter((hash_text(text) for text in texts), dtype=np.uint64, count=len(texts))
