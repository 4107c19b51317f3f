"""What a measurement of a few training steps is asked for and returns: plain values that travel between processes.

Imports nothing heavy, so that the process that starts measurements stays small.
"""

from __future__ import annotations

from dataclasses import dataclass

from practicum_jobs.adapters.training_job import TrainingJob


@dataclass(frozen=True)
class TimedStep:
    """One optimizer step: seconds since the end of the one before it, tokens without padding, and loss."""

    seconds: float
    num_tokens: int
    loss: float


@dataclass(frozen=True)
class StepProfile:
    """Where the seconds of the profiled steps went.

    Attributes:
        num_steps: Steps that were recorded.
        step_s: Seconds of all of them.
        phases_s: Seconds in data, forward, backward and optimizer.
        operations_s: Seconds of each operator of torch alone, without those that it calls.
    """

    num_steps: int
    step_s: float
    phases_s: dict[str, float]
    operations_s: dict[str, float]


@dataclass(frozen=True)
class TrainingMeasurement:
    """What a measurement found. Memory is that of the process in bytes, or of its GPU where it computes on one.

    Attributes:
        steps: Those after the warm-up.
        first_loss: Loss of the first step, before anything was learnt.
        start_bytes: Before the model was loaded.
        loaded_bytes: With model and trainer.
        peak_bytes: Most at any time.
        cpu_ratio: Processor time of the timed steps over their wall time; 2 with two busy cores.
    """

    steps: list[TimedStep]
    first_loss: float
    start_bytes: int
    loaded_bytes: int
    peak_bytes: int
    cpu_ratio: float
    num_parameters: int
    num_trainable_parameters: int
    profile: StepProfile | None = None


@dataclass(frozen=True)
class StepPlan:
    """What is measured.

    Attributes:
        job: Model, options, rows.
        num_steps: Steps after the warm-up.
        is_profiled: Record the steps with torch's profiler, which slows them.
    """

    job: TrainingJob
    num_steps: int
    is_profiled: bool = False
