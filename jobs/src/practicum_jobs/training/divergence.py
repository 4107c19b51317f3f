"""Detection of a diverged training run, and its probable causes. Pure: figures in, a fault or nothing out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from practicum_core.errors import GateFailed, Reason
from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.training_job import Fault

WINDOW = 3
"""Steps over which a high loss is averaged, so that one hard batch does not end a run."""


@dataclass
class DivergenceWatchdog:
    """Stops a run whose loss is not a number, infinite, or far above where it started.

    Args:
        factor: How many times its first value the averaged loss may reach.
    """

    factor: float
    first_loss: float | None = None
    recent: list[float] = field(default_factory=list)

    def resume(self, losses: Sequence[float]) -> None:
        """Take in the losses of the steps before a resume, oldest first.

        Without them the loss of a resumed run, low already, would be compared with its first loss after the resume.
        """
        self.first_loss = losses[0] if losses else None
        self.recent = list(losses[-WINDOW:])

    def observe(self, step: int, loss: float, grad_norm: float | None) -> Fault | None:
        """Take in one step's figures; return a fault when training must stop."""
        if not math.isfinite(loss):
            return Fault("loss_not_finite", step, loss, f"the loss became {loss} at step {step}")
        if grad_norm is not None and not math.isfinite(grad_norm):
            return Fault(
                "gradient_not_finite", step, grad_norm, f"the gradient's norm became {grad_norm} at step {step}"
            )
        self.first_loss = loss if self.first_loss is None else self.first_loss
        self.recent = [*self.recent, loss][-WINDOW:]
        mean = fmean(self.recent)
        if len(self.recent) == WINDOW and mean > self.factor * max(self.first_loss, 1e-3):
            text = f"the loss averaged {mean:.3f} up to step {step}, {mean / self.first_loss:.1f} times its first value"
            return Fault("loss_exploded", step, mean, text)
        return None


def explain_divergence(fault: Fault, config: TrainingConfig, previous_losses: list[float], step: str) -> GateFailed:
    """Turn a fault into an error that says what happened, what it looked like before, and what to try.

    Args:
        fault: What the watchdog saw.
        config: Options of the run.
        previous_losses: Losses of the steps before, oldest first.
        step: Name of the unit's step, under which its options are set.
    """
    before = ", ".join(f"{loss:.3f}" for loss in previous_losses[-5:]) or "none"
    hints = list_cause_hints(fault, config, previous_losses, step)
    return GateFailed(
        f"{fault.text}; losses before: {before}; learning_rate={config.learning_rate:g}",
        "; ".join(hints),
        Reason.TRAINING_DIVERGED,
    )


def list_cause_hints(fault: Fault, config: TrainingConfig, previous_losses: list[float], step: str) -> list[str]:
    """Return probable causes with what to do, the likeliest first.

    >>> list_cause_hints(Fault("loss_exploded", 9, 30.0, ""), TrainingConfig(learning_rate=0.5), [2.0, 4.0], "tune")[0]
    'the learning rate 0.5 is far above what lora usually bears (0.002): set tune.learning_rate lower'
    """
    usual = config.highest_usual_rates[config.method]
    hints: list[str] = []
    if config.learning_rate > usual:
        hints.append(
            f"the learning rate {config.learning_rate:g} is far above what {config.method} usually bears ({usual:g}): "
            f"set {step}.learning_rate lower"
        )
    if fault.kind != "loss_exploded" and not _is_rising(previous_losses):
        hints.append(
            f"the loss was steady before step {fault.step}, so look at that step's rows and the base model's weights "
            "(the audit of week 2 finds broken rows)"
        )
    if config.dtype != "float32":
        hints.append(f"set {step}.dtype=float32 to rule out the range of a shorter type")
    if config.warmup_ratio == 0:
        hints.append(f"give {step}.warmup_ratio a value, so that the first steps are small")
    hints.append(f"or lower {step}.max_grad_norm (now {config.max_grad_norm:g})")
    return hints


def _is_rising(losses: list[float]) -> bool:
    recent = [loss for loss in losses[-WINDOW:] if math.isfinite(loss)]
    return len(recent) > 1 and recent[-1] > 1.2 * recent[0]
