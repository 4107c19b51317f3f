"""The record of a training run that ended well: figures, failures, diagnosis, artifacts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TypeVar

from practicum_core.curves import Curves
from practicum_core.metrics import Metric
from practicum_core.stages.base import Artifact, Failure
from practicum_core.stages.training import CheckpointInfo, TrainingConfig, TrainingRecord
from practicum_jobs.adapters.training_job import TrainingOutcome
from practicum_jobs.context import StageContext
from practicum_jobs.training.overfitting import Overfitting, find_overfitting
from practicum_jobs.training.preflight import Preflight
from practicum_jobs.training.preparation import PreparedTraining

_EXPORTS = {"adapter": "LoRA adapter in PEFT's format", "merged": "stand-alone model with tokenizer and chat template"}


Record = TypeVar("Record", bound=TrainingRecord)


def build_record(
    model: type[Record], prepared: PreparedTraining, ctx: StageContext, outcome: TrainingOutcome, curves: Curves
) -> Record:
    """Build the record from the outcome that rank 0 reported and from the curves.

    Args:
        model: The stage's record. A stage that adds fields gives them defaults and sets them with ``model_copy``.
        prepared: What was trained.
        ctx: The step's context.
        outcome: What rank 0 reported.
        curves: The metric series.
    """
    job = prepared.job
    validation, train = curves.series.get("eval_loss", []), curves.series.get("loss", [])
    overfitting = find_overfitting(validation, train, job.config.overfit_patience)
    losses = read_lost_workers(job.work_dir / "failures.jsonl", job.started_at_s)
    failures = [*losses, *_describe_overfitting(overfitting)]
    return model(
        metrics=build_metrics(outcome, prepared.checks, curves, job.config),
        failures=failures,
        artifacts=_describe_exports(ctx),
        method=job.config.method,
        num_steps=outcome.num_steps,
        num_train_rows=prepared.num_rows,
        num_trainable_parameters=outcome.num_trainable_parameters,
        num_parameters=outcome.num_parameters,
        num_tokens=outcome.num_tokens,
        num_restarts=len(losses),
        resumed_from_step=outcome.resumed_from_step,
        checkpoints=[
            CheckpointInfo(
                step=saved.step,
                validation_loss=saved.validation_loss,
                path=str(Path(saved.path).relative_to(ctx.run.root)),
            )
            for saved in outcome.checkpoints
        ],
        best_step=outcome.best_step,
        diagnosis=diagnose(curves, overfitting, outcome, job.config.export_scale),
        **ctx.build_record_fields(),
    )


def build_metrics(outcome: TrainingOutcome, checks: Preflight, curves: Curves, config: TrainingConfig) -> list[Metric]:
    """Return the figures. The exported weights are those with the lowest validation loss.

    Losses are those of the weights as trained, before ``export_scale`` makes the change smaller.
    """
    loss_unit, export_scale = config.loss_unit, config.export_scale
    validation = curves.series.get("eval_loss", [])
    first = validation[0][1]
    best = dict(validation).get(outcome.best_step or -1, validation[-1][1])
    figures: list[tuple[str, float | None, str]] = [
        ("validation_loss", best, loss_unit),
        ("validation_loss_first", first, loss_unit),
        ("validation_loss_drop", first - best, loss_unit),
        ("train_loss", curves.get_last("loss"), loss_unit),
        ("tokens_per_s", outcome.step_tokens / outcome.step_s if outcome.step_s else None, "tokens/s"),
        ("steps_per_s", _count_own_steps(outcome) / outcome.step_s if outcome.step_s else None, "steps/s"),
        ("startup_s", outcome.startup_s, "s"),
        ("train_s", outcome.train_s, "s"),
        ("peak_rss_gib", outcome.peak_rss_gib, "GiB"),
        ("peak_gpu_gib", outcome.peak_gpu_gib, "GiB"),
        ("estimated_memory_gib", checks.memory.total, "GiB"),
        ("truncated_ratio", checks.truncated_ratio, ""),
        ("export_scale", export_scale if export_scale < 1 else None, ""),
    ]
    return [Metric(name=name, value=value, unit=unit) for name, value, unit in figures if value is not None]


def diagnose(
    curves: Curves, overfitting: Overfitting | None, outcome: TrainingOutcome, export_scale: float = 1.0
) -> str:
    """Say in a few sentences what the curves show."""
    validation = curves.series.get("eval_loss", [])
    first, last = validation[0], validation[-1]
    sentences = [f"Validation loss went from {first[1]:.3f} (step {first[0]}) to {last[1]:.3f} (step {last[0]})."]
    if overfitting is not None:
        sentences.append(
            f"It rose by {overfitting.rise:.3f} after step {overfitting.best_step} while training loss fell: the run "
            "learned its rows by heart. Train fewer steps, on more rows, or with a smaller lora_r."
        )
    elif last[1] >= first[1]:
        sentences.append("It did not fall: look at the learning rate and at whether the rows teach this task.")
    else:
        sentences.append("No overfitting was seen.")
    if outcome.best_step is not None and outcome.best_step != outcome.num_steps:
        sentences.append(f"The weights of step {outcome.best_step} were exported, where it was lowest.")
    if export_scale < 1:
        sentences.append(f"The exports keep {export_scale:g} of the learned change; these losses are of all of it.")
    return " ".join(sentences)


def read_lost_workers(path: Path, started_at_s: float) -> list[Failure]:
    """Read at which steps workers were lost: one failure for each restart of the group."""
    if not path.is_file():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [_describe_loss(line, started_at_s) for line in lines]


def _describe_loss(line: dict[str, object], started_at_s: float) -> Failure:
    errors = line["errors"] if isinstance(line["errors"], dict) else {}
    ranks = ", ".join(sorted(errors)) or "unknown"
    at_s = float(str(line.get("at_s", time.time()))) - started_at_s
    return Failure(
        kind="worker_lost",
        where=f"step {line.get('step', 'unknown')}, worker {ranks}",
        text=f"after {at_s:.0f} s: {'; '.join(str(error) for error in errors.values())}"[:500],
    )


def _describe_overfitting(overfitting: Overfitting | None) -> list[Failure]:
    if overfitting is None:
        return []
    return [
        Failure(
            kind="overfitting",
            where=f"step {overfitting.noticed_step}",
            text=f"validation loss rose by {overfitting.rise:.3f} since step {overfitting.best_step}",
        )
    ]


def _describe_exports(ctx: StageContext) -> list[Artifact]:
    folders = [(ctx.layout.artifacts / name, note) for name, note in _EXPORTS.items()]
    return [ctx.describe_artifact(folder, note) for folder, note in folders if folder.is_dir()]


def _count_own_steps(outcome: TrainingOutcome) -> int:
    return outcome.num_steps - (outcome.resumed_from_step or 0)
