"""The end of a training run: divergence and stops become errors, a good end becomes the record."""

from __future__ import annotations

import shutil
from pathlib import Path

from practicum_core.curves import Curves, read_curves
from practicum_core.errors import Stopped
from practicum_jobs.adapters.training_job import TrainingOutcome, get_work_dir
from practicum_jobs.context import StageContext
from practicum_jobs.training.divergence import explain_divergence
from practicum_jobs.training.preparation import PreparedTraining
from practicum_jobs.training.record import Record, build_record


def conclude_training(
    model: type[Record], prepared: PreparedTraining, ctx: StageContext, outcome: TrainingOutcome
) -> Record:
    """Return the record of a run that ended well, and remove the files that only the run needed.

    Args:
        model: The stage's record.
        prepared: What was trained.
        ctx: The step's context.
        outcome: What rank 0 reported.

    Raises:
        GateFailed: Training diverged; the message says how and why.
        Stopped: A stop was requested; a checkpoint was written.
    """
    job, curves = prepared.job, read_curve_file(ctx.layout.metrics)
    if outcome.fault is not None:
        losses = [loss for step, loss in curves.series.get("loss", []) if step < outcome.fault.step]
        raise explain_divergence(outcome.fault, job.config, losses, job.step)
    if outcome.stopped:
        raise Stopped(f"stopped on request after step {outcome.num_steps} of {job.num_steps}; a checkpoint is written")
    record = build_record(model, prepared, ctx, outcome, curves)
    shutil.rmtree(get_work_dir(ctx), ignore_errors=True)
    return record


def read_curve_file(path: Path) -> Curves:
    """Read a metric series from its file; empty where there is none yet."""
    return read_curves(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else Curves()
