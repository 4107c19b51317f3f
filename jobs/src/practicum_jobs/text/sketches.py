"""Decides how a batch of texts is summarised so that near duplicates can be found later without the texts.

A sketch holds an exact hash, MinHash band hashes (to propose pairs), one byte per permutation (to estimate their
similarity, b-bit minwise hashing, Li and König 2010) and the set of shingles (to compute it). MinHash is rensa's.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rensa

from practicum_jobs.text.shingles import (
    Float64,
    Int64,
    Shingles,
    UInt8,
    UInt32,
    UInt64,
    Units,
    build_shingles,
    cut_units,
    hash_text,
    normalise_text,
    pack_unique,
)

BAND_RECALL = 0.99
"""Chance with which a pair at the threshold itself shares at least one band."""


@dataclass(frozen=True)
class SketchSettings:
    """What is similar.

    ``ngram_words`` and ``ngram_chars`` are the lengths of a shingle in words and, for Chinese text, characters.
    """

    threshold: float = 0.8
    num_permutations: int = 128
    ngram_words: int = 3
    ngram_chars: int = 5
    seed: int = 7

    @functools.cached_property
    def rows_per_band(self) -> int:
        """Most rows per band at which a pair at the threshold is still proposed with :data:`BAND_RECALL`."""
        for rows in range(min(16, self.num_permutations), 1, -1):
            if 1 - (1 - self.threshold**rows) ** (self.num_permutations // rows) >= BAND_RECALL:
                return rows
        return 1

    @property
    def num_bands(self) -> int:
        """Bands that fit into the permutations."""
        return self.num_permutations // self.rows_per_band


@dataclass(frozen=True, slots=True)
class Sketches:
    """Summaries of a batch of N texts.

    ``exact_N``, ``bands_NB`` (B bands), ``signatures_NP`` (P permutations, lowest byte); ``shingles`` is the flat
    array of each text's sorted 32-bit shingle set with ``offsets`` of length N + 1. A text without a single letter
    or digit has an empty set and is near nothing.
    """

    exact_N: UInt64  # noqa: N815 - shape in the name
    bands_NB: UInt32  # noqa: N815 - shape in the name
    signatures_NP: UInt8  # noqa: N815 - shape in the name
    shingles: UInt32
    offsets: Int64

    def __len__(self) -> int:
        return len(self.exact_N)


def sketch_texts(texts: Sequence[str], settings: SketchSettings) -> Sketches:
    """Summarise raw texts."""
    normalised = [normalise_text(text) for text in texts]
    return sketch_units(normalised, cut_units(normalised), settings)


def sketch_units(normalised: Sequence[str], units: Units, settings: SketchSettings) -> Sketches:
    """Summarise normalised texts that were already cut."""
    exact = np.fromiter((hash_text(text) for text in normalised), dtype=np.uint64, count=len(normalised))
    shingles = build_shingles(units, settings.ngram_words, settings.ngram_chars)
    packed, offsets = pack_unique(shingles)
    minhashes = compute_minhashes(shingles, settings.num_permutations, settings.seed)
    bands = hash_bands(minhashes, settings)
    return Sketches(exact, bands, minhashes.astype(np.uint8), packed, offsets)


def compute_minhashes(shingles: Shingles, num_permutations: int, seed: int) -> UInt32:
    """Return rensa's R-MinHash signatures, shape (N, num_permutations)."""
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        shingles.hashes, shingles.offsets.astype(np.uint64), num_permutations, seed
    )
    pack = struct.Struct(f"={num_permutations}I").pack
    packed = b"".join([pack(*row) for row in matrix.to_rows()])
    return np.frombuffer(packed, dtype=np.uint32).reshape(len(shingles), num_permutations)


def hash_bands(minhashes: UInt32, settings: SketchSettings) -> UInt32:
    """Hash each band of each signature, shape (N, num_bands)."""
    rows, bands = settings.rows_per_band, settings.num_bands
    grouped = minhashes[:, : rows * bands].reshape(len(minhashes), bands, rows).astype(np.uint64)
    weights = np.random.default_rng(0).integers(1, 2**63, size=rows, dtype=np.uint64) | np.uint64(1)
    mixed: UInt64 = (grouped * weights).sum(axis=2, dtype=np.uint64)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def estimate_similarity(first_MP: UInt8, second_MP: UInt8) -> Float64:  # noqa: N803
    """Estimate the Jaccard similarity of M pairs from the lowest bytes of their signatures, corrected for chance."""
    agreement: Float64 = (first_MP == second_MP).mean(axis=1, dtype=np.float64)
    return (agreement - 1 / 256) / (1 - 1 / 256)
