"""Known ways in which preference training fails, found in its curves and answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.curves import Curves
from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.training import CheckpointSample
from practicum_jobs.text.repetition import is_repetitive

LARGEST_FALL = 1.0
"""Nats by which the chosen answers of the validation pairs may lose log-probability before it is named."""
SMALLEST_REWARD = 1e-4
"""Rewards that never leave this range, in either direction, count as stuck at zero."""

_ADVICE = {
    "chosen_less_likely": (
        "Train fewer steps, lower learning_rate, raise beta, or fine-tune on the chosen answers first."
    ),
    "rewards_stuck": (
        "The adapter did not change the answers: raise learning_rate or the number of steps, and look at whether both "
        "sides of the pairs differ in more than a few tokens."
    ),
    "repetition": "Lower learning_rate or train fewer steps; the checkpoint before the repetition is the better one.",
}


def find_preference_faults(curves: Curves, samples: Sequence[CheckpointSample]) -> list[Failure]:
    """Find the known ways to fail.

    Args:
        curves: The metric series; those of validation start with ``eval_`` and always measure the same pairs.
        samples: Answers at checkpoints, oldest first.
    """
    found = [_find_less_likely(curves), _find_stuck(curves), _find_repetition(samples)]
    return [failure for failure in found if failure is not None]


def diagnose_preferences(faults: Sequence[Failure]) -> str:
    """Say in a few sentences what was found and what to do.

    >>> diagnose_preferences([])
    'None of the known faults of preference training was seen.'
    """
    if not faults:
        return "None of the known faults of preference training was seen."
    return " ".join(f"{fault.text[:1].upper()}{fault.text[1:]}. {_ADVICE[fault.kind]}" for fault in faults)


def measure_preferences(curves: Curves, best_step: int | None, beta: float) -> list[Metric]:
    """Return the figures of the exported checkpoint on the validation pairs.

    Drift is the mean change of an answer's log-probability against the reference, in nats: reward divided by beta
    (Rafailov et al., 2023, equation 5 without its constant).
    """
    wanted = [
        ("preference_accuracy", "eval_rewards_accuracies", 1.0, ""),
        ("reward_margin", "eval_rewards_margins", 1.0, ""),
        ("chosen_drift", "eval_rewards_chosen", beta, "nats per answer"),
        ("rejected_drift", "eval_rewards_rejected", beta, "nats per answer"),
        ("kl_divergence", "eval_kl", 1.0, "nats per token"),
    ]
    figures = []
    for name, series, divisor, unit in wanted:
        points = dict(curves.series.get(series, []))
        value = points.get(best_step if best_step is not None else -1, curves.get_last(series))
        if value is not None:
            figures.append(Metric(name=name, value=value / divisor, unit=unit))
    return figures


def _find_less_likely(curves: Curves) -> Failure | None:
    """Find the chosen answers losing log-probability while the margin rises: only the rejected ones lose more."""
    chosen, margins = curves.series.get("eval_logps_chosen", []), curves.series.get("eval_rewards_margins", [])
    if len(chosen) < 2 or len(margins) < 2:  # noqa: PLR2004 - a first and a last value
        return None
    fall, rise = chosen[0][1] - chosen[-1][1], margins[-1][1] - margins[0][1]
    if fall <= LARGEST_FALL or rise <= 0:
        return None
    return Failure(
        kind="chosen_less_likely",
        where=f"step {chosen[-1][0]}",
        text=f"the chosen answers lost {fall:.1f} nats of log-probability while the margin rose by {rise:.2f}",
    )


def _find_stuck(curves: Curves) -> Failure | None:
    values = [
        abs(value)
        for name in ("rewards_chosen", "rewards_rejected", "eval_rewards_chosen", "eval_rewards_rejected")
        for _, value in curves.series.get(name, [])
    ]
    if not values or max(values) >= SMALLEST_REWARD:
        return None
    last = curves.series["rewards_chosen"][-1][0] if curves.series.get("rewards_chosen") else 0
    return Failure(
        kind="rewards_stuck",
        where=f"step {last}",
        text=f"no reward differed from zero by more than {max(values):.1e} in the whole run",
    )


def _find_repetition(samples: Sequence[CheckpointSample]) -> Failure | None:
    """Find answers of the last checkpoint that repeat themselves."""
    last = max((sample.step for sample in samples), default=0)
    ids = sorted({sample.id for sample in samples if sample.step == last and is_repetitive(sample.output)})
    if not ids:
        return None
    return Failure(
        kind="repetition",
        where=f"step {last}",
        text=f"answers repeat themselves after training ({', '.join(ids)})",
    )
