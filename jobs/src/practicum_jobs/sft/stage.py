"""Supervised fine-tuning as a stage: its encoding, its trainer, and the engine that a configuration names."""

from __future__ import annotations

from practicum_core.stages.sft import SftConfig, SftRecord
from practicum_jobs.adapters.training_job import TrainingJob, TrainingOutcome
from practicum_jobs.context import StageContext
from practicum_jobs.training.conclusion import conclude_training
from practicum_jobs.training.encoding import encode_rows
from practicum_jobs.training.faults import explain_training_faults
from practicum_jobs.training.passing_on import pass_model_on, read_decision
from practicum_jobs.training.preparation import PreparedTraining, prepare_training

TRAINER = "practicum_jobs.adapters.completion_trainer:build_trainer"


def run(config: SftConfig, ctx: StageContext) -> SftRecord:
    """Fine-tune and return the record; a start in the same folder resumes from the last complete checkpoint.

    Raises:
        ConfigError: A check before training failed; every problem in one message.
        DataError: A split is empty.
        GateFailed: Training diverged; the message says how and why.
        PlatformError: Workers were lost too often, or memory or disk ran out.
        Stopped: A stop was requested; a checkpoint was written.
    """
    decision = read_decision(config, ctx)
    if decision is not None and not decision.is_yes:
        return pass_model_on(SftRecord, config, ctx, decision)
    prepared = prepare(config, ctx)
    ctx.progress(0.0, "starting the workers")
    with explain_training_faults(prepared.job):
        outcome = train(prepared.job, ctx)
    return conclude_training(SftRecord, prepared, ctx, outcome)


def prepare(config: SftConfig, ctx: StageContext) -> PreparedTraining:
    """Encode and check the rows of the run."""
    return prepare_training(config, ctx, encode_rows, TRAINER)


def train(job: TrainingJob, ctx: StageContext) -> TrainingOutcome:
    """Train with the engine that the configuration names."""
    if job.config.engine == "flat":
        from practicum_jobs.adapters.flat_sft import train_flat  # noqa: PLC0415 - torch, in this process

        return train_flat(job, lambda: ctx.is_stop_requested)
    from practicum_jobs.adapters.ray_training import train_with_ray  # noqa: PLC0415 - Ray only where it is used

    return train_with_ray(job, lambda: ctx.is_stop_requested)
