"""How much scores differ between two runs of the same model (A/A)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from practicum_jobs.scoring.intervals import Interval
from practicum_jobs.scoring.paired import PairedOutcomes, estimate_difference_of_means


@dataclass(frozen=True)
class NoiseFloor:
    """Share of items whose score changed, and the mean change with its interval.

    ``floor`` is the largest distance from 0 within the interval: a smaller difference may be noise of sampling.
    """

    share_changed: float
    interval: Interval

    @property
    def floor(self) -> float:
        """Largest distance from 0 that the interval covers."""
        return max(abs(self.interval.low), abs(self.interval.high))


def measure_noise(
    first: Sequence[float], second: Sequence[float], clusters: Sequence[str] = (), confidence: float = 0.95
) -> NoiseFloor:
    """Return the noise floor from two runs of one model over the same items.

    >>> measure_noise([1, 0, 1], [1, 0, 1]).floor
    0.0
    """
    outcomes = PairedOutcomes(first, second, clusters)
    interval = estimate_difference_of_means(outcomes, confidence).interval
    return NoiseFloor(float((outcomes.differences != 0).mean()), interval)
