"""The number of optimizer steps of a configuration. Pure."""

from __future__ import annotations

import math

from practicum_core.stages.training import TrainingConfig


def count_steps(num_rows: int, config: TrainingConfig) -> int:
    """Return the optimizer steps in total, as the trainer counts them.

    Each worker sees its share of the rows; the last, smaller batch of an epoch counts.

    >>> count_steps(480, TrainingConfig(learning_rate=1e-4, batch_size=8, num_epochs=1))
    60
    """
    if config.max_steps > 0:
        return config.max_steps
    batches = math.ceil(math.ceil(num_rows / config.num_workers) / config.batch_size)
    steps_per_epoch = max(math.ceil(batches / config.gradient_accumulation_steps), 1)
    return math.ceil(config.num_epochs * steps_per_epoch)
