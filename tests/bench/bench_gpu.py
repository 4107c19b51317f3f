"""Measures fine-tuning on a GPU beside a bare TRL script and prints one JSON line at the end.

A random model in the shape of Qwen2.5-0.5B is tuned in bfloat16 on the same tickets, whole (`full`) and with an adapter
(`lora`): by the project's trainer without Ray, and by TRL alone. All runs are in one process, since importing the
libraries takes longer than a run; each round takes the two trainers in the other order. Throughput is the median over
steps, the first ones left out, then over rounds. Without a GPU nothing is measured unless --size names a model.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import shutil
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

METHODS = {"full": 1e-4, "lora": 1e-3}
"""Learning rates under which a random model learns the tickets' form within the steps. Another method is a row here
and a case in the two trainers' modules."""
OPTIONS = {"lora_r": 16, "lora_alpha": 32, "max_length": 512, "seed": 7}
WARMUP = 10
"""Steps before the first that is timed: in them kernels are compiled and the allocator takes its memory."""
GIB = 2**30


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
    parser.add_argument("--rounds", type=int, default=2, help="runs of each at most")
    parser.add_argument("--steps", type=int, default=40, help="optimizer steps")
    parser.add_argument("--batch-size", type=int, default=64, help="rows of about 330 tokens in a step")
    parser.add_argument("--budget-s", type=float, default=225, help="no further round is begun that would end later")
    return parser.parse_args()


def measure(folder: Path, options: argparse.Namespace, began_s: float) -> tuple[dict, dict]:
    import gpu_model  # noqa: PLC0415 - torch, only where something is measured

    config = gpu_model.build_model(options.size or "half-billion", folder / "model")
    machine = gpu_model.describe_machine(config)
    print(f"{time.monotonic() - began_s:.1f} s: {machine['device']}, {machine['versions']}", flush=True)
    rows = build_ticket_rows(options.steps * options.batch_size)
    settings = {**OPTIONS, "batch_size": options.batch_size, "max_steps": options.steps, "model": str(folder / "model")}
    runs: dict[tuple[str, str], list[dict]] = {(who, method): [] for who in ("bare", "ours") for method in METHODS}
    first = {**settings, "max_steps": min(WARMUP, options.steps), "method": "full", "learning_rate": METHODS["full"]}
    run_once("bare", folder / "first", first, rows)  # not counted: the first run of a process is slower throughout
    longest_s = 0.0
    for turn in range(options.rounds):
        round_began_s = time.monotonic()
        if turn and round_began_s - began_s + longest_s > options.budget_s:
            print(f"no time for round {turn}", flush=True)
            break
        for method, rate in METHODS.items():
            for who in ("bare", "ours") if turn % 2 == 0 else ("ours", "bare"):
                chosen = {**settings, "method": method, "learning_rate": rate}
                runs[who, method].append(run_once(who, folder / f"{who}-{method}-{turn}", chosen, rows))
        longest_s = max(longest_s, time.monotonic() - round_began_s)
    results = {}
    for method in METHODS:
        found = compare(runs["ours", method], runs["bare", method], machine, method)
        results |= {f"{method}_{figure}": value for figure, value in found.items()}
    rounds = len(runs["ours", "full"])
    return results, {name: machine[name] for name in ("device", "versions")} | {"rounds": rounds}


def build_ticket_rows(count: int) -> list[Row]:
    return list(build_rows(read_ticket_options(f"rows={max(count, 200)}&language=en&seed=7"), "train"))[:count]


