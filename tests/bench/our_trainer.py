"""The project's fine-tuning as the GPU bench runs it: the stage's own parts, in one process and without Ray.

python our_trainer.py SETTINGS.json RESULT.json
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from gpu_memory import read_peaks

from practicum_core.stages.sft import SftConfig, SftRecord
from practicum_jobs.adapters.local_training import train_in_this_process
from practicum_jobs.adapters.training_job import IGNORED, read_rows
from practicum_jobs.context import StageContext
from practicum_jobs.sft.stage import prepare
from practicum_jobs.training.conclusion import conclude_training


def main(settings_file: str, result_file: str) -> None:
    settings = json.loads(Path(settings_file).read_text())
    ctx = StageContext(Path(settings["run_dir"]), "sft", "sft", cache_dir=Path(settings["run_dir"]) / "cache")
    prepared = prepare(SftConfig(**settings["config"]), ctx)
    rows = read_rows(prepared.job.work_dir / "train.npz")
    outcome = train_in_this_process(prepared.job)
    peaks = read_peaks()
    conclude_training(SftRecord, prepared, ctx, outcome)
    logged = [json.loads(line) for line in ctx.layout.metrics.read_text().splitlines()]
    steps = [line for line in logged if "loss" in line]
    num_tokens = sum(len(row.input_ids) for row in rows)
    result = {
        "times_s": [line["time_s"] for line in steps],
        "num_tokens": [line["num_tokens"] for line in steps],
        "losses": [line["loss"] for line in steps],
        "peaks_gib": peaks,
        "estimate_gib": asdict(prepared.checks.memory) | {"total": prepared.checks.memory.total},
        "tokens_per_row": num_tokens / len(rows),
        "counted_ratio": sum(label != IGNORED for row in rows for label in row.labels) / num_tokens,
        "num_trainable_parameters": outcome.num_trainable_parameters,
    }
    Path(result_file).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
