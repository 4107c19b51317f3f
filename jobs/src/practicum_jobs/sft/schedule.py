"""Decides how many optimizer steps a configuration means. Pure."""

from __future__ import annotations

import math

from practicum_core.stages.sft import SftConfig


def count_steps(num_rows: int, config: SftConfig) -> int:
    """Return the optimizer steps in total, as the trainer counts them.

    Each worker sees its share of the rows; the last, smaller batch of an epoch counts.

    >>> count_steps(480, SftConfig(batch_size=8, num_epochs=1)), count_steps(480, SftConfig(max_steps=20))
    (60, 20)
    """
    if config.max_steps > 0:
        return config.max_steps
    batches = math.ceil(math.ceil(num_rows / config.num_workers) / config.batch_size)
    steps_per_epoch = max(math.ceil(batches / config.gradient_accumulation_steps), 1)
    return math.ceil(config.num_epochs * steps_per_epoch)


def count_warmup_steps(num_steps: int, config: SftConfig) -> int:
    """Return the steps over which the learning rate rises.

    >>> count_warmup_steps(60, SftConfig(warmup_ratio=0.05))
    3
    """
    return math.ceil(num_steps * config.warmup_ratio)
