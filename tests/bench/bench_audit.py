"""Measures the audit: whole runs of 100,000 and 1,000,000 rows, and two steps beside their peers.

Two kinds of rows, both from the course's generators and in both languages: ``tickets``, one file of clean rows as the
course trains on; ``flawed``, the planted-flaws edition, whose rows are twice as long, every fourth flawed, with
evaluation splits to compare with. A whole run is a process of its own under the environment `base`, with the
tokenizer of SmolLM2, the clean copy and its second audit; its memory is the sum over the process and its workers of
their proportional set sizes (PSS), sampled. Steps and peers get the same shingles and the same texts of the flawed
edition; each measurement is the median of several, in turn. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import yaml

from practicum_core.machine import get_cache_dir
from practicum_core.rows import Row
from practicum_jobs.audit.content import build_content
from practicum_jobs.audit.places import build_record
from practicum_jobs.audit.scan import BATCH_ROWS
from practicum_jobs.datasets.sources import open_source
from practicum_jobs.datasets.tickets import build_rows, read_ticket_options
from practicum_jobs.text.duplicates import DuplicateIndex
from practicum_jobs.text.pii import find_pii
from practicum_jobs.text.shingles import Shingles, normalise_text, shingle_texts
from practicum_jobs.text.sketches import SketchSettings, sketch_shingles

GIB = 1 << 30
SAMPLE_S = 0.5


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory(prefix="bench-audit-") as name:
        folder = Path(name)
        results: dict[str, dict] = {}
        texts = read_texts(options.step_rows)
        results |= bench_near(texts, folder, options.runs)
        results |= bench_pii(texts, folder, options.runs)
        results |= bench_whole(folder, options)
    print(json.dumps({"bench": "audit", "results": results}))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The data audit beside datasketch and Presidio.")
    parser.add_argument("--runs", type=int, default=3, help="of each measurement")
    parser.add_argument("--rows", type=int, default=int(os.environ.get("BENCH_AUDIT_ROWS", "100000")))
    parser.add_argument("--large-rows", type=int, default=int(os.environ.get("BENCH_AUDIT_LARGE_ROWS", "1000000")))
    parser.add_argument("--step-rows", type=int, default=10_000, help="rows that steps and peers get")
    return parser.parse_args()


def get_uri(rows: int) -> str:
    return f"builtin:tickets-flawed?rows={rows}&language=both&seed=7"


def read_texts(count: int) -> list[str]:
    source = open_source(get_uri(count), get_cache_dir())
    return [build_content(row).dialogue for row in source.iter_split("train") if isinstance(row, Row)]


def run_peer(*arguments: str | Path) -> dict:
    peer = Path(__file__).with_name("audit_peers.py")
    done = subprocess.run([os.environ["PEERS"], peer, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def run_near(batches: list[Shingles], folder: Path) -> tuple[float, int]:
    """From shingles to verified duplicates, batch by batch as the audit does it, in one process."""
    settings = SketchSettings()
    num_rows = 0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        index = DuplicateIndex(settings, Path(name))
        for shingles in batches:
            exact = np.arange(num_rows, num_rows + len(shingles), dtype=np.uint64)
            index.add(sketch_shingles(exact, shingles, settings))
            num_rows += len(shingles)
        found = index.find()
    return time.perf_counter() - started, len(found.near)


def bench_near(texts: list[str], folder: Path, runs: int) -> dict[str, dict]:
    shingles = shingle_texts(texts, SketchSettings().ngram_words, SketchSettings().ngram_chars)
    np.savez(folder / "shingles.npz", hashes=shingles.hashes, offsets=shingles.offsets)
    batches = [
        shingle_texts(texts[start : start + BATCH_ROWS], SketchSettings().ngram_words, SketchSettings().ngram_chars)
        for start in range(0, len(texts), BATCH_ROWS)
    ]
    ours, theirs = [], []
    for turn in range(runs):
        theirs.append(run_peer("near", folder / "shingles.npz"))
        seconds, num_flagged = run_near(batches, folder)
        ours.append(seconds)
        print(
            f"near duplicates {turn}: {theirs[-1]}; practicum {seconds:.3f} s, {num_flagged} rows",
            flush=True,
        )
    speedup = median(run["seconds"] for run in theirs) / median(ours)
    rows = len(texts)
    return {
        "near_duplicate_speedup": report(speedup, "x", ">= 20", met=speedup >= 20),
        "near_duplicate_us_per_row": report(1e6 * median(ours) / rows, "us"),
        "datasketch_us_per_row": report(1e6 * median(run["seconds"] for run in theirs) / rows, "us"),
    }


def bench_pii(texts: list[str], folder: Path, runs: int) -> dict[str, dict]:
    sample = texts[: max(len(texts) // 5, 1)]
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps(text) + "\n" for text in sample), encoding="utf-8")
    # The audit has the normalised text at hand, which it compares rows by.
    pairs = [(text, normalise_text(text)) for text in sample]
    ours, theirs = [], []
    for turn in range(runs):
        theirs.append(run_peer("pii", file))
        started = time.perf_counter()
        num_rows = sum(bool(find_pii(text, normalised)) for text, normalised in pairs)
        ours.append(time.perf_counter() - started)
        print(f"personal data {turn}: presidio {theirs[-1]}, practicum {ours[-1]:.3f} s, {num_rows} rows", flush=True)
    speedup = median(run["seconds"] for run in theirs) / median(ours)
    return {
        "pii_speedup": report(speedup, "x", ">= 5", met=speedup >= 5),
        "pii_us_per_row": report(1e6 * median(ours) / len(sample), "us"),
        "presidio_us_per_row": report(1e6 * median(run["seconds"] for run in theirs) / len(sample), "us"),
    }


def write_tickets(rows: int, path: Path) -> str:
    with path.open("w", encoding="utf-8") as handle:
        for row in build_rows(read_ticket_options(f"rows={rows}&language=both"), "train"):
            handle.write(json.dumps(build_record(row), ensure_ascii=False) + "\n")
    return str(path)


def run_whole(folder: Path, data: str) -> tuple[float, float]:
    """Run the stage in a process; return seconds from start to exit and the peak of its memory in GiB."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    command = [sys.executable, "-m", "practicum_jobs", "audit", "--config", folder / "config.yaml", "--run-dir", folder]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, measure_memory(process.pid))
        time.sleep(SAMPLE_S)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"the audit of {data} ended with {process.returncode}")
    return seconds, peak / GIB


