"""Measures the stage `sft` beside a bare TRL script and prints one JSON line at the end.

Both are whole processes of the environment `train`, on SmolLM2-135M (or --model) and the same tickets, in turn.
Throughput is tokens
inside optimizer steps; start-up is from the start of the process to the start of training.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import yaml

from practicum_core.layout import RunLayout
from practicum_core.machine import get_cache_dir
from practicum_core.rows import Row
from practicum_core.stages.sft import SftRecord
from practicum_core.stages.snapshot import DataLock
from practicum_jobs.datasets.store import write_data_lock, write_split
from practicum_jobs.datasets.tickets import build_rows, read_ticket_options
from practicum_jobs.models.sources import ensure_model

OPTIONS = {
    "method": "lora",
    "batch_size": 8,
    "learning_rate": 1e-3,
    "lora_r": 16,
    "lora_alpha": 32,
    "max_length": 512,
    "seed": 7,
}


def main() -> None:
    options = read_options()
    model = ensure_model(options.model, get_cache_dir()).path
    rows = list(build_rows(read_ticket_options("rows=400&language=en&seed=7"), "train"))[: options.steps * 8]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="bench-sft-") as name:
        for turn in range(options.runs):
            theirs.append(run_bare(Path(name) / f"bare-{turn}", model, rows, options.steps))
            print(f"bare TRL  {turn}: {describe(theirs[-1])}", flush=True)
            ours.append(run_stage(Path(name) / f"stage-{turn}", model, rows, options.steps))
            print(f"practicum {turn}: {describe(ours[-1])}", flush=True)
    print(json.dumps({"bench": "sft", "results": compare(ours, theirs)}))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fine-tuning beside a bare TRL script.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--steps", type=int, default=10, help="optimizer steps of eight rows")
    parser.add_argument("--model", default="builtin:smollm2-135m")
    return parser.parse_args()


def run_bare(folder: Path, model: Path, rows: list[Row], steps: int) -> dict:
    folder.mkdir()
    table = [
        {
            "prompt": [message.model_dump() for message in row.messages],
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        for row in rows
    ]
    settings = {**OPTIONS, "max_steps": steps, "model": str(model), "output_dir": str(folder / "out"), "rows": table}
    (folder / "settings.json").write_text(json.dumps(settings))
    script = Path(__file__).with_name("bare_trl.py")
    started_s = start([str(script), str(folder / "settings.json"), str(folder / "result.json")], folder)
    result = json.loads((folder / "result.json").read_text())
    return {
        "startup_s": result["began_at_s"] - started_s,
        "tokens_per_s": result["num_tokens"] / result["step_s"],
        "loss": result["losses"][-1],
    }


def run_stage(folder: Path, model: Path, rows: list[Row], steps: int) -> dict:
    folder.mkdir()
    splits = {"train": write_split(rows, folder / "cache"), "validation": write_split(rows[:8], folder / "cache")}
    write_data_lock(RunLayout(folder), DataLock(uri="builtin:tickets", splits=splits))
    config = {**OPTIONS, "max_steps": steps, "model": str(model), "warmup_ratio": 0.0}
    config |= {"eval_steps": steps, "save_steps": steps, "num_sample_prompts": 0, "export_merged": False}
    (folder / "options.yaml").write_text(yaml.safe_dump(config))
    arguments = ["-m", "practicum_jobs", "sft", "--config", str(folder / "options.yaml"), "--run-dir", str(folder)]
    started_s = start(arguments, folder, {"PRACTICUM_CACHE": str(folder / "cache")})
    record = SftRecord.model_validate_json(RunLayout(folder).stage("sft").record.read_bytes())
    metrics = {metric.name: metric.value for metric in record.metrics}
    began_at_s = dt.datetime.fromisoformat(record.started_at).timestamp() + metrics["startup_s"]
    return {
        "startup_s": began_at_s - started_s,
        "tokens_per_s": metrics["tokens_per_s"],
        "loss": metrics["train_loss"],
    }


def start(arguments: list[str], folder: Path, extra: dict[str, str] | None = None) -> float:
    """Run a Python process to its end and return when it was started; its output goes to a file that errors show."""
    log = folder / "log.txt"
    started_s = time.time()
    with log.open("w") as handle:
        done = subprocess.run(
            [sys.executable, *arguments],
            stdout=handle,
            stderr=subprocess.STDOUT,
            env=os.environ | (extra or {}),
            check=False,
        )
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}:\n{log.read_text()[-3000:]}")
    return started_s


def describe(run: dict) -> str:
    return f"start-up {run['startup_s']:.1f} s, {run['tokens_per_s']:.0f} tokens/s, last loss {run['loss']:.4f}"


def compare(ours: list[dict], theirs: list[dict]) -> dict:
    def middle(runs: list[dict], name: str) -> float:
        return median(run[name] for run in runs)

    ratio = middle(ours, "tokens_per_s") / middle(theirs, "tokens_per_s")
    extra_s = middle(ours, "startup_s") - middle(theirs, "startup_s")
    gap = abs(middle(ours, "loss") - middle(theirs, "loss"))
    return {
        "throughput_ratio": {"value": round(ratio, 3), "unit": "", "goal": ">= 0.97", "met": ratio >= 0.97},
        "startup_extra": {"value": round(extra_s, 2), "unit": "s", "goal": "<= 15", "met": extra_s <= 15},
        "loss_difference": {"value": round(gap, 5), "unit": "nats per token", "goal": "<= 0.001", "met": gap <= 1e-3},
        "tokens_per_s": {"value": round(middle(ours, "tokens_per_s"), 1), "unit": "tokens/s"},
        "bare_tokens_per_s": {"value": round(middle(theirs, "tokens_per_s"), 1), "unit": "tokens/s"},
        "startup": {"value": round(middle(ours, "startup_s"), 2), "unit": "s"},
        "bare_startup": {"value": round(middle(theirs, "startup_s"), 2), "unit": "s"},
    }


if __name__ == "__main__":
    main()
