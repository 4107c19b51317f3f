"""Preference pairs from failures, and the checks of them. Pure.

Chosen is the reference answer, rejected the model's own wrong answer.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from practicum_core.errors import ConfigError, DataError
from practicum_core.rows import Row
from practicum_core.stages.findings import Finding
from practicum_jobs.iterate.material import FailedRow
from practicum_jobs.iterate.rows import LinkedRow
from practicum_jobs.scoring.scorers import score_row
from practicum_jobs.text.duplicates import find_duplicates
from practicum_jobs.text.overlap import find_overlap

EMPTY, EQUAL, NOISE, EXACT, NEAR, LEAKED = (
    "empty_rejected",
    "equal_pair",
    "label_noise",
    "exact_duplicate",
    "near_duplicate",
    "leaked_row",
)
KEPT = frozenset({NEAR})
"""Findings that do not drop a pair: tickets of one wording resemble each other and still ask for different answers."""
FAIL_RATIOS = {EMPTY: 0.01, EQUAL: 0.01, NOISE: 0.0, EXACT: 0.01, NEAR: 1.0, LEAKED: 0.0}
_EVERY = 3
"""Of the groups of pairs, every third is held out for validation."""
_MAX_SAMPLES = 5


@dataclass(frozen=True)
class CheckedPairs:
    """Pairs and what was found in them.

    Attributes:
        all: Every pair that was built.
        usable: Those without a finding that drops them.
        found: Ids of the pairs with each finding.
    """

    all: Sequence[LinkedRow]
    usable: Sequence[LinkedRow]
    found: Mapping[str, Sequence[str]]

    @property
    def dropped_ratio(self) -> float:
        """Share of the pairs that cannot be used; 0 where there are none."""
        return 1 - len(self.usable) / len(self.all) if self.all else 0.0

    @property
    def length_gap(self) -> float:
        """Median of (rejected - chosen) / chosen over the lengths in characters; 0 where there are no pairs.

        Preference training learns a length where one side is regularly longer (Park et al., 2024).
        """
        gaps = [len(pair.row.rejected or "") / max(len(pair.row.answer), 1) - 1 for pair in self.usable]
        return statistics.median(gaps) if gaps else 0.0

    def build_findings(self) -> list[Finding]:
        """Return the findings as a record holds them."""
        return [
            Finding(
                name=name,
                num_rows=len(ids),
                share_ratio=len(ids) / len(self.all) if self.all else 0.0,
                level="pass" if not ids else "fail" if len(ids) > FAIL_RATIOS[name] * len(self.all) else "warn",
                threshold_ratio=FAIL_RATIOS[name],
                samples=list(ids[:_MAX_SAMPLES]),
            )
            for name, ids in self.found.items()
        ]


def build_pairs(failed: Sequence[FailedRow]) -> list[LinkedRow]:
    """Return a pair for each failure of the scored split."""
    return [
        LinkedRow(
            one.row.model_copy(update={"id": f"pair-{one.row.id}", "rejected": one.case.output, "rejected_turn": None}),
            "pair",
            one,
        )
        for one in failed
    ]


def check_pairs(pairs: Sequence[LinkedRow], unseen: Sequence[Row]) -> CheckedPairs:
    """Look for pairs that would teach nothing, or the wrong thing.

    Args:
        pairs: The pairs.
        unseen: Rows of the fresh and the control split, which no pair may resemble.
    """
    texts = [(pair.row.id, pair.row.user_text) for pair in pairs]
    clusters = find_duplicates((pair.row.id, f"{pair.row.user_text}\n{pair.row.rejected}") for pair in pairs)
    overlap = find_overlap(((row.id, row.user_text) for row in unseen), texts)
    found = {
        EMPTY: [pair.row.id for pair in pairs if not (pair.row.rejected or "").strip()],
        EQUAL: [pair.row.id for pair in pairs if (pair.row.rejected or "").strip() == pair.row.answer.strip()],
        EXACT: [name for group in clusters.exact for name in group[1:]],
        NEAR: [name for group in clusters.near for name in group[1:]],
        LEAKED: [*overlap.exact, *overlap.near, *overlap.ngram],
    }
    settled = {*found[EMPTY], *found[EQUAL]}
    found[NOISE] = [pair.row.id for pair in pairs if pair.row.id not in settled and not is_verified(pair.row)]
    dropped = {name for kind, ids in found.items() if kind not in KEPT for name in ids}
    return CheckedPairs(pairs, [pair for pair in pairs if pair.row.id not in dropped], found)


def is_verified(row: Row) -> bool:
    """Whether the scorer accepts the chosen answer and refuses the rejected one.

    >>> from practicum_core.rows import Message
    >>> pair = Row(id="a", messages=[Message(role="user", content="2+2?")], answer="4", rejected="4.")
    >>> is_verified(pair)
    False
    """
    try:
        scores = [score_row(row, answer) for answer in (row.answer, row.rejected or "")]
    except ConfigError:  # its scorer runs code; the evaluation did so, and found the rejected answer wrong
        return True
    except DataError:
        return False
    return scores[0].is_exact and not scores[1].is_exact


def are_groups_held_out(pairs: Sequence[LinkedRow]) -> bool:
    """Whether there are enough groups to hold out whole ones."""
    return len(set(_list_groups(pairs))) >= _EVERY


def _list_groups(pairs: Sequence[LinkedRow]) -> list[str]:
    return [pair.row.group or pair.row.id for pair in pairs]


def hold_out(pairs: Sequence[LinkedRow]) -> tuple[list[LinkedRow], list[LinkedRow]]:
    """Split pairs into those that are trained on and those that validation measures, by whole groups.

    Where there are too few groups for that, single pairs are held out.
    """
    keys = _list_groups(pairs)
    groups = sorted(set(keys))
    if not are_groups_held_out(pairs):
        keys, groups = [pair.row.id for pair in pairs], sorted(pair.row.id for pair in pairs)
    held = set(groups[_EVERY - 1 :: _EVERY])
    return (
        [pair for pair, key in zip(pairs, keys, strict=True) if key not in held],
        [pair for pair, key in zip(pairs, keys, strict=True) if key in held],
    )
