"""The description of a training job and its outcome: plain values that travel between processes.

Imports nothing heavy, so that the process that starts the workers stays small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from practicum_core.stages.training import TrainingConfig
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
    """Why training has to stop: what happened at which step."""

    kind: str
    step: int
    value: float
    text: str


class Watchdog(Protocol):
    """Looks at every logged step and says when training has diverged."""

    def resume(self, losses: Sequence[float]) -> None:
        """Take in the losses of the steps before the one that training goes on from, oldest first."""
        ...

    def observe(self, step: int, loss: float, grad_norm: float | None) -> Fault | None:
        """Take in one step's figures; return a fault when training must stop."""
        ...


@dataclass(frozen=True)
class TrainingJob:
    """Everything that a worker needs to know. Its paths are on a disk that every worker mounts.

    Attributes:
        run_dir: The run directory.
        stage: Name of the stage.
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
    stage: str
    step: str
    model_dir: Path
    config: TrainingConfig
    num_steps: int
    watchdog: Watchdog
    started_at_s: float
    num_threads: int
    trainer: str

    def open_context(self) -> StageContext:
        """Return the step's context in the run directory, for a worker."""
        return StageContext(self.run_dir, self.stage, self.step)

    @property
    def work_dir(self) -> Path:
        """Folder of files that only the running step reads."""
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
    """A completely written checkpoint."""

    step: int
    validation_loss: float | None
    path: str


@dataclass(frozen=True)
class TrainingOutcome:
    """What rank 0 reports at the end.

    Attributes:
        num_steps: Last optimizer step that was done.
        stopped: Training ended early because it was asked to.
        fault: Training ended early because it diverged.
        startup_s: From the start of the stage to the first optimizer step of this attempt.
        train_s: From the first to the last step of this attempt, evaluation and checkpoints included.
        step_s: Seconds inside optimizer steps alone, this attempt.
        step_tokens: Tokens in those steps, padding left out.
        peak_rss_gib: Most memory of this process.
        peak_gpu_gib: Most memory of its GPU that tensors took; ``None`` without one.
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
    peak_gpu_gib: float | None = None
    best_step: int | None = None
    checkpoints: list[SavedCheckpoint] = field(default_factory=list)


class WorkersFailedError(Exception):
    """Training ended because its workers failed.

    Args:
        causes: Text of each failed worker's last error, by rank; empty where none is known.
        text: Text of the engine's own error.
    """

    def __init__(self, causes: Mapping[int, str], text: str) -> None:
        super().__init__(text)
        self.causes = dict(causes)


class UntrainableError(Exception):
    """The libraries cannot train this model with these options.

    Args:
        cause: What the library said.
    """

    def __init__(self, cause: Exception) -> None:
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
        super().__init__(f"{type(cause).__name__}: {lines[0] if lines else 'no message'}"[:300])


def get_last_line(text: str) -> str:
    r"""Return the last line of an error's text, where Python names the exception; empty for an empty text.

    >>> get_last_line("Traceback (most recent call last):\n  ...\nValueError: shapes do not match\n")
    'ValueError: shapes do not match'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def is_sharded(config: TrainingConfig) -> bool:
    """Whether each worker holds only a part of the weights. Only checkpoints then hold all of them.

    A forward pass by one worker alone would wait for the others forever.

    >>> fsdp = TrainingConfig(learning_rate=1e-4, strategy="fsdp")
    >>> is_sharded(fsdp), is_sharded(fsdp.model_copy(update={"strategy": "deepspeed"}))
    (True, False)
    """
    return config.strategy == "fsdp" or (config.strategy == "deepspeed" and config.method == "full")


def has_float32_weights(config: TrainingConfig) -> bool:
    """Whether weights are kept in float32 even where the computation is in bfloat16.

    In bfloat16 a small update of a weight would be rounded away. DeepSpeed keeps a float32 copy itself.

    >>> [has_float32_weights(TrainingConfig(learning_rate=1e-4, method=method)) for method in ("full", "lora")]
    [True, False]
    """
    return config.method == "full" and config.strategy != "deepspeed"


def get_work_dir(context: StageContext) -> Path:
    """Return the step's folder for files that only the running stage reads."""
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
