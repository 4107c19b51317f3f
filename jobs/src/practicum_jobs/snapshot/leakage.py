"""Leakage between splits: evaluation rows that overlap with training rows, and waivers of such findings.

All user turns of a row are compared. System prompts are not, because rows of one task share them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.rows import Row
from practicum_core.stages.leaks import Leak
from practicum_core.stages.snapshot import SnapshotConfig
from practicum_jobs.text.duplicates import iterate_batches
from practicum_jobs.text.overlap import BATCH_ROWS, Kind, OverlapSettings, index_texts, prepare_texts
from practicum_jobs.text.sketches import SketchSettings

NUM_EXAMPLES = 10
PAIRS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("train", ("validation", "test", "fresh", "control")),
    ("validation", ("test", "fresh")),
)
"""Splits that models are trained or selected on, each with the splits that must not contain its rows."""

Texts = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class LeakedRow:
    """A row of an evaluation split that overlaps with a row of a training split."""

    leak: str
    """Name of the finding: KIND:SPLIT-SPLIT."""
    row: str
    """Id of the evaluation row."""
    seen_as: str | None
    """Id of an overlapping training row, if one was kept."""


def list_pairs(splits: Collection[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the comparisons that are possible between the given splits.

    >>> list_pairs(["train", "test"])
    [('train', ('test',))]
    """
    pairs = [(known, tuple(split for split in probes if split in splits)) for known, probes in PAIRS]
    return [(known, probes) for known, probes in pairs if known in splits and probes]


def check_waivers(names: Sequence[str], splits: Collection[str]) -> None:
    """Check that every waiver names a comparison of these splits.

    Raises:
        ConfigError: A waiver is unknown; the message lists all of them.
    """
    known = [_name_leak(kind, one, probe) for kind in Kind for one, probes in list_pairs(splits) for probe in probes]
    problems = [f"'{name}'{suggest_similar(name, known)}" for name in names if name not in known]
    if problems:
        raise ConfigError(f"waive_leakage: no such finding: {', '.join(problems)}", f"findings: {', '.join(known)}")


def build_settings(config: SnapshotConfig) -> OverlapSettings:
    """Build the settings of the overlap search from the options of the stage."""
    sketch = SketchSettings(threshold=config.near_duplicate_threshold)
    return OverlapSettings(ngram_words=config.ngram_words, ngram_chars=config.ngram_chars, sketch=sketch)


def find_leaked_rows(
    known: tuple[str, Iterator[Row]], probes: Sequence[tuple[str, Iterator[Row]]], settings: OverlapSettings
) -> list[LeakedRow]:
    """Compare one split with others. The first is streamed once; the others are kept in memory as hashes.

    Args:
        known: Name and rows of the split that models are trained or selected on.
        probes: Names and rows of the splits that must not overlap with it.
        settings: Which overlaps count.

    Returns:
        The leaked rows of the probes, in order; each is listed once, with its strongest kind of overlap.
    """
    owners: list[str] = []
    ids, index = index_texts(_read_probes(probes, owners.append), settings)
    partners: dict[Kind, dict[int, str]] = {kind: {} for kind in Kind}
    for batch in iterate_batches(_read_texts(known[1]), BATCH_ROWS):
        matches = index.match(prepare_texts([text for _, text in batch], settings))
        for kind, rows in matches.items():
            for position in np.flatnonzero(rows >= 0).tolist():
                partners[kind].setdefault(int(rows[position]), batch[position][0])
    found = []
    for number, (row_id, split) in enumerate(zip(ids, owners, strict=True)):
        strongest = next((kind for kind in Kind if index.is_met[kind][number]), None)
        if strongest is not None:
            name = _name_leak(strongest, known[0], split)
            found.append(LeakedRow(name, row_id, partners[strongest].get(number)))
    return found


def count_leaks(
    found: Sequence[LeakedRow], pairs: Sequence[tuple[str, str]], sizes: dict[str, int], waived: Collection[str]
) -> list[Leak]:
    """Count findings by name, including comparisons without findings."""
    leaks = []
    for known, probe in pairs:
        for kind in Kind:
            name = _name_leak(kind, known, probe)
            rows = [leaked.row for leaked in found if leaked.leak == name]
            share = len(rows) / sizes[probe] if sizes[probe] else 0.0
            leaks.append(
                Leak(
                    name=name,
                    num_rows=len(rows),
                    share_ratio=round(share, 6),
                    waived=name in waived,
                    examples=rows[:NUM_EXAMPLES],
                )
            )
    return leaks


def _name_leak(kind: Kind, known: str, probe: str) -> str:
    return f"{kind.value}:{known}-{probe}"


def _read_texts(rows: Iterator[Row]) -> Iterator[tuple[str, str]]:
    for row in rows:
        yield row.id, row.user_text


def _read_probes(probes: Sequence[tuple[str, Iterator[Row]]], own: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    for split, rows in probes:
        for text in _read_texts(rows):
            own(split)
            yield text
