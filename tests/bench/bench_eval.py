"""Speed of an evaluation: its statistics on 10,000 items x 10 tasks, and 500 items on SmolLM2 by vLLM beside lm-eval.

python bench_eval.py [statistics|engines] runs one half, without an argument both. Prints one JSON line at the end.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from bench_eval_engines import measure_engines

from practicum_jobs.scoring.intervals import Bootstrap
from practicum_jobs.scoring.paired import (
    PairedOutcomes,
    bootstrap_bca,
    estimate_difference_of_means,
    permute_signs,
)

NUM_ITEMS, NUM_TASKS, NUM_CLUSTERS, NUM_RESAMPLES, NUM_RUNS = 10_000, 10, 200, 9999, 3
GOAL_S = 5.0
SHAPES = {"clustered": (True, True), "independent": (True, False), "fractional": (False, False)}


def main() -> None:
    """Measure the halves that the command line names."""
    halves = sys.argv[1:] or ["statistics", "engines"]
    results = measure_statistics() if "statistics" in halves else {}
    if "engines" in halves:
        with tempfile.TemporaryDirectory(prefix="bench-eval-", dir=os.environ.get("BENCH_FOLDER")) as folder:
            results |= measure_engines(Path(folder))
    print(json.dumps({"bench": "eval", "results": results}))


def measure_statistics() -> dict[str, dict]:
    """Time each shape of scores; the goal is for right and wrong answers with and without clusters, and fractions."""
    results: dict[str, dict] = {}
    for name, (is_binary, is_clustered) in SHAPES.items():
        tasks = [draw_task(seed, is_binary=is_binary, is_clustered=is_clustered) for seed in range(NUM_TASKS)]
        runs = [measure(tasks) for _ in range(NUM_RUNS)]
        print(f"{name}: {', '.join(f'{run:.2f}' for run in runs)} s", flush=True)
        value = median(runs)
        goal = {"value": round(value, 3), "unit": "s", "goal": f"<= {GOAL_S:g}", "met": value <= GOAL_S}
        results[f"seconds_statistics_{name}"] = goal
    return results


def draw_task(seed: int, *, is_binary: bool, is_clustered: bool) -> PairedOutcomes:
    """Return one task: scores of two models, right and wrong or fractions."""
    generator = np.random.default_rng(seed)
    scores = generator.random((2, NUM_ITEMS))
    if is_binary:
        scores = (scores < np.array([[0.6], [0.62]])).astype(float)
    clusters = [f"template-{place % NUM_CLUSTERS}" for place in range(NUM_ITEMS)] if is_clustered else []
    return PairedOutcomes(scores[0].tolist(), scores[1].tolist(), clusters)


def measure(tasks: list[PairedOutcomes]) -> float:
    """Return the seconds of all procedures on all tasks."""
    started = time.perf_counter()
    for task in tasks:
        estimate_difference_of_means(task)
        permute_signs(task, Bootstrap(NUM_RESAMPLES))
        bootstrap_bca(task, Bootstrap(NUM_RESAMPLES))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
