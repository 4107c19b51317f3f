"""A model of an engine's scheduler: requests are admitted, grow by a token a step, and are preempted without room."""

from __future__ import annotations

import math
from pathlib import Path

import yaml

PROMPT, ANSWER, NUM_REQUESTS = 48, 256, 96
MAX_STEPS = 20_000


def count_blocks(tokens: int, config: dict) -> int:
    return math.ceil(tokens / config["block_tokens"])


def simulate(config: dict) -> tuple[int, int]:
    """Return the tokens that were computed, and those of them that had been computed before."""
    capacity = config["num_blocks"] * config["block_tokens"]
    waiting, running, computed, again = [0] * NUM_REQUESTS, [], 0, 0
    for _ in range(MAX_STEPS):
        budget = config["max_num_batched_tokens"] - len(running)
        while waiting and len(running) < config["max_num_seqs"]:
            tokens = PROMPT + waiting[0]
            used = sum(count_blocks(PROMPT + made, config) for made in running) * config["block_tokens"]
            if used + tokens > capacity or tokens > budget:
                break
            budget -= tokens
            computed += tokens
            again += tokens if waiting[0] else 0
            running.append(waiting.pop(0))
        while sum(count_blocks(PROMPT + made + 1, config) for made in running) > config["num_blocks"]:
            waiting.insert(0, running.pop())  # the last one that came is preempted, and computed again later
        running = [made + 1 for made in running]
        computed += len(running)
        running = [made for made in running if made < ANSWER]
        if not waiting and not running:
            return computed, again
    raise RuntimeError("the requests do not end")


if __name__ == "__main__":
    computed, again = simulate(yaml.safe_load(Path("config.yaml").read_text()))
    if again > computed / 4:
        raise AssertionError("more than a quarter of the tokens were computed before")
