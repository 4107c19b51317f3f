"""Supervised fine-tuning as a stage: rows to tokens, checks, training, detectors, record."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from practicum_core.curves import Curves, read_curves
from practicum_core.errors import DataError, Stopped
from practicum_core.rows import Row
from practicum_core.stages.sft import SftConfig, SftRecord
from practicum_jobs.adapters.training_faults import explain_training_faults
from practicum_jobs.adapters.training_job import TrainingJob, TrainingOutcome, get_work_dir, write_rows
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.sft.attempts import prepare_attempt
from practicum_jobs.sft.divergence import DivergenceWatchdog, explain_divergence
from practicum_jobs.sft.encoding import EncodedRow, encode_rows
from practicum_jobs.sft.facts import count_threads, measure_room, read_model_facts, render_empty
from practicum_jobs.sft.preflight import Preflight, check_before_training
from practicum_jobs.sft.record import build_record
from practicum_jobs.sft.schedule import count_steps

SPIN_COUNT = "10000"
"""Turns that a torch thread waits for its peers before it gives its core up; read when torch is first imported.

GNU OpenMP's own default waits for milliseconds. Where anything else runs on the machine, that halves the throughput.
"""


@dataclass(frozen=True)
class PreparedTraining:
    """A job that is ready to start, and what the checks before it measured."""

    job: TrainingJob
    checks: Preflight
    num_rows: int


def run(config: SftConfig, ctx: StageContext) -> SftRecord:
    """Fine-tune and return the record; a start in the same folder goes on from the last whole checkpoint.

    Raises:
        ConfigError: A check before training failed; every problem in one message.
        GateFailed: Training diverged; the message says how and why.
        PlatformError: Workers were lost too often, or the disk refused.
        Stopped: A stop was requested; a checkpoint was written.
    """
    prepared = prepare_training(config, ctx)
    ctx.progress(0.0, "starting the workers")
    with explain_training_faults(ctx.layout.root):
        outcome = train_job(prepared.job, ctx)
    return conclude_training(prepared, ctx, outcome)


def prepare_training(config: SftConfig, ctx: StageContext) -> PreparedTraining:
    """Encode the rows, run every check, and write what the workers read.

    Raises:
        ConfigError: A check failed; every problem in one message.
    """
    started_at_s = time.time() - ctx.elapsed_s
    model_dir = ensure_model(config.model, ctx.cache_dir).path
    tokenizer = ChatTokenizer(model_dir)
    train = encode_rows(_take(load_split(ctx, "train"), config.train_rows), tokenizer, config.max_length)
    validation = encode_rows(_take(load_split(ctx, "validation"), config.validation_rows), tokenizer, config.max_length)
    if not train or not validation:
        raise DataError("training needs rows in both splits, train and validation", "look at the snapshot's sizes")
    checks = check_before_training(
        [*train, *validation],
        render_empty(tokenizer),
        read_model_facts(model_dir),
        config,
        measure_room(config),
    )
    checks.raise_if_failed()
    ctx.raise_if_stopped()
    job = TrainingJob(
        run_dir=ctx.run.root,
        step=ctx.step,
        model_dir=model_dir,
        config=config,
        num_steps=count_steps(len(train), config),
        watchdog=DivergenceWatchdog(config.divergence_factor),
        started_at_s=started_at_s,
        num_threads=count_threads(config.num_workers),
    )
    _write_inputs(job, train, validation)
    return PreparedTraining(job, checks, len(train))


def train_job(job: TrainingJob, ctx: StageContext) -> TrainingOutcome:
    """Train with the engine that the configuration names."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    if job.config.engine == "flat":
        from practicum_jobs.adapters.flat_sft import train_flat  # noqa: PLC0415 - torch, in this process

        return train_flat(job, lambda: ctx.is_stop_requested)
    from practicum_jobs.adapters.ray_training import train_with_ray  # noqa: PLC0415 - Ray only where it is used

    return train_with_ray(job, lambda: ctx.is_stop_requested)


def _take(rows: list[Row], limit: int | None) -> list[Row]:
    return rows if limit is None else rows[:limit]


def _write_inputs(job: TrainingJob, train: list[EncodedRow], validation: list[EncodedRow]) -> None:
    for split, rows in (("train", train), ("validation", validation)):
        write_rows(job.work_dir / f"{split}.npz", [row.tokens for row in rows])
    prepare_attempt(job)


def conclude_training(prepared: PreparedTraining, ctx: StageContext, outcome: TrainingOutcome) -> SftRecord:
    """Return the record of a run that ended well.

    Raises:
        GateFailed: Training diverged; the message says how and why.
        Stopped: A stop was requested; a checkpoint was written.
    """
    job, curves = prepared.job, read_curve_file(ctx.layout.metrics)
    if outcome.fault is not None:
        losses = [loss for step, loss in curves.series.get("loss", []) if step < outcome.fault.step]
        raise explain_divergence(outcome.fault, job.config, losses)
    if outcome.stopped:
        raise Stopped(f"stopped on request after step {outcome.num_steps} of {job.num_steps}; a checkpoint is written")
    record = build_record(job, ctx, outcome, prepared.checks, curves, prepared.num_rows)
    shutil.rmtree(get_work_dir(ctx), ignore_errors=True)
    return record


def read_curve_file(path: Path) -> Curves:
    """Read a metric series from its file; none yet is an empty one."""
    return read_curves(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else Curves()
