"""Decides whether a run learned its rows by heart: validation loss rises while training loss falls. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

Point = tuple[int, float]


@dataclass(frozen=True)
class Overfitting:
    """Since when validation loss has only risen.

    Attributes:
        best_step: Evaluation with the lowest validation loss.
        noticed_step: Evaluation at which patience ran out.
        rise: Validation loss there, less the lowest.
    """

    best_step: int
    noticed_step: int
    rise: float


def find_overfitting(validation: Sequence[Point], train: Sequence[Point], patience: int) -> Overfitting | None:
    """Return the first place where validation loss rose ``patience`` times running while training loss fell.

    Args:
        validation: ``(step, validation loss)``, sorted by step.
        train: ``(step, training loss)``, sorted by step.
        patience: Evaluations, one after another, each above the one before.

    >>> find_overfitting([(1, 1.0), (2, 0.8), (3, 0.9), (4, 1.0)], [(1, 1.0), (2, 0.8), (3, 0.5), (4, 0.3)], 2)
    Overfitting(best_step=2, noticed_step=4, rise=0.19999999999999996)
    """
    rising = 0
    for at in range(1, len(validation)):
        rising = rising + 1 if validation[at][1] > validation[at - 1][1] else 0
        if rising < patience:
            continue
        start, end = validation[at - rising], validation[at]
        if _is_training_loss_falling(train, start[0], end[0]):
            best = min(validation[: at + 1], key=lambda point: point[1])
            return Overfitting(best_step=best[0], noticed_step=end[0], rise=end[1] - best[1])
    return None


def _is_training_loss_falling(train: Sequence[Point], start: int, end: int) -> bool:
    inside = [loss for step, loss in train if start <= step <= end]
    half = len(inside) // 2
    return half > 0 and fmean(inside[half:]) < fmean(inside[:half])
