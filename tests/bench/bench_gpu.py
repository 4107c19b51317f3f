"""Measures fine-tuning on a GPU beside a bare TRL script and prints one JSON line at the end.

A random model in the shape of Qwen2.5-0.5B is tuned in bfloat16 on the same tickets, whole (`full`) and with an adapter
(`lora`): by the project's trainer in one process without Ray, and by TRL alone. Each run is a process of its own, in
turn. Throughput is tokens between the logs of two steps, the first steps left out. Without a GPU nothing is measured
unless --size names a model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median

from practicum_core.layout import RunLayout
from practicum_core.machine import list_gpus
from practicum_core.rows import Row
from practicum_core.stages.snapshot import DataLock
from practicum_jobs.datasets.store import write_data_lock, write_split
from practicum_jobs.datasets.tickets import build_rows, read_ticket_options

HERE = Path(__file__).parent
METHODS = {"full": 1e-4, "lora": 1e-3}
"""Learning rates under which a random model learns the tickets' form within the steps. Another method is a row here
and a case in the two trainers' scripts."""
OPTIONS = {"lora_r": 16, "lora_alpha": 32, "max_length": 512, "seed": 7}
WARMUP = 5
"""Steps before the first that is timed: kernels are compiled and memory is taken in them."""


def main() -> None:
    options = read_options()
    if options.size is None and not list_gpus():
        print(json.dumps({"bench": "gpu", "results": {}, "not_run": "no GPU; --size tiny runs on a CPU"}))
        return
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as name:
        results, machine = measure(Path(name), options, began_s)
    seconds = time.monotonic() - began_s
    results["duration"] = {"value": round(seconds, 1), "unit": "s", "goal": "<= 240", "met": seconds <= 240}
    print(json.dumps({"bench": "gpu", "machine": machine, "results": results}))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fine-tuning on a GPU beside a bare TRL script.")
    parser.add_argument("--size", choices=["half-billion", "tiny"], help="half-billion where there is a GPU")
    parser.add_argument("--runs", type=int, default=2, help="runs of each at most, in turn")
    parser.add_argument("--steps", type=int, default=40, help="optimizer steps")
    parser.add_argument("--batch-size", type=int, default=32, help="rows of about 300 tokens in a step")
    parser.add_argument("--budget-s", type=float, default=200, help="no further round is begun that would end later")
    return parser.parse_args()


def measure(folder: Path, options: argparse.Namespace, began_s: float) -> tuple[dict, dict]:
    model = folder / "model"
    machine = run_script("gpu_model.py", options.size or "half-billion", str(model))
    print(f"{machine['device']}, {machine['versions']}", flush=True)
    rows = build_ticket_rows(options.steps * options.batch_size)
    settings = {**OPTIONS, "batch_size": options.batch_size, "max_steps": options.steps, "model": str(model)}
    ours: dict[str, list[dict]] = {method: [] for method in METHODS}
    theirs: dict[str, list[dict]] = {method: [] for method in METHODS}
    longest_s = 0.0
    for turn in range(options.runs):
        round_began_s = time.monotonic()
        if turn and round_began_s - began_s + longest_s > options.budget_s:
            print(f"no time for round {turn}", flush=True)
            break
        for method, rate in METHODS.items():
            chosen = {**settings, "method": method, "learning_rate": rate}
            theirs[method].append(run_bare(folder / f"bare-{method}-{turn}", chosen, rows))
            ours[method].append(run_ours(folder / f"ours-{method}-{turn}", chosen, rows))
        longest_s = max(longest_s, time.monotonic() - round_began_s)
    results = {}
    for method in METHODS:
        found = compare(ours[method], theirs[method], machine, method)
        results |= {f"{method}_{figure}": value for figure, value in found.items()}
    return results, {name: machine[name] for name in ("device", "versions")} | {"runs": len(ours["full"])}


def build_ticket_rows(count: int) -> list[Row]:
    return list(build_rows(read_ticket_options(f"rows={max(count, 200)}&language=en&seed=7"), "train"))[:count]


