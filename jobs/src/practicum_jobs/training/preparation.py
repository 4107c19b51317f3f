"""Preparation of a training run: rows as tokens, every check, and the files that the workers read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from practicum_core.errors import DataError
from practicum_core.rows import Row
from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.training_job import TrainingJob, write_rows
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.training.attempts import prepare_attempt
from practicum_jobs.training.divergence import DivergenceWatchdog
from practicum_jobs.training.encoding import EncodedRow
from practicum_jobs.training.facts import count_threads, measure_free_memory, read_model_facts, render_empty
from practicum_jobs.training.preflight import Preflight, check_before_training
from practicum_jobs.training.schedule import count_steps

SPIN_COUNT = "10000"
"""How often a torch thread polls for its peers before it sleeps; read when torch is first imported.

With the default of GNU OpenMP a thread polls for milliseconds, which halves the throughput of a machine that runs
anything else.
"""

Encoder = Callable[[Sequence[Row], ChatTokenizer, int], list[EncodedRow]]
"""Encodes rows, each cut to a number of tokens; a row may become several, such as both answers of a preference pair."""


@dataclass(frozen=True)
class PreparedTraining:
    """A job that is ready to start, and what the checks before it measured.

    Attributes:
        job: What the workers are told.
        checks: What the checks measured.
        num_rows: Rows of the training split.
    """

    job: TrainingJob
    checks: Preflight
    num_rows: int


def load_locked(ctx: StageContext) -> dict[str, list[Row]]:
    """Return the rows that training reads from the run's data."""
    return {split: load_split(ctx, split) for split in ("train", "validation")}


def prepare_training(
    config: TrainingConfig,
    ctx: StageContext,
    encode: Encoder,
    trainer: str,
    load: Callable[[StageContext], dict[str, list[Row]]] = load_locked,
) -> PreparedTraining:
    """Encode the rows, run every check, and write what the workers read.

    Args:
        config: Options of the run.
        ctx: The step's context.
        encode: Turns rows into tokens.
        trainer: ``module:function`` that builds the trainer (:attr:`TrainingJob.trainer`).
        load: Reads the rows of train and validation.

    Raises:
        ConfigError: A check failed; every problem in one message.
        DataError: A split is empty.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    started_at_s = time.time() - ctx.elapsed_s
    model_dir = ensure_model(ctx.resolve_uri(config.model), ctx.cache_dir).path
    tokenizer = ChatTokenizer(model_dir)
    found = load(ctx)
    rows = {
        "train": found["train"][: config.train_rows],
        "validation": found["validation"][: config.validation_rows],
    }
    if not all(rows.values()):
        raise DataError("training needs rows in both splits, train and validation", "look at the snapshot's sizes")
    encoded = {split: encode(members, tokenizer, config.max_length) for split, members in rows.items()}
    checks = check_before_training(
        [*encoded["train"], *encoded["validation"]],
        render_empty(tokenizer),
        read_model_facts(model_dir),
        config,
        measure_free_memory(config),
    )
    checks.raise_if_failed()
    ctx.raise_if_stopped()
    job = TrainingJob(
        run_dir=ctx.run.root,
        stage=ctx.stage,
        step=ctx.step,
        model_dir=model_dir,
        config=config,
        num_steps=count_steps(len(rows["train"]), config),
        watchdog=DivergenceWatchdog(config.divergence_factor),
        started_at_s=started_at_s,
        num_threads=count_threads(config.num_workers),
        trainer=trainer,
    )
    for split, members in encoded.items():
        write_rows(job.work_dir / f"{split}.npz", [row.tokens for row in members])
    prepare_attempt(job)
    return PreparedTraining(job, checks, len(rows["train"]))
