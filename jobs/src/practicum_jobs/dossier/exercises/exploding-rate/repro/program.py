"""Gradient descent on a steep valley, watched by the platform's own watchdog."""

from __future__ import annotations

import json
import random
from pathlib import Path

import yaml

from practicum_jobs.training.divergence import DivergenceWatchdog


def get_rate(step: int, config: dict) -> float:
    warmup = config["steps"] * config["warmup_ratio"]
    return config["learning_rate"] * min((step + 1) / warmup, 1.0) if warmup else config["learning_rate"]


def train(rows: list[dict], config: dict) -> None:
    """Descend the loss x * w ** 4 / 4, whose slope is steep where w is far from 0."""
    generator, watchdog = random.Random(config["seed"]), DivergenceWatchdog(factor=3.0)
    weight = 1.0
    for step in range(config["steps"]):
        batch = generator.choices(rows, k=config["batch_size"])
        scale = sum(row["x"] for row in batch) / len(batch)
        loss, slope = scale * weight**4 / 4, scale * weight**3
        fault = watchdog.observe(step, loss, None)
        if fault is not None:
            raise FloatingPointError(fault.kind)
        weight -= get_rate(step, config) * slope


if __name__ == "__main__":
    train(
        [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()],
        yaml.safe_load(Path("config.yaml").read_text()),
    )
