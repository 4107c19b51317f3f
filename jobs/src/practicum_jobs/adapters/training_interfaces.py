"""What the training loop, its trainer and whoever started the worker need from each other.

Imports nothing heavy and no other module of the training loop, so that none of them has to import another in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from practicum_jobs.adapters.training_job import SavedCheckpoint


class TrainerLink(Protocol):
    """What a worker needs from whatever started it."""

    rank: int
    world_size: int

    def get_resume_folder(self) -> Path | None:
        """Return the last complete checkpoint of this run; ``None`` at a first start."""
        ...

    def report(self, folder: Path | None, metrics: Mapping[str, float], name: str) -> None:
        """Report a checkpoint (rank 0) or none (other ranks); every rank calls equally often."""
        ...

    def list_checkpoints(self) -> list[SavedCheckpoint]:
        """Return every kept checkpoint that is complete, oldest first; every rank calls equally often."""
        ...


class CountingTrainer(Protocol):
    """A ``transformers.Trainer`` that counts the tokens it trained on. The library's own parts are untyped here."""

    num_tokens: int
    """Tokens of all ranks since the start of the run, padding left out."""

    curves: tuple[str, ...]
    """Names of figures that only this trainer logs; a slash in them becomes an underscore in the metric series."""

    model: Any
    args: Any
    state: Any
    accelerator: Any
    processing_class: Any

    def add_callback(self, callback: Any) -> None:  # noqa: ANN401 - as above
        """Add a callback to the loop."""
        ...

    def train(self, resume_from_checkpoint: str | None = None) -> Any:  # noqa: ANN401 - as above
        """Train from a checkpoint folder or from the start."""
        ...
