"""The training loop of one worker: trainer, callbacks, resume, export, and what it reports at the end.

Who started the worker is behind :class:`TrainerLink`; which trainer it runs is in :attr:`TrainingJob.trainer`.
"""

from __future__ import annotations

import contextlib
import os
import pkgutil
import resource
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import safetensors
import torch
import transformers

from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.training_callbacks import CheckpointReporter, CurveWriter, SampleWriter, StopSwitch
from practicum_jobs.adapters.training_export import export_training
from practicum_jobs.adapters.training_interfaces import CountingTrainer, TrainerLink
from practicum_jobs.adapters.training_job import (
    SavedCheckpoint,
    TrainingJob,
    TrainingOutcome,
    UntrainableError,
    is_sharded,
)

BUILD_FAULTS = (
    *(ValueError, RuntimeError, TypeError, LookupError, AttributeError, ImportError),
    safetensors.SafetensorError,
)
"""What transformers, PEFT, TRL and bitsandbytes raise for a model or options that they do not support."""


def run_training(job: TrainingJob, link: TrainerLink) -> TrainingOutcome:
    """Train from the last complete checkpoint or from the start, export on rank 0, and return what was done.

    Args:
        job: What to train.
        link: Connection to whoever started this worker.
    """
    prepare_process(job)
    trainer = _build_trainer(job, link)
    curve = CurveWriter(job, trainer, link)
    stop = StopSwitch(job, link.rank)
    for callback in (curve, stop, SampleWriter(job, trainer, link.rank), CheckpointReporter(link, trainer)):
        trainer.add_callback(callback)
    folder = link.get_resume_folder()
    trainer.args.eval_on_start = folder is None
    curve.resumed_from_step = read_step(folder) if folder else None
    with _explain_first_steps(trainer, job.config.save_steps):
        trainer.train(resume_from_checkpoint=str(folder) if folder else None)
    checkpoints = link.list_checkpoints()
    best = choose_best(checkpoints)
    source = choose_export(job.config, checkpoints, trainer.state.global_step)
    stopped = stop.stopped and trainer.state.global_step < job.num_steps
    if curve.fault is None and not stopped and link.rank == 0:
        export_training(job, trainer, source)
    trainable, total = count_parameters(trainer.accelerator.unwrap_model(trainer.model))
    return TrainingOutcome(
        num_steps=trainer.state.global_step,
        stopped=stopped,
        fault=curve.fault,
        resumed_from_step=curve.resumed_from_step,
        num_parameters=total,
        num_trainable_parameters=trainable,
        num_tokens=trainer.num_tokens,
        startup_s=curve.startup_s,
        train_s=curve.train_s,
        step_s=curve.step_s,
        step_tokens=curve.step_tokens,
        peak_rss_gib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        peak_gpu_gib=torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None,
        best_step=best.step if best else None,
        checkpoints=checkpoints,
    )


def _build_trainer(job: TrainingJob, link: TrainerLink) -> CountingTrainer:
    """Build the trainer that the job names.

    Raises:
        UntrainableError: The libraries refuse the model or the options.
    """
    build: Callable[[TrainingJob, TrainerLink], CountingTrainer] = pkgutil.resolve_name(job.trainer)
    try:
        return build(job, link)
    except BUILD_FAULTS as error:
        traceback.print_exc()  # the sentence that a person reads names the last of them only
        raise UntrainableError(error) from error


@contextlib.contextmanager
def _explain_first_steps(trainer: CountingTrainer, save_steps: int) -> Iterator[None]:
    """Raise ``UntrainableError`` where the libraries fail before the first checkpoint: the model does not compute."""
    try:
        yield
    except BUILD_FAULTS as error:
        if trainer.state.global_step > save_steps:
            raise
        traceback.print_exc()
        raise UntrainableError(error) from error


def choose_best(checkpoints: list[SavedCheckpoint]) -> SavedCheckpoint | None:
    """Return the checkpoint with the lowest validation loss, the earlier one where two are equal."""
    scored = [checkpoint for checkpoint in checkpoints if checkpoint.validation_loss is not None]
    return min(scored, key=lambda checkpoint: (checkpoint.validation_loss, checkpoint.step), default=None)


def choose_export(config: TrainingConfig, checkpoints: list[SavedCheckpoint], last_step: int) -> Path | None:
    """Return the checkpoint to export, the best one; ``None`` where the trainer itself holds exactly its weights."""
    best = choose_best(checkpoints) or (checkpoints[-1] if checkpoints else None)
    if best is None or (best.step == last_step and not is_sharded(config)):
        return None
    return Path(best.path)


def read_step(folder: Path) -> int:
    """Return the optimizer step at which a checkpoint was made."""
    state = transformers.TrainerState.load_from_json(str(folder / "trainer_state.json"))
    return int(state.global_step)


def prepare_process(job: TrainingJob) -> None:
    """Set threads, determinism and logging of the process that trains."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(job.num_threads)
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.utils.logging.disable_progress_bar()


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Return ``(trainable, total)`` numbers; 4-bit and sharded weights count as the numbers that they stand for."""
    trainable = total = 0
    for parameter in model.parameters():
        shape = getattr(getattr(parameter, "quant_state", None), "shape", None)
        whole = getattr(parameter, "ds_numel", parameter.numel())  # DeepSpeed leaves nothing else of a shard's size
        count = int(torch.Size(shape).numel()) if shape is not None else whole
        total += count
        trainable += count if parameter.requires_grad else 0
    return trainable, total
