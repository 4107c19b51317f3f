"""Sketches of texts (hashes, MinHash), with which near duplicates are found without the texts themselves.

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
)

_BLOCK_ROWS = 250
"""Rows whose signatures pass through Python integers at a time; more would leave the processor's caches."""
_ODD = np.uint32(0x9E3779B1)
BAND_RECALL = 0.99
"""Chance with which a pair at the threshold itself shares at least one band."""


@dataclass(frozen=True)
class SketchSettings:
    """What is similar.

    ``ngram_words`` and ``ngram_chars`` are the lengths of a shingle in words and, for Chinese text, characters. Pairs
    are verified exactly, so permutations serve to propose them alone: 9 bands of 4 find 99.1 % of the pairs at 0.8.
    """

    threshold: float = 0.8
    num_permutations: int = 36
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
    def estimate_margin(self) -> float:
        """Three standard errors of an estimate at the threshold: pairs further below it are not verified."""
        return float(3 * np.sqrt(self.threshold * (1 - self.threshold) / self.num_permutations))

    @property
    def num_bands(self) -> int:
        """Bands that fit into the permutations."""
        return self.num_permutations // self.rows_per_band


@dataclass(frozen=True, slots=True)
class Sketches:
    """Summaries of a batch of N texts.

    ``exact_N``, ``bands_NB`` (B bands), ``signatures_NP`` (P permutations, lowest byte); ``shingles`` is the flat
    array of the lowest 32 bits of each text's shingles, repeats kept, with ``offsets`` of length N + 1. Two of a
    pair's few hundred values collide with a chance below 1e-4. A text without a letter or digit has none and is near
    nothing.
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
    return sketch_shingles(exact, build_shingles(units, settings.ngram_words, settings.ngram_chars), settings)


def sketch_shingles(exact: UInt64, shingles: Shingles, settings: SketchSettings) -> Sketches:
    """Summarise texts of which the exact hashes and the shingles are known."""
    minhashes = compute_minhashes(shingles, settings.num_permutations, settings.seed)
    bands = hash_bands(minhashes, settings)
    signatures = minhashes.astype(np.uint8)
    return Sketches(exact, bands, signatures, shingles.hashes.astype(np.uint32), shingles.offsets)


def compute_minhashes(shingles: Shingles, num_permutations: int, seed: int) -> UInt32:
    """Return rensa's R-MinHash signatures, shape (N, num_permutations)."""
    pack = struct.Struct(f"={num_permutations}I").pack
    packed: list[bytes] = []
    for first in range(0, len(shingles), _BLOCK_ROWS):
        offsets = shingles.offsets[first : first + _BLOCK_ROWS + 1]
        hashes = shingles.hashes[offsets[0] : offsets[-1]]
        matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
            hashes, (offsets - offsets[0]).astype(np.uint64), num_permutations, seed
        )
        packed += [pack(*row) for row in matrix.to_rows()]
    return np.frombuffer(b"".join(packed), dtype=np.uint32).reshape(len(shingles), num_permutations)


def hash_bands(minhashes: UInt32, settings: SketchSettings) -> UInt32:
    """Hash each band of each signature, shape (N, num_bands)."""
    rows, bands = settings.rows_per_band, settings.num_bands
    grouped = minhashes[:, : rows * bands].reshape(len(minhashes), bands, rows)
    hashes = grouped[:, :, 0].copy()
    for place in range(1, rows):
        hashes *= _ODD
        hashes += grouped[:, :, place]
    return hashes


def estimate_similarity(first_MP: UInt8, second_MP: UInt8) -> Float64:  # noqa: N803
    """Estimate the Jaccard similarity of M pairs from the lowest bytes of their signatures, corrected for chance."""
    agreement: Float64 = (first_MP == second_MP).mean(axis=1, dtype=np.float64)
    return (agreement - 1 / 256) / (1 - 1 / 256)
