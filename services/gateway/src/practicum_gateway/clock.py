"""The clock that limits, queue, breaker and limiter are given: seconds that never go back."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]
"""Returns seconds of a monotonic clock; tests give one that they move themselves."""
