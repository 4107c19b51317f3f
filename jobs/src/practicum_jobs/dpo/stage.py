"""Preference training as a stage: pairs as tokens, TRL's trainer on Ray Train, and a diagnosis of the curves."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from practicum_core.json_files import read_json_lines
from practicum_core.rows import Row
from practicum_core.stages.dpo import DpoConfig, DpoRecord
from practicum_core.stages.training import CheckpointSample
from practicum_jobs.adapters.ray_training import train_with_ray
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.sources import open_input, read_strictly
from practicum_jobs.dpo.diagnosis import diagnose_preferences, find_preference_faults, measure_preferences
from practicum_jobs.dpo.pairs import encode_pairs
from practicum_jobs.training.conclusion import conclude_training, read_curve_file
from practicum_jobs.training.faults import explain_training_faults
from practicum_jobs.training.passing_on import pass_model_on, read_decision
from practicum_jobs.training.preparation import load_locked, prepare_training

TRAINER = "practicum_jobs.adapters.preference_trainer:build_trainer"


def run(config: DpoConfig, ctx: StageContext) -> DpoRecord:
    """Train on the pairs and return the record; a start in the same folder resumes from the last complete checkpoint.

    Raises:
        ConfigError: A check before training failed, such as an empty rejected answer; every problem in one message.
        DataError: A split is empty.
        GateFailed: Training diverged; the message says how and why.
        PlatformError: Workers were lost too often, or memory or disk ran out.
        Stopped: A stop was requested; a checkpoint was written.
    """
    decision = read_decision(config, ctx)
    if decision is not None and not decision.is_yes:
        return pass_model_on(DpoRecord, config, ctx, decision)
    prepared = prepare_training(config, ctx, encode_pairs, TRAINER, partial(load_pairs, config))
    ctx.progress(0.0, "starting the workers")
    with explain_training_faults(prepared.job):
        outcome = train_with_ray(prepared.job, lambda: ctx.is_stop_requested)
    record = conclude_training(DpoRecord, prepared, ctx, outcome)
    curves = read_curve_file(ctx.layout.metrics)
    faults = find_preference_faults(curves, read_checkpoint_samples(ctx.layout.samples))
    return record.model_copy(
        update={
            "metrics": [*record.metrics, *measure_preferences(curves, record.best_step, config.beta)],
            "failures": [*record.failures, *faults],
            "diagnosis": f"{record.diagnosis} {diagnose_preferences(faults)}",
        }
    )


def load_pairs(config: DpoConfig, ctx: StageContext) -> dict[str, list[Row]]:
    """Return the pairs for training and validation: of their own data set, or of the run's data.

    Raises:
        DataError: The data set is missing, a split of it is, or a line is no row.
    """
    if config.pairs is None:
        return load_locked(ctx)
    source = open_input(config.pairs, ctx)
    return {split: list(read_strictly(source, split)) for split in ("train", "validation")}


def read_checkpoint_samples(path: Path) -> list[CheckpointSample]:
    """Read the answers at checkpoints, in the order in which they were written; none where none were asked for."""
    return [CheckpointSample.model_validate(line) for line in read_json_lines(path)]
