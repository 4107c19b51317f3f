"""The loss of a batch: the negative log-likelihood of the tokens of the answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Row:
    tokens: list[int]
    counts: list[bool]
    """Whether each token counts in the loss: those of the answer do."""


def compute(weights: np.ndarray, batch: list[Row]) -> tuple[float, np.ndarray]:
    """Return the loss, the mean over all tokens that count, and its gradient; rows without such a token add nothing."""
    num_tokens = max(sum(sum(row.counts[1:]) for row in batch), 1)
    value, gradient = 0.0, np.zeros_like(weights)
    for row in batch:
        pairs = [
            (before, token)
            for before, token, counts in zip(row.tokens, row.tokens[1:], row.counts[1:], strict=False)
            if counts
        ]
        losses = []
        for before, token in pairs:
            shifted = np.exp(weights[before] - weights[before].max())
            chances = shifted / shifted.sum()
            losses.append(-np.log(chances[token]))
            chances[token] -= 1
            gradient[before] += chances / num_tokens
        value += sum(losses) / num_tokens
    return float(value), gradient
