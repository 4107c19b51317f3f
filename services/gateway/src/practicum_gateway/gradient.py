"""How many requests may be at the engines at the same time, learnt from the time that a token takes. Pure.

The gradient limiter of Netflix (concurrency-limits, ``Gradient2Limit``), with one change: it looks at the time per unit
of work (:func:`count_units`) instead of the time per request. A long answer would look like congestion otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_PREFILL_SHARE = 1 / 16
"""Work of a prompt token in units of a generated one: prompts are computed many tokens at a time."""


@dataclass(frozen=True)
class GradientSettings:
    """How the limit moves.

    Attributes:
        initial: Requests at first.
        minimum: Requests at least.
        maximum: Requests at most.
        tolerance: How many times slower than usual a token may be before the limit falls. Engines batch: more requests
            make each token slower and all of them together faster.
        smoothing: Weight of a new limit against the one before.
        samples: Ended requests between two steps.
        memory: Steps over which what is usual is averaged.
    """

    initial: int = 32
    minimum: int = 4
    maximum: int = 256
    tolerance: float = 2.0
    smoothing: float = 0.2
    samples: int = 16
    memory: int = 100


def count_units(prompt_tokens: int, completion_tokens: int) -> float:
    """Return the work of a request in units of a generated token.

    >>> count_units(160, 10)
    20.0
    """
    return max(completion_tokens + prompt_tokens * _PREFILL_SHARE, 1.0)


class GradientLimiter:
    """The limit, moved by what is observed.

    Args:
        settings: How it moves.
    """

    def __init__(self, settings: GradientSettings) -> None:
        self._settings = settings
        self._limit = float(settings.initial)
        self._usual_s: float | None = None
        self._sum_s = 0.0
        self._num_samples = 0
        self._most_open = 0

    @property
    def limit(self) -> int:
        """Requests that may be at the engines now."""
        return int(self._limit)

    def observe(self, seconds_per_unit: float, num_open: int) -> None:
        """Take in a request that ended well.

        Args:
            seconds_per_unit: Its seconds at the engine for each unit of work.
            num_open: Requests that were at the engines when it ended, itself included.
        """
        if not (math.isfinite(seconds_per_unit) and seconds_per_unit > 0):
            return
        self._sum_s += seconds_per_unit
        self._num_samples += 1
        self._most_open = max(self._most_open, num_open)
        if self._num_samples >= self._settings.samples:
            self._step(self._sum_s / self._num_samples)
            self._sum_s, self._num_samples, self._most_open = 0.0, 0, 0

    def _step(self, recent_s: float) -> None:
        settings = self._settings
        usual_s = recent_s if self._usual_s is None else self._usual_s
        usual_s += (recent_s - usual_s) / settings.memory
        if usual_s > 2 * recent_s:
            # After a long overload the average is slow to come down.
            usual_s *= 0.95
        self._usual_s = usual_s
        if self._most_open < self._limit / 2:
            # So few requests say nothing about the limit.
            return
        gradient = max(0.5, min(1.0, settings.tolerance * usual_s / recent_s))
        wanted = self._limit * gradient + math.sqrt(self._limit)
        moved = self._limit * (1 - settings.smoothing) + wanted * settings.smoothing
        self._limit = max(float(settings.minimum), min(float(settings.maximum), moved))
