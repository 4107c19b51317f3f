"""Decides what a training worker is told and what it tells back: plain values that travel between processes.

Imports nothing heavy, so that the process that starts the workers stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from practicum_core.stages.sft import SftConfig
from practicum_jobs.context import StageContext

IGNORED = -100
"""Label of a token that does not count in the loss."""

Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TokenRow:
    """One example as tokens. ``labels`` equals ``input_ids`` where the loss counts and :data:`IGNORED` elsewhere."""

    id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def prompt_length(self) -> int:
        """Tokens before the first one that counts in the loss."""
        return next((at for at, label in enumerate(self.labels) if label != IGNORED), len(self.labels))


@dataclass(frozen=True)
class Fault:
    """Why training must not go on: what happened at which step."""

    kind: str
    step: int
    value: float
    text: str


class Watchdog(Protocol):
    """Looks at every logged step and says when training is lost."""

    def resume(self, losses: Sequence[float]) -> None:
        """Take in the losses of the steps before the one that training goes on from, oldest first."""
        ...

    def observe(self, step: int, loss: float, grad_norm: float | None) -> Fault | None:
        """Take in one step's figures; return a fault when training must stop."""
        ...


@dataclass(frozen=True)
class TrainingJob:
    """Everything that a worker needs to know. Paths lie on a disk that every worker sees.

    Attributes:
        run_dir: The run directory.
        step: Name of the unit's step.
        model_dir: Folder of the base model.
        config: The stage's configuration.
        num_steps: Optimizer steps in total.
        watchdog: Detector of divergence; each worker gets its own copy.
        started_at_s: When the stage started, in seconds since the epoch.
        num_threads: Threads that torch may use in one worker; fixed, so that sums come out alike every time.
        trainer: ``module:function`` that builds the trainer from the job and the worker's link. Only the worker
            resolves it, so the process that starts workers does not import torch.
    """

    run_dir: Path
    step: str
    model_dir: Path
    config: SftConfig
    num_steps: int
    watchdog: Watchdog
    started_at_s: float
    num_threads: int
    trainer: str = "practicum_jobs.adapters.sft_trainer:build_trainer"

    def open_context(self) -> StageContext:
        """Open the step's window on the run directory from a worker."""
        return StageContext(self.run_dir, "sft", self.step)

    @property
    def work_dir(self) -> Path:
        """Folder of what the step needs while it runs and nobody reads later."""
        return get_work_dir(self.open_context())

    @property
    def stop_file(self) -> Path:
        """Its existence asks rank 0 to stop; rank 0 then writes the step after which all stop into ``stop-at``."""
        return self.work_dir / "stop"

    @property
    def stop_step_file(self) -> Path:
        """Holds the step after which every worker stops."""
        return self.work_dir / "stop-at"


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint that is whole."""

    step: int
    validation_loss: float | None
    path: str


@dataclass(frozen=True)
class TrainingOutcome:
    """What rank 0 tells back.

    Attributes:
        num_steps: Last optimizer step that was done.
        stopped: Training ended early because it was asked to.
        fault: Training ended early because it was lost.
        startup_s: From the start of the stage to the first optimizer step of this attempt.
        train_s: From the first to the last step of this attempt, evaluation and checkpoints included.
        step_s: Seconds inside optimizer steps alone, this attempt.
        step_tokens: Tokens in those steps, padding left out.
    """

    num_steps: int
    stopped: bool
    fault: Fault | None
    resumed_from_step: int | None
    num_parameters: int
    num_trainable_parameters: int
    num_tokens: int
    startup_s: float
    train_s: float
    step_s: float
    step_tokens: int
    peak_rss_gib: float
    best_step: int | None = None
    checkpoints: list[SavedCheckpoint] = field(default_factory=list)


def is_sharded(config: SftConfig) -> bool:
    """Whether no worker holds the whole model: its weights come together in checkpoints alone.

    A worker that asks such a model anything by itself waits for the others forever.

    >>> is_sharded(SftConfig(strategy="fsdp")), is_sharded(SftConfig(strategy="deepspeed", method="lora"))
    (True, False)
    """
    return config.strategy == "fsdp" or (config.strategy == "deepspeed" and config.method == "full")


def has_float32_weights(config: SftConfig) -> bool:
    """Whether weights stay in float32 though sums may be in bfloat16, where small steps of training would vanish.

    DeepSpeed keeps such a copy itself.

    >>> has_float32_weights(SftConfig(method="full")), has_float32_weights(SftConfig(method="lora"))
    (True, False)
    """
    return config.method == "full" and config.strategy != "deepspeed"


def get_work_dir(context: StageContext) -> Path:
    """Return the step's folder for what only the running stage reads."""
    return context.layout.root / "work"


def write_rows(path: Path, rows: list[TokenRow]) -> None:
    """Write rows as flat arrays, so that a worker opens a million of them at once."""
    lengths = np.array([len(row.input_ids) for row in rows], dtype=np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as handle:
        np.savez(
            handle,
            ids=np.array([row.id for row in rows]),
            lengths=lengths,
            input_ids=_flatten([row.input_ids for row in rows]),
            labels=_flatten([row.labels for row in rows]),
        )


def read_rows(path: Path) -> list[TokenRow]:
    """Read what :func:`write_rows` wrote."""
    with np.load(path) as arrays:
        ends = np.cumsum(arrays["lengths"])
        input_ids, labels = (np.split(arrays[name], ends)[:-1] for name in ("input_ids", "labels"))
        return [
            TokenRow(str(name), ids.tolist(), row_labels.tolist())
            for name, ids, row_labels in zip(arrays["ids"], input_ids, labels, strict=True)
        ]


def _flatten(rows: list[list[int]]) -> Int32:
    return np.concatenate([np.asarray(row, dtype=np.int32) for row in rows]) if rows else np.zeros(0, dtype=np.int32)
