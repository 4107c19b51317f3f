"""One epoch over the rows, with a limit on the memory that the process may take."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import logits
import numpy as np
import yaml


def limit_memory(mebibytes: int) -> None:
    """Allow as much more than what the process has now; beyond that, an allocation fails."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (mebibytes << 20), resource.RLIM_INFINITY))


def train(rows: list[dict], config: dict) -> None:
    lengths = [min(row["num_tokens"], config["max_length"]) for row in rows]
    order = np.random.default_rng(config["seed"]).permutation(len(lengths)).tolist()
    for start in range(0, len(order), config["batch_size"]):
        batch = [lengths[at] for at in order[start : start + config["batch_size"]]]
        # A last, smaller batch is filled up, as a loader with drop_last=False and static shapes does.
        batch += [1] * (config["batch_size"] - len(batch))
        try:
            logits.compute_loss(batch, config)
        except MemoryError:
            raise MemoryError("no memory for the logits of a batch") from None


if __name__ == "__main__":
    config = yaml.safe_load(Path("config.yaml").read_text())
    limit_memory(config["memory_mib"])
    train([json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()], config)
