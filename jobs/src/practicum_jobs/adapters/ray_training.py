"""Training with Ray Train: number of workers, storage of checkpoints, replacement of lost workers.

Both ways use Ray Train's ``TorchTrainer``. Several workers are Ray actors under a controller that replaces lost ones. A
single worker uses Ray Train's local mode, on a named cluster too: the stage's own process trains. That starts half a
minute sooner on two cores than a cluster of five processes, and needs 1.9 GiB less (measured in a head of KubeRay),
because two processes fewer import torch. A lost worker is then a lost stage, which the executor starts again.
Checkpoints are in ``<step>/checkpoints`` either way; a run started again in the same folder resumes from the last
complete one.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from practicum_core.atomic import append_json_line
from practicum_core.curves import read_curves
from practicum_core.errors import ConfigError, Reason
from practicum_jobs.adapters.local_training import CHECKPOINTS, train_in_this_process
from practicum_jobs.adapters.ray_session import is_cluster_named, open_session
from practicum_jobs.adapters.training_job import (
    SavedCheckpoint,
    TrainingJob,
    TrainingOutcome,
    WorkersFailedError,
    get_last_line,
)

UNSCORED = 1e30
"""Loss of a checkpoint that was made between evaluations: without a value Ray would keep it before scored ones."""
_POLL_S = 0.2
_TAIL = 50


def train_with_ray(job: TrainingJob, is_stop_requested: Callable[[], bool]) -> TrainingOutcome:
    """Run the job on its workers and return what rank 0 reports.

    Args:
        job: What to train.
        is_stop_requested: Asked a few times a second; once true, the workers stop after a checkpoint.

    Raises:
        ConfigError: The strategy needs GPUs and there are none.
        WorkersFailedError: Workers were lost more often than the job allows, or training itself failed.
    """
    _check_strategy(job)
    if job.config.num_workers == 1:
        with _forward_stop_request(job, is_stop_requested):
            return _train_here(job)
    return _train_with_workers(job, is_stop_requested)


def _check_strategy(job: TrainingJob) -> None:
    """Refuse a strategy that shards state over GPUs on a machine without one; a cluster's workers may have them."""
    if job.config.strategy != "ddp" and not is_cluster_named() and not _has_gpu():
        raise ConfigError(
            f"strategy={job.config.strategy} shards a model over GPUs, and this machine has none",
            "use strategy=ddp here, or run on a cluster",
            Reason.PREFLIGHT_FAILED,
        )


def _train_here(job: TrainingJob) -> TrainingOutcome:
    from ray import train  # noqa: PLC0415 - seconds; only where training starts
    from ray.train.torch import TorchTrainer  # noqa: PLC0415 - as above

    trainer = TorchTrainer(
        _run_here,
        train_loop_config={"job": job},
        scaling_config=train.ScalingConfig(num_workers=0, use_gpu=_has_gpu()),
        run_config=train.RunConfig(name=CHECKPOINTS, storage_path=str(job.open_context().layout.root)),
    )
    with _quiet():
        return _take_outcome(trainer.fit())


def _run_here(settings: dict[str, Any]) -> TrainingOutcome:
    from ray import train  # noqa: PLC0415 - as above

    return train_in_this_process(settings["job"], train.report)


def _train_with_workers(job: TrainingJob, is_stop_requested: Callable[[], bool]) -> TrainingOutcome:
    config = job.config
    with open_session(config.num_workers, job.num_threads), _forward_stop_request(job, is_stop_requested):
        from ray import train  # noqa: PLC0415 - seconds; after the session is open
        from ray.train.torch import TorchConfig, TorchTrainer  # noqa: PLC0415 - as above

        trainer = TorchTrainer(
            run_worker,
            train_loop_config={"job": job},
            torch_config=TorchConfig(backend=None if _has_gpu() else "gloo"),
            scaling_config=train.ScalingConfig(num_workers=config.num_workers, use_gpu=_has_gpu()),
            run_config=train.RunConfig(
                name=CHECKPOINTS,
                storage_path=str(job.open_context().layout.root),
                failure_config=train.FailureConfig(max_failures=config.max_failures),
                checkpoint_config=train.CheckpointConfig(
                    num_to_keep=config.keep_checkpoints,
                    checkpoint_score_attribute="eval_loss",
                    checkpoint_score_order="min",
                ),
                callbacks=[build_failure_writer(job.work_dir / "failures.jsonl", job.open_context().layout.metrics)],
            ),
        )
        try:
            result = trainer.fit()
        except train.TrainingFailedError as error:
            raise _build_failure(error) from error
        return _take_outcome(result)


