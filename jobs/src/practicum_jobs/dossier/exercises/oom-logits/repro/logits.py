"""The loss of a batch by way of its logits: the part of training that takes the most memory."""

from __future__ import annotations

import numpy as np


def compute_loss(lengths: list[int], config: dict) -> float:
    """Return the mean loss of a batch of rows with these numbers of tokens, of which one in eight counts."""
    num_tokens = max(lengths)  # every row is padded to the longest
    logits = np.zeros((len(lengths), num_tokens, config["vocabulary"]), dtype=np.float32)
    logits += 1.0  # what the model would write there
    counted = logits[:, ::8]
    return float(np.mean(np.log(np.exp(counted).sum(axis=-1)) - counted[..., 0]))