def measure_memory(pid: int) -> int:
    """Return the PSS of a process and all below it, in bytes."""
    try:
        pids = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return 0
    return sum(read_pss(one) for one in pids)


def read_pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def bench_whole(folder: Path, options: argparse.Namespace) -> dict[str, dict]:
    open_source(get_uri(options.rows), get_cache_dir())
    data = {"tickets": write_tickets(options.rows, folder / "tickets.jsonl"), "flawed": get_uri(options.rows)}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in data}
    for turn in range(options.runs):
        for name, uri in data.items():
            runs[name].append(run_whole(folder / f"{name}-{turn}", uri))
            print(f"{options.rows:,} rows, {name} {turn}: {describe(runs[name][-1])}", flush=True)
    large = run_whole(folder / "large", write_tickets(options.large_rows, folder / "large.jsonl"))
    print(f"{options.large_rows:,} rows, tickets: {describe(large)}", flush=True)
    results: dict[str, dict] = {}
    for name, measured in runs.items():
        seconds, peak = median(run[0] for run in measured), max(run[1] for run in measured)
        results[f"seconds_100k_{name}"] = report(seconds, "s", "<= 20", met=seconds <= 20)
        results[f"memory_100k_{name}"] = report(peak, "GiB", "<= 1.5", met=peak <= 1.5)
    growth = large[1] / max(run[1] for run in runs["tickets"])
    return results | {
        "seconds_1m_tickets": report(large[0], "s"),
        "memory_1m_tickets": report(large[1], "GiB", "<= 1.5", met=large[1] <= 1.5),
        "memory_growth_100k_to_1m": report(growth, "x"),
    }


def describe(run: tuple[float, float]) -> str:
    return f"{run[0]:.1f} s, {run[1]:.2f} GiB"


def report(value: float, unit: str, goal: str = "", *, met: bool | None = None) -> dict:
    figure: dict = {"value": round(value, 3), "unit": unit}
    return {**figure, "goal": goal, "met": met} if goal else figure


if __name__ == "__main__":
    main()