def run_once(who: str, folder: Path, settings: dict, rows: list[Row]) -> dict:
    """Train once and say what was measured; nothing of the run stays in memory or on the disk."""
    import torch  # noqa: PLC0415 - as above

    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.reset_peak_memory_stats()
    torch.use_deterministic_algorithms(mode=False)  # the project's trainer switches them on where it has no GPU
    began_s = time.monotonic()
    folder.mkdir()
    with contextlib.redirect_stdout(io.StringIO()):  # transformers prints every step
        result = (train_ours if who == "ours" else train_bare)(folder, settings, rows)
    shutil.rmtree(folder)  # full tuning leaves 8 GB of checkpoint and export
    times_s, tokens = result["logged_at_s"], result["logged_tokens"]
    first = min(WARMUP, len(times_s) // 2)
    rates = [
        (tokens[at] - tokens[at - 1]) / (times_s[at] - times_s[at - 1])
        for at in range(first, len(times_s))
        if times_s[at] > times_s[at - 1]
    ]
    result["tokens_per_s"] = median(rates)
    result["peaks_gib"] = read_peaks() if has_gpu else {}
    gc.collect()
    if has_gpu:
        torch.cuda.empty_cache()
        result["peaks_gib"]["left_over"] = torch.cuda.memory_allocated() / GIB
    print(
        f"{who} {settings['method']}: {time.monotonic() - began_s:.1f} s, {median(rates):.0f} tokens/s "
        f"({min(rates):.0f} to {max(rates):.0f}), loss {result['losses'][0]:.4f} to {result['losses'][-1]:.4f}",
        flush=True,
    )
    for name in ("peaks_gib", "estimate_gib"):
        if result.get(name):
            print(f"  {name}: { ({part: round(value, 2) for part, value in result[name].items()}) }", flush=True)
    return result


def train_bare(folder: Path, settings: dict, rows: list[Row]) -> dict:
    import bare_trl  # noqa: PLC0415 - as above

    table = [
        {
            "prompt": [message.model_dump(exclude_none=True) for message in row.messages],
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        for row in rows
    ]
    return bare_trl.train({**settings, "output_dir": str(folder / "out"), "rows": table})


def train_ours(folder: Path, settings: dict, rows: list[Row]) -> dict:
    import our_trainer  # noqa: PLC0415 - as above

    splits = {"train": write_split(rows, folder / "cache"), "validation": write_split(rows[:32], folder / "cache")}
    write_data_lock(RunLayout(folder), DataLock(uri="builtin:tickets", splits=splits))
    steps = settings["max_steps"]
    config = {**settings, "warmup_ratio": 0.0, "eval_steps": steps, "save_steps": steps, "num_sample_prompts": 0}
    return our_trainer.train(folder, {**config, "keep_checkpoints": 1, "export_merged": False})


def read_peaks() -> dict[str, float]:
    """Return GiB of the GPU: peak of tensors, peak of what torch held, and CUDA's own part."""
    import torch  # noqa: PLC0415 - as above

    free, total = torch.cuda.mem_get_info()
    return {
        "allocated": torch.cuda.max_memory_allocated() / GIB,
        "reserved": torch.cuda.max_memory_reserved() / GIB,
        "context": (total - free - torch.cuda.memory_reserved()) / GIB,
    }


def compare(ours: list[dict], theirs: list[dict], machine: dict, method: str) -> dict:
    rate, bare_rate = (median(run["tokens_per_s"] for run in runs) for runs in (ours, theirs))
    loss, bare_loss = (fmean(runs[0]["losses"][-5:]) for runs in (ours, theirs))
    gap, ratio = abs(loss - bare_loss), rate / bare_rate
    flops = rate * count_flops(ours[0], machine, method)
    results = {
        "throughput_ratio": {"value": round(ratio, 3), "unit": "", "goal": ">= 0.97", "met": ratio >= 0.97},
        "loss_difference": {"value": round(gap, 5), "unit": "nats per token", "goal": "<= 0.02", "met": gap <= 0.02},
        "loss_drop": {"value": round(ours[0]["losses"][0] - loss, 3), "unit": "nats per token"},
        "tokens_per_s": {"value": round(rate), "unit": "tokens/s"},
        "bare_tokens_per_s": {"value": round(bare_rate), "unit": "tokens/s"},
        "model_flops": {"value": round(flops / 1e12, 6), "unit": "TFLOP/s"},
        "estimated_memory": {"value": round(ours[0]["estimate_gib"]["total"], 2), "unit": "GiB"},
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
    """Compare peaks on the GPU with each other and with the estimate by which the checks refuse a run."""
    if not ours[0]["peaks_gib"]:
        return {}
    peak, bare_peak = (
        max(run["peaks_gib"]["allocated"] + run["peaks_gib"]["context"] for run in runs) for runs in (ours, theirs)
    )
    ratio = ours[0]["estimate_gib"]["total"] / peak
    return {
        "peak_memory": {"value": round(peak, 2), "unit": "GiB"},
        "bare_peak_memory": {"value": round(bare_peak, 2), "unit": "GiB"},
        "estimate_ratio": {"value": round(ratio, 2), "unit": "", "goal": "0.9 to 1.5", "met": 0.9 <= ratio <= 1.5},
    }


if __name__ == "__main__":
    main()
