"""A folder of checkpoints for one training process: the best ones and the latest, each complete.

Used where training runs in the stage's own process; with several workers Ray Train does the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from practicum_core.atomic import write_json_atomic
from practicum_jobs.adapters.atomic_folder import flush_folder
from practicum_jobs.adapters.training_job import SavedCheckpoint

_METRICS = "metrics.json"


class CheckpointStore:
    """A folder of checkpoints named ``step-NNNNNN``.

    Args:
        folder: Where they are.
        keep: How many of the best are kept, by validation loss; the latest is always kept.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder = folder
        self._keep = keep

    def add(self, source: Path, name: str, metrics: Mapping[str, float]) -> None:
        """Move a written checkpoint in. It is flushed before the rename, so a crash leaves all of it or nothing."""
        write_json_atomic(source / _METRICS, dict(metrics))
        flush_folder(source)
        target = self._folder / name
        shutil.rmtree(target, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        self._prune()

    def list(self) -> list[SavedCheckpoint]:
        """Return the kept checkpoints, oldest first."""
        found = [_read(file) for file in self._folder.glob(f"step-*/{_METRICS}")]
        return sorted(found, key=lambda saved: saved.step)

    def _prune(self) -> None:
        saved = self.list()
        by_loss = sorted(saved, key=lambda one: (one.validation_loss is None, one.validation_loss or 0.0, one.step))
        for one in by_loss[self._keep :]:
            if one is not saved[-1]:
                shutil.rmtree(one.path, ignore_errors=True)


def _read(file: Path) -> SavedCheckpoint:
    metrics = json.loads(file.read_text(encoding="utf-8"))
    return SavedCheckpoint(int(metrics["step"]), metrics.get("eval_loss"), str(file.parent))