def _take_outcome(result: Any) -> TrainingOutcome:  # noqa: ANN401 - Ray is untyped here
    outcome = result.return_value
    if not isinstance(outcome, TrainingOutcome):
        raise WorkersFailedError({}, "training ended without a result")
    return outcome


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's own messages out of the step's log."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def run_worker(settings: dict[str, Any]) -> TrainingOutcome:
    """Train in this worker process. Ray calls it once per worker and attempt."""
    from practicum_jobs.adapters.trl_training import run_training  # noqa: PLC0415 - in the worker only

    return run_training(settings["job"], RayLink())


class RayLink:
    """The worker's side of Ray Train."""

    def __init__(self) -> None:
        from ray import train  # noqa: PLC0415 - as above

        self._train = train
        self.rank = train.get_context().get_world_rank()
        self.world_size = train.get_context().get_world_size()

    def get_resume_folder(self) -> Path | None:
        """Return the last complete checkpoint of this run; ``None`` at a first start."""
        checkpoint = self._train.get_checkpoint()
        return Path(checkpoint.path) if checkpoint else None

    def report(self, folder: Path | None, metrics: Mapping[str, float], name: str) -> None:
        """Report a checkpoint (rank 0) or none; it is uploaded while the next steps run."""
        checkpoint = self._train.Checkpoint.from_directory(folder) if folder else None
        self._train.report(
            {"eval_loss": UNSCORED, **metrics},
            checkpoint=checkpoint,
            checkpoint_dir_name=name,
            checkpoint_upload_mode=self._train.CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=True,
        )

    def list_checkpoints(self) -> list[SavedCheckpoint]:
        """Wait for uploads and return every kept checkpoint, oldest first."""
        mode = self._train.CheckpointConsistencyMode.COMMITTED
        found = [
            SavedCheckpoint(
                step=int(reported.metrics["step"]),
                validation_loss=_read_loss(reported.metrics),
                path=str(reported.checkpoint.path),
            )
            for reported in self._train.get_all_reported_checkpoints(consistency_mode=mode)
        ]
        return sorted((saved for saved in found if Path(saved.path).is_dir()), key=lambda saved: saved.step)


def _read_loss(metrics: Mapping[str, float]) -> float | None:
    loss = metrics.get("eval_loss", UNSCORED)
    return loss if loss < UNSCORED else None


def build_failure_writer(path: Path, curve: Path) -> Any:  # noqa: ANN401 - Ray's own class
    """Return a callback of Ray that records each lost worker, in the process that supervises them.

    Args:
        path: JSON lines, one per failure.
        curve: Metric series; its last line tells the step that training had reached.
    """
    from ray.train import UserCallback  # noqa: PLC0415 - as above

    class FailureWriter(UserCallback):  # type: ignore[misc]  # Ray is untyped here
        """Appends one line per failure."""

        def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ANN401, ARG002
            """Write which ranks failed and how."""
            errors = {str(rank): get_last_line(_describe(error)) for rank, error in worker_exceptions.items()}
            append_json_line(path, {"at_s": time.time(), "step": read_last_step(curve), "errors": errors})

    return FailureWriter()


def read_last_step(curve: Path) -> int:
    """Return the step of a metric series' last complete line; 0 where there is none."""
    lines = curve.read_text(encoding="utf-8").splitlines() if curve.is_file() else []
    return max((step for step, _ in read_curves(lines[-_TAIL:]).series.get("loss", [])), default=0)


@contextlib.contextmanager
def _forward_stop_request(job: TrainingJob, is_stop_requested: Callable[[], bool]) -> Iterator[None]:
    """Write the stop file as soon as a stop is requested; the training call itself blocks this process."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_S):
            if is_stop_requested():
                job.stop_file.touch()
                return

    watcher = threading.Thread(target=watch, name="stop-watcher", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _has_gpu() -> bool:
    import torch  # noqa: PLC0415 - as above

    return bool(torch.cuda.is_available())


def _build_failure(error: Exception) -> WorkersFailedError:
    causes = getattr(error, "worker_failures", {})
    return WorkersFailedError({rank: _describe(cause) for rank, cause in causes.items()}, get_last_line(str(error)))


def _describe(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
