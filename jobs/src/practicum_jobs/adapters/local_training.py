"""Training with one worker in the stage's own process. Needs no Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from practicum_jobs.adapters.checkpoint_store import CheckpointStore
from practicum_jobs.adapters.training_job import SavedCheckpoint, TrainingJob, TrainingOutcome

CHECKPOINTS = "checkpoints"


def train_in_this_process(job: TrainingJob, report: Callable[[dict[str, Any]], None] | None = None) -> TrainingOutcome:
    """Run the job and return what it did.

    Args:
        job: What to train.
        report: Called with the metrics of each checkpoint, where somebody wants them.
    """
    from practicum_jobs.adapters.trl_training import run_training  # noqa: PLC0415 - torch only where training starts

    return run_training(job, LocalLink(job, report))


class LocalLink:
    """The link of the only worker: its checkpoints are kept by a :class:`CheckpointStore`.

    Ray Train's local mode passes metrics on and keeps no checkpoints.
    """

    rank = 0
    world_size = 1

    def __init__(self, job: TrainingJob, report: Callable[[dict[str, Any]], None] | None) -> None:
        self._report = report
        self._store = CheckpointStore(job.open_context().layout.root / CHECKPOINTS, job.config.keep_checkpoints)

    def get_resume_folder(self) -> Path | None:
        """Return the last complete checkpoint of this run; ``None`` at a first start."""
        saved = self._store.list()
        return Path(saved[-1].path) if saved else None

    def report(self, folder: Path | None, metrics: Mapping[str, float], name: str) -> None:
        """Move a checkpoint into the store; that is a rename, so the next step does not wait for a copy."""
        if folder is not None:
            self._store.add(folder, name, metrics)
        if self._report is not None:
            self._report(dict(metrics))

    def list_checkpoints(self) -> list[SavedCheckpoint]:
        """Return every kept checkpoint, oldest first."""
        return self._store.list()
