"""The way to the engines: so many requests at a time as the limiter allows; the others wait in the queue."""

from __future__ import annotations

import asyncio
import contextlib

from practicum_gateway.clock import Clock
from practicum_gateway.errors import SERVER, ApiError
from practicum_gateway.gradient import GradientLimiter
from practicum_gateway.queue import FairQueue

_RETRY_AFTER_S = 2.0


class Turnstile:
    """Lets requests through.

    Args:
        limiter: How many may be at the engines.
        queue: Where the others wait.
        timeout_s: Longest wait.
        clock: Monotonic seconds.
    """

    def __init__(
        self, limiter: GradientLimiter, queue: FairQueue[asyncio.Future[None]], timeout_s: float, clock: Clock
    ) -> None:
        self._limiter = limiter
        self._queue = queue
        self._timeout_s = timeout_s
        self._clock = clock
        self.num_open = 0

    @property
    def limit(self) -> int:
        """Requests that may be at the engines now."""
        return self._limiter.limit

    @property
    def num_waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    async def enter(self, owner: str, priority: int, timeout_s: float, longest_wait_s: float | None = None) -> None:
        """Wait for the turn of a request; :meth:`leave` ends it.

        Args:
            owner: Whose it is.
            priority: 0 comes first.
            timeout_s: Seconds that the request has left.
            longest_wait_s: Seconds at most for this one; those of all without it.

        Raises:
            ApiError: The queue is full, or the wait was too long.
        """
        if self.num_open < self._limiter.limit and not self._queue:
            self.num_open += 1
            return
        wait_s = min(timeout_s, self._timeout_s if longest_wait_s is None else longest_wait_s)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry, displaced = self._queue.push(turn, owner, priority, self._clock() + wait_s)
        if displaced is not None and not displaced.done():
            displaced.set_exception(_build_full_error())
        if entry is None:
            raise _build_full_error()
        try:
            async with asyncio.timeout(wait_s):
                await turn
        except TimeoutError:
            if _has_turn(turn):
                return
            raise ApiError(
                503, "queue_timeout", f"waited {wait_s:.1f} s for an engine", SERVER, retry_after_s=_RETRY_AFTER_S
            ) from None
        except asyncio.CancelledError:
            if _has_turn(turn):
                self.leave()
            raise
        finally:
            self._queue.remove(entry)

    def leave(self, seconds_per_unit: float | None = None) -> None:
        """End a request that was let through, and let others through.

        Args:
            seconds_per_unit: How long a unit of its work took; ``None`` where it did not end well.
        """
        if seconds_per_unit is not None:
            self._limiter.observe(seconds_per_unit, self.num_open)
        self.num_open -= 1
        while self.num_open < self._limiter.limit and (turn := self._queue.pop()) is not None:
            if not turn.done():
                self.num_open += 1
                turn.set_result(None)


def _has_turn(turn: asyncio.Future[None]) -> bool:
    """Whether a request was let through at the same moment in which it stopped waiting."""
    with contextlib.suppress(asyncio.CancelledError):
        return turn.done() and not turn.cancelled() and turn.exception() is None
    return False


def _build_full_error() -> ApiError:
    text = "too many requests wait for an engine"
    return ApiError(503, "queue_full", text, SERVER, retry_after_s=_RETRY_AFTER_S)
