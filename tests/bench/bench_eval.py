"""Speed of the statistics of an evaluation: bootstrap, permutation and clustered intervals on 10,000 items x 10 tasks.

Prints one JSON line at the end.
"""

from __future__ import annotations

import json
import time
from statistics import median

import numpy as np

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
    """Time each shape of scores; the goal is for right and wrong answers with and without clusters, and fractions."""
    results: dict[str, dict] = {}
    for name, (is_binary, is_clustered) in SHAPES.items():
        tasks = [draw_task(seed, is_binary=is_binary, is_clustered=is_clustered) for seed in range(NUM_TASKS)]
        runs = [measure(tasks) for _ in range(NUM_RUNS)]
        print(f"{name}: {', '.join(f'{run:.2f}' for run in runs)} s", flush=True)
        value = median(runs)
        goal = {"value": round(value, 3), "unit": "s", "goal": f"<= {GOAL_S:g}", "met": value <= GOAL_S}
        results[f"seconds_statistics_{name}"] = goal
    print(json.dumps({"bench": "eval", "results": results}))


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
