"""Measures the audit: whole runs of 100,000 and 1,000,000 rows, and two steps beside their peers.

Rows are those of the planted-flaws edition in both languages. A whole run is a process of its own under the
environment `base`, with the tokenizer of SmolLM2, the clean copy and its second audit; its memory is the sum over the
process and its workers of what each holds alone plus its share of what is shared (PSS), sampled. Steps and peers get
the same shingles and the same texts; each measurement is the median of several, in turn. The last line is JSON.
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

from practicum_core.rows import Row
from practicum_jobs.audit.content import build_content
from practicum_jobs.audit.scan import BATCH_ROWS
from practicum_jobs.context import get_cache_dir
from practicum_jobs.datasets.sources import open_source
from practicum_jobs.text.duplicates import DuplicateIndex
from practicum_jobs.text.pii import find_pii
from practicum_jobs.text.shingles import Shingles, shingle_texts
from practicum_jobs.text.sketches import SketchSettings, sketch_shingles

GIB = 1 << 30
SAMPLE_S = 0.2


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
    return time.perf_counter() - started, int(found.is_near.sum())


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
            f"near duplicates {turn}: datasketch {theirs[-1]}, practicum {seconds:.3f} s, {num_flagged} rows",
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
    ours, theirs = [], []
    for turn in range(runs):
        theirs.append(run_peer("pii", file))
        started = time.perf_counter()
        num_rows = sum(bool(find_pii(text)) for text in sample)
        ours.append(time.perf_counter() - started)
        print(f"personal data {turn}: presidio {theirs[-1]}, practicum {ours[-1]:.3f} s, {num_rows} rows", flush=True)
    speedup = median(run["seconds"] for run in theirs) / median(ours)
    return {
        "pii_speedup": report(speedup, "x", ">= 5", met=speedup >= 5),
        "pii_us_per_row": report(1e6 * median(ours) / len(sample), "us"),
        "presidio_us_per_row": report(1e6 * median(run["seconds"] for run in theirs) / len(sample), "us"),
    }


def run_whole(folder: Path, rows: int) -> tuple[float, float]:
    """Run the stage in a process; return seconds from start to exit and the peak of its memory in GiB."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": get_uri(rows)}))
    command = [sys.executable, "-m", "practicum_jobs", "audit", "--config", folder / "config.yaml", "--run-dir", folder]
    started = time.perf_counter()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, measure_memory(process.pid))
        time.sleep(SAMPLE_S)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"the audit of {rows} rows ended with {process.returncode}")
    return seconds, peak / GIB


def measure_memory(pid: int) -> int:
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def bench_whole(folder: Path, options: argparse.Namespace) -> dict[str, dict]:
    for rows in (options.rows, options.large_rows):
        open_source(get_uri(rows), get_cache_dir())
    times, peaks = [], []
    for turn in range(options.runs):
        seconds, peak = run_whole(folder / f"run-{turn}", options.rows)
        times.append(seconds)
        peaks.append(peak)
        print(f"{options.rows:,} rows {turn}: {seconds:.1f} s, {peak:.2f} GiB", flush=True)
    large_s, large_peak = run_whole(folder / "large", options.large_rows)
    print(f"{options.large_rows:,} rows: {large_s:.1f} s, {large_peak:.2f} GiB", flush=True)
    return {
        "seconds_100k": report(median(times), "s", "<= 20", met=median(times) <= 20),
        "peak_memory_100k": report(max(peaks), "GiB", "<= 1.5", met=max(peaks) <= 1.5),
        "peak_memory_1m": report(large_peak, "GiB", "<= 1.5", met=large_peak <= 1.5),
        "seconds_1m": report(large_s, "s"),
        "memory_growth": report(large_peak / max(peaks), "x"),
    }


def report(value: float, unit: str, goal: str = "", *, met: bool | None = None) -> dict:
    figure: dict = {"value": round(value, 3), "unit": unit}
    return {**figure, "goal": goal, "met": met} if goal else figure


if __name__ == "__main__":
    main()
