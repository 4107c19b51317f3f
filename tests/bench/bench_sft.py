"""Measures the stage `sft`, or `dpo`, beside a bare TRL script and prints one JSON line at the end.

Both are whole processes of the environment `train`, on SmolLM2-135M (or --model) and the same tickets, in turn; a pair
prefers the ticket's category to another. Throughput is tokens inside optimizer steps; start-up is from the start of the
process to the start of training.
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
from practicum_core.stages.snapshot import DataLock
from practicum_core.stages.training import TrainingRecord
from practicum_jobs.datasets.draws import Draw
from practicum_jobs.datasets.edits import give_other_answer
from practicum_jobs.datasets.store import write_data_lock, write_split
from practicum_jobs.datasets.tickets import build_rows, read_ticket_options
from practicum_jobs.models.sources import ensure_model

OPTIONS = {
    "method": "lora",
    "lora_r": 16,
    "lora_alpha": 32,
    "max_length": 512,
    "seed": 7,
}
STAGES = {"sft": {"batch_size": 8, "learning_rate": 1e-3}, "dpo": {"batch_size": 4, "learning_rate": 2e-5, "beta": 0.1}}


def main() -> None:
    options = read_options()
    model = ensure_model(options.model, get_cache_dir()).path
    settings = OPTIONS | STAGES[options.stage]
    rows = list(build_rows(read_ticket_options("rows=400&language=en&seed=7"), "train"))
    rows = rows[: options.steps * settings["batch_size"]]
    if options.stage == "dpo":
        rows = [row.model_copy(update={"rejected": give_other_answer(row, Draw(7))[0].answer}) for row in rows]
    settings["max_steps"] = options.steps
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="bench-sft-") as name:
        for turn in range(options.runs):
            theirs.append(run_bare(Path(name) / f"bare-{turn}", model, rows, settings))
            print(f"bare TRL  {turn}: {describe(theirs[-1])}", flush=True)
            ours.append(run_stage(Path(name) / f"stage-{turn}", model, rows, settings))
            print(f"practicum {turn}: {describe(ours[-1])}", flush=True)
    print(json.dumps({"bench": options.stage, "results": compare(ours, theirs)}))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fine-tuning beside a bare TRL script.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each, in turn")
    parser.add_argument("--stage", choices=sorted(STAGES), default="sft")
    parser.add_argument("--steps", type=int, default=10, help="optimizer steps of eight rows, or of four pairs")
    parser.add_argument("--model", default="builtin:smollm2-135m")
    return parser.parse_args()


def run_bare(folder: Path, model: Path, rows: list[Row], settings: dict) -> dict:
    folder.mkdir()
    told = {
        **settings,
        "model": str(model),
        "output_dir": str(folder / "out"),
        "rows": [build_line(row) for row in rows],
    }
    (folder / "settings.json").write_text(json.dumps(told))
    script = Path(__file__).with_name("bare_trl.py")
    started_s = start([str(script), str(folder / "settings.json"), str(folder / "result.json")], folder)
    result = json.loads((folder / "result.json").read_text())
    return {
        "startup_s": result["began_at_s"] - started_s,
        "tokens_per_s": result["num_tokens"] / result["step_s"],
        "loss": result["losses"][-1],
    }


def build_line(row: Row) -> dict:
    """Return a row as TRL's documentation shows it: a prompt with a completion, or with both sides of a pair."""
    prompt = [message.model_dump() for message in row.messages]
    answer, rejected = ([{"role": "assistant", "content": text}] for text in (row.answer, row.rejected))
    if row.rejected is None:
        return {"prompt": prompt, "completion": answer}
    return {"prompt": prompt, "chosen": answer, "rejected": rejected}


def run_stage(folder: Path, model: Path, rows: list[Row], settings: dict) -> dict:
    folder.mkdir()
    stage, steps = "dpo" if "beta" in settings else "sft", settings["max_steps"]
    splits = {"train": write_split(rows, folder / "cache"), "validation": write_split(rows[:8], folder / "cache")}
    write_data_lock(RunLayout(folder), DataLock(uri="builtin:tickets", splits=splits))
    config = {**settings, "model": str(model), "warmup_ratio": 0.0}
    config |= {"eval_steps": steps, "save_steps": steps, "num_sample_prompts": 0, "export_merged": False}
    (folder / "options.yaml").write_text(yaml.safe_dump(config))
    arguments = ["-m", "practicum_jobs", stage, "--config", str(folder / "options.yaml"), "--run-dir", str(folder)]
    started_s = start(arguments, folder, {"PRACTICUM_CACHE": str(folder / "cache")})
    record = TrainingRecord.model_validate(json.loads(RunLayout(folder).stage(stage).record.read_bytes()))
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
        "loss_difference": {"value": round(gap, 5), "unit": "nats", "goal": "<= 0.001", "met": gap <= 1e-3},
        "tokens_per_s": {"value": round(middle(ours, "tokens_per_s"), 1), "unit": "tokens/s"},
        "bare_tokens_per_s": {"value": round(middle(theirs, "tokens_per_s"), 1), "unit": "tokens/s"},
        "startup": {"value": round(middle(ours, "startup_s"), 2), "unit": "s"},
        "bare_startup": {"value": round(middle(theirs, "startup_s"), 2), "unit": "s"},
    }


if __name__ == "__main__":
    main()