def run_bare(folder: Path, settings: dict, rows: list[Row]) -> dict:
    folder.mkdir()
    table = [
        {
            "prompt": [message.model_dump() for message in row.messages],
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        for row in rows
    ]
    (folder / "settings.json").write_text(json.dumps({**settings, "output_dir": str(folder / "out"), "rows": table}))
    run_script("bare_trl.py", str(folder / "settings.json"), str(folder / "result.json"))
    result = json.loads((folder / "result.json").read_text())
    result |= {"times_s": result["logged_at_s"], "num_tokens": result["logged_tokens"]}
    return describe("bare TRL", settings["method"], result)


def run_ours(folder: Path, settings: dict, rows: list[Row]) -> dict:
    folder.mkdir()
    splits = {"train": write_split(rows, folder / "cache"), "validation": write_split(rows[:32], folder / "cache")}
    write_data_lock(RunLayout(folder), DataLock(uri="builtin:tickets", splits=splits))
    steps = settings["max_steps"]
    config = {**settings, "warmup_ratio": 0.0, "eval_steps": steps, "save_steps": steps, "num_sample_prompts": 0}
    config |= {"keep_checkpoints": 1, "export_merged": False}
    (folder / "settings.json").write_text(json.dumps({"run_dir": str(folder), "config": config}))
    run_script("our_trainer.py", str(folder / "settings.json"), str(folder / "result.json"))
    result = json.loads((folder / "result.json").read_text())
    shutil.rmtree(folder)  # full tuning leaves 8 GB of checkpoint and export
    return describe("practicum", settings["method"], result)


def run_script(name: str, *arguments: str) -> dict:
    """Run a script of this folder to its end; return what its last line says, where that is an object of JSON."""
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(HERE / name), *arguments], capture_output=True, text=True, env=os.environ, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{name} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    print(f"{name}: {time.monotonic() - began_s:.1f} s", flush=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"')]
    return json.loads(lines[-1]) if lines else {}


def describe(who: str, method: str, result: dict) -> dict:
    """Add the throughput after the first steps, and say what a run measured."""
    first = min(WARMUP, len(result["times_s"]) - 1) - 1
    tokens = result["num_tokens"][-1] - result["num_tokens"][first]
    result["tokens_per_s"] = tokens / (result["times_s"][-1] - result["times_s"][first])
    peaks = {name: round(value, 2) for name, value in result["peaks_gib"].items()}
    text = f"{result['tokens_per_s']:.0f} tokens/s, loss {result['losses'][0]:.4f} to {result['losses'][-1]:.4f}"
    print(f"{who}, {method}: {text}, GiB {peaks}", flush=True)
    if "estimate_gib" in result:
        print(
            f"  estimated GiB { ({name: round(value, 2) for name, value in result['estimate_gib'].items()}) }",
            flush=True,
        )
    return result


def compare(ours: list[dict], theirs: list[dict], machine: dict, method: str) -> dict:
    rate = median(run["tokens_per_s"] for run in ours)
    bare_rate = median(run["tokens_per_s"] for run in theirs)
    gap = max(abs(mine - other) for mine, other in zip(ours[0]["losses"][-5:], theirs[0]["losses"][-5:], strict=True))
    ratio, flops = rate / bare_rate, rate * count_flops(ours[0], machine, method)
    results = {
        "throughput_ratio": {"value": round(ratio, 3), "unit": "", "goal": ">= 0.97", "met": ratio >= 0.97},
        "loss_difference": {"value": round(gap, 5), "unit": "nats per token", "goal": "<= 0.02", "met": gap <= 0.02},
        "loss_drop": {
            "value": round(ours[0]["losses"][0] - fmean(ours[0]["losses"][-5:]), 3),
            "unit": "nats per token",
        },
        "tokens_per_s": {"value": round(rate), "unit": "tokens/s"},
        "bare_tokens_per_s": {"value": round(bare_rate), "unit": "tokens/s"},
        "model_flops": {"value": round(flops / 1e12, 6), "unit": "TFLOP/s"},
    }
    if machine["peak_flops"]:
        results["mfu"] = {"value": round(flops / machine["peak_flops"], 4), "unit": ""}
    return results | compare_memory(ours, theirs)


def count_flops(run: dict, machine: dict, method: str) -> float:
    """Return the operations that training must do for one token.

    The backward pass costs two forward passes, one of them for the gradients of weights, which frozen weights do not
    need. The head is needed where a token counts in the loss only.
    """
    forward = machine["layer_flops"] + machine["attention_flops_per_length"] * run["tokens_per_row"]
    forward += machine["head_flops"] * run["counted_ratio"]
    return 3 * forward if method == "full" else 2 * forward + 6 * run["num_trainable_parameters"]


def compare_memory(ours: list[dict], theirs: list[dict]) -> dict:
    """Compare peaks with each other and with the estimate that the checks before training refuse a run by."""
    peak, bare_peak = (max(get_peak(run["peaks_gib"]) for run in runs) for runs in (ours, theirs))
    estimate = ours[0]["estimate_gib"]["total"]
    ratio = estimate / peak
    return {
        "peak_memory": {"value": round(peak, 2), "unit": "GiB"},
        "bare_peak_memory": {"value": round(bare_peak, 2), "unit": "GiB"},
        "estimated_memory": {"value": round(estimate, 2), "unit": "GiB"},
        "estimate_ratio": {"value": round(ratio, 2), "unit": "", "goal": "0.9 to 1.5", "met": 0.9 <= ratio <= 1.5},
    }


def get_peak(peaks: dict) -> float:
    """Return what the run needs of the GPU, CUDA's own part included; without a GPU, of the machine."""
    return peaks["allocated"] + peaks["context"] if "allocated" in peaks else peaks["rss"]


if __name__ == "__main__":
    main()
