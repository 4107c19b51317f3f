"""Recall and precision of an audit for each class of planted flaws, computed from a truth file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from practicum_core.errors import DataError
from practicum_core.stages.findings import ClassScore

Key = str
"""A row's id, or ``FILE:LINE`` for a place that holds no row."""


class Truth:
    """The planted flaws, and what was found of them.

    Args:
        planted: Classes of each flawed place.
        unscored: Classes that are neither counted nor scored.
    """

    def __init__(self, planted: dict[Key, set[str]], unscored: Collection[str] = ()) -> None:
        self._planted = planted
        self._unscored = unscored
        self._num_planted = Counter(name for classes in planted.values() for name in classes if name not in unscored)
        self._num_flagged: Counter[str] = Counter()
        self._num_right: Counter[str] = Counter()

    def note(self, key: Key, found: Iterable[str]) -> None:
        """Take what the audit found at one place; called once for each place with findings."""
        for name in found:
            if name in self._unscored:
                continue
            self._num_flagged[name] += 1
            self._num_right[name] += name in self._planted.get(key, ())

    def build_scores(self) -> list[ClassScore]:
        """Return the score of every class that was planted or found, sorted by name."""
        return [
            ClassScore(
                name=name,
                num_planted=self._num_planted[name],
                num_flagged=self._num_flagged[name],
                num_right=self._num_right[name],
            )
            for name in sorted({*self._num_planted, *self._num_flagged})
        ]


def build_key(file: Path, line: int) -> Key:
    """Return the key of a place that holds no row.

    >>> build_key(Path("a/train.jsonl"), 7)
    'train.jsonl:7'
    """
    return f"{file.name}:{line}"


def read_truth(path: Path, unscored: Collection[str] = ()) -> Truth:
    """Read a truth file: JSON lines with ``file``, ``line``, ``id`` (null where there is no row) and ``classes``.

    Args:
        path: The file.
        unscored: Classes for which the file is no truth, such as lengths under another limit than it was made for.

    Raises:
        DataError: A line is malformed.
    """
    planted: dict[Key, set[str]] = {}
    with path.open(encoding="utf-8") as handle:
        for number, text in enumerate(handle, start=1):
            try:
                entry = json.loads(text)
                key = entry["id"] or build_key(Path(entry["file"]), entry["line"])
                planted.setdefault(key, set()).update(entry["classes"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path}:{number}: not an entry of a truth file ({error})", "write it again") from error
    return Truth(planted, unscored)
