"""What a forked process runs: one measurement of a few training steps."""

from __future__ import annotations

from practicum_jobs.adapters.lever_measurement import StepPlan, TrainingMeasurement


def measure_training(plan: StepPlan) -> TrainingMeasurement:
    """Measure in this process, which does nothing else."""
    from practicum_jobs.adapters.lever_training import measure_steps  # noqa: PLC0415 - torch only where it measures

    return measure_steps(plan)
