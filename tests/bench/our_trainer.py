"""The project's fine-tuning as the GPU bench runs it: the stage's own parts, in one process and without Ray."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from practicum_core.stages.sft import SftConfig, SftRecord
from practicum_jobs.adapters.local_training import train_in_this_process
from practicum_jobs.adapters.training_job import IGNORED, read_rows
from practicum_jobs.context import StageContext
from practicum_jobs.sft.stage import prepare
from practicum_jobs.training.conclusion import conclude_training


def train(run_dir: Path, config: dict) -> dict:
    ctx = StageContext(run_dir, "sft", "sft", cache_dir=run_dir / "cache")
    prepared = prepare(SftConfig(**config), ctx)
    rows = read_rows(prepared.job.work_dir / "train.npz")
    outcome = train_in_this_process(prepared.job)
    conclude_training(SftRecord, prepared, ctx, outcome)
    steps = [line for line in map(json.loads, ctx.layout.metrics.read_text().splitlines()) if "loss" in line]
    num_tokens = sum(len(row.input_ids) for row in rows)
    return {
        "logged_at_s": [line["time_s"] for line in steps],
        "logged_tokens": [line["num_tokens"] for line in steps],
        "losses": [line["loss"] for line in steps],
        "estimate_gib": asdict(prepared.checks.memory) | {"total": prepared.checks.memory.total},
        "tokens_per_row": num_tokens / len(rows),
        "counted_ratio": sum(label != IGNORED for row in rows for label in row.labels) / num_tokens,
        "num_trainable_parameters": outcome.num_trainable_parameters,
    }
