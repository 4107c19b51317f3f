"""What is written of requests without a valid key: some a minute, and a bounded number of all. Pure.

Whoever has no key must not fill a disk, or push out what is kept of the requests of others.
"""

from __future__ import annotations

from practicum_gateway.clock import Clock
from practicum_gateway.limits import SlidingWindow

_A_MINUTE = 600


class StrangerBudget:
    """How many of them are still written.

    Args:
        most: Of them all.
        clock: Monotonic seconds.

    Attributes:
        num_refused: Those that were not written.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self.num_refused = 0
        self._num_left = most
        self._window = SlidingWindow(_A_MINUTE, clock)

    def acquire(self) -> bool:
        """Take one, where the budget has one.

        >>> budget = StrangerBudget(2, lambda: 0.0)
        >>> [budget.acquire() for _ in range(3)], budget.num_refused
        ([True, True, False], 1)
        """
        if not (self._num_left and self._window.remaining):
            self.num_refused += 1
            return False
        self._num_left -= 1
        self._window.settle(0, 1)
        return True
