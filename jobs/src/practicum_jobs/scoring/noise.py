"""How much the scores of one model differ between two runs (A/A)."""

from __future__ import annotations

from dataclasses import dataclass

from practicum_jobs.scoring.intervals import Interval
from practicum_jobs.scoring.paired import PairedOutcomes, estimate_difference_of_means


@dataclass(frozen=True)
class NoiseFloor:
    """Share of items whose score changed, and the mean change with its interval.

    ``floor`` is the largest distance from 0 within the interval: a smaller difference may be noise of the engine.
    """

    num_items: int
    share_changed: float
    interval: Interval

    @property
    def floor(self) -> float:
        """Largest distance from 0 that the interval covers."""
        return max(abs(self.interval.low), abs(self.interval.high))


def measure_noise(twice: PairedOutcomes, confidence: float = 0.95) -> NoiseFloor:
    """Return the noise floor from the scores of two runs of one model over the same items.

    >>> measure_noise(PairedOutcomes([1, 0, 1], [1, 0, 1])).floor
    0.0
    """
    interval = estimate_difference_of_means(twice, confidence).interval
    return NoiseFloor(len(twice.base), float((twice.differences != 0).mean()), interval)
