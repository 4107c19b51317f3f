"""Tells whether a lever changes what is learnt: the losses of the same rows, step by step. Pure."""

from __future__ import annotations

from practicum_jobs.adapters.lever_measurement import TrainingMeasurement


def compare_losses(baseline: TrainingMeasurement, lever: TrainingMeasurement) -> float | None:
    """Return the largest relative difference of a step's loss; ``None`` where the steps had other rows.

    The first step shows what the lever computes otherwise; later ones, what it then learns otherwise.
    """
    pairs = list(zip(baseline.steps, lever.steps, strict=False))
    if any(one.num_tokens != other.num_tokens for one, other in pairs):
        return None
    losses = [(baseline.first_loss, lever.first_loss), *((one.loss, other.loss) for one, other in pairs)]
    return max(abs(after - before) / abs(before) for before, after in losses if before)
