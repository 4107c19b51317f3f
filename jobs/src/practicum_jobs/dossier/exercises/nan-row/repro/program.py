"""Training of a model of word pairs, small enough to read: what the exercise runs."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import loss
import numpy as np
import yaml

VOCABULARY = 64


def encode(text: str) -> list[int]:
    return [zlib.crc32(word.encode()) % VOCABULARY for word in text.split()]


def read_rows(config: dict) -> list[loss.Row]:
    rows = []
    for line in Path("rows.jsonl").read_text().splitlines():
        row = json.loads(line)
        prompt, answer = encode(row["prompt"]), encode(row["answer"])
        tokens = (prompt + answer)[: config["max_length"]]
        counts = ([False] * len(prompt) + [True] * len(answer))[: config["max_length"]]
        rows.append(loss.Row(tokens, counts))
    return rows


def train(rows: list[loss.Row], config: dict) -> None:
    weights = np.zeros((VOCABULARY, VOCABULARY))
    generator = np.random.default_rng(config["seed"])
    for step in range(config["steps"]):
        batch = [rows[at] for at in generator.permutation(len(rows))[: config["batch_size"]]]
        value, gradient = loss.compute(weights, batch)
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss became {value} at step {step}")
        weights -= config["learning_rate"] * gradient


if __name__ == "__main__":
    config = yaml.safe_load(Path("config.yaml").read_text())
    np.seterr(all="ignore")
    train(read_rows(config), config)
