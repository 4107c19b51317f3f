"""Detection of overfitting: validation loss rises above its lowest while training loss falls. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

Point = tuple[int, float]

MARGIN = 0.01
"""Share of the best validation loss that counts as noise: a plateau is not overfitting."""


@dataclass(frozen=True)
class Overfitting:
    """Where validation loss was lowest, and where its rise was noticed.

    Attributes:
        best_step: Evaluation with the lowest validation loss.
        noticed_step: Evaluation at which patience ran out.
        rise: Validation loss there, less the lowest.
    """

    best_step: int
    noticed_step: int
    rise: float


def find_overfitting(validation: Sequence[Point], train: Sequence[Point], patience: int) -> Overfitting | None:
    """Return the first place where validation loss stayed above its best while training loss fell.

    Args:
        validation: ``(step, validation loss)``, sorted by step.
        train: ``(step, training loss)``, sorted by step.
        patience: Evaluations, one after another, that lie above the best by more than the margin.

    >>> find_overfitting([(1, 1.0), (2, 0.8), (3, 0.9), (4, 1.0)], [(1, 1.0), (2, 0.8), (3, 0.5), (4, 0.3)], 2)
    Overfitting(best_step=2, noticed_step=4, rise=0.19999999999999996)
    """
    best, above = (0, float("inf")), 0
    for step, loss in validation:
        if loss < best[1]:
            best, above = (step, loss), 0
            continue
        above = above + 1 if loss > best[1] * (1 + MARGIN) else 0
        if above >= patience and _is_training_loss_falling(train, best[0], step):
            return Overfitting(best_step=best[0], noticed_step=step, rise=loss - best[1])
    return None


def _is_training_loss_falling(train: Sequence[Point], start: int, end: int) -> bool:
    inside = [loss for step, loss in train if start <= step <= end]
    half = len(inside) // 2
    return half > 0 and fmean(inside[half:]) < fmean(inside[:half])
