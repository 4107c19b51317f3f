"""Estimates the memory of options beside what was measured, and sets both side by side as a ladder. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.stages.training import TrainingConfig
from practicum_core.stages.trainprofile import Rung
from practicum_jobs.adapters.training_job import TokenRow
from practicum_jobs.training.memory import GIB, MemoryEstimate, ModelShape, estimate_memory
from practicum_jobs.training.preflight import count_largest_batch


@dataclass(frozen=True)
class Estimator:
    """Estimates what options need, for one model and its rows.

    Attributes:
        shape: The model's sizes.
        rows: Training rows, as tokens.
        is_gpu: It computes on a GPU.
    """

    shape: ModelShape
    rows: Sequence[TokenRow]
    is_gpu: bool = False

    def estimate(self, config: TrainingConfig) -> MemoryEstimate:
        """Estimate the memory of one worker at its largest batch."""
        lengths = [len(row.input_ids) for row in self.rows]
        counted = [len(row.input_ids) - row.prompt_length for row in self.rows]
        batch_tokens, counted_tokens = count_largest_batch(lengths, counted, config)
        return estimate_memory(self.shape, config, batch_tokens, counted_tokens, is_gpu=self.is_gpu)


def count_estimated_bytes(estimate: MemoryEstimate) -> int:
    """Return the bytes of an estimate above the empty process."""
    return round((estimate.total - estimate.process) * GIB)


def find_worst_ratio(rungs: Sequence[Rung]) -> float | None:
    """Return measured over estimated memory of the rung where they are farthest apart; ``None`` without any.

    >>> find_worst_ratio([Rung(name="a", estimated_bytes=10, peak_bytes=12), Rung(name="b", estimated_bytes=9)])
    1.2
    """
    ratios = [one.peak_bytes / one.estimated_bytes for one in rungs if one.peak_bytes and one.estimated_bytes > 0]
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio), default=None)


def find_largest_ratio(rungs: Sequence[Rung]) -> float | None:
    """Return measured over estimated memory of the rung that needs most; ``None`` without any.

    Smaller rungs hold little beside what libraries and the loading of weights take, of which no estimate speaks.

    >>> find_largest_ratio([Rung(name="a", estimated_bytes=10, peak_bytes=12), Rung(name="b", estimated_bytes=2)])
    1.2
    """
    measured = [one for one in rungs if one.peak_bytes and one.estimated_bytes > 0]
    largest = max(measured, key=lambda one: one.peak_bytes or 0, default=None)
    return None if largest is None else (largest.peak_bytes or 0) / largest.estimated_bytes


def measure_saving(rungs: Sequence[Rung]) -> float | None:
    """Return the share of the first rung's memory that the smallest saves; ``None`` without two measured ones.

    >>> measure_saving([Rung(name=name, estimated_bytes=9, peak_bytes=peak) for name, peak in (("a", 8), ("b", 2))])
    0.75
    """
    peaks = [one.peak_bytes for one in rungs if one.peak_bytes]
    return 1 - min(peaks) / peaks[0] if len(peaks) > 1 and rungs[0].peak_bytes else None
