"""Requests that wait for a first engine, as after a scaling to zero: bounded, with a deadline, owners in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from practicum_gateway.clock import Clock
from practicum_gateway.errors import SERVER, ApiError
from practicum_gateway.queue import FairQueue

_RETRY_AFTER_S = 5.0


class Hold:
    """Where requests wait that no engine is ready for.

    Args:
        max_size: Requests of one service that wait at most.
        clock: Monotonic seconds.
        is_ready: Whether a service has an engine that is ready.
    """

    def __init__(self, max_size: int, clock: Clock, is_ready: Callable[[str], bool]) -> None:
        self._max_size = max_size
        self._clock = clock
        self._is_ready = is_ready
        self._queues: dict[str, FairQueue[asyncio.Future[None]]] = {}

    @property
    def num_held(self) -> int:
        """Requests that wait for any service."""
        return sum(len(queue) for queue in self._queues.values())

    def count(self, service: str) -> int:
        """Count the requests that wait for a service."""
        return len(self._queues.get(service, ()))

    async def wait(self, service: str, owner: str, priority: int, wait_s: float) -> None:
        """Wait until an engine of a service is ready.

        Args:
            service: One of the configured ones.
            owner: Whose the request is.
            priority: 0 comes first.
            wait_s: Seconds at most.

        Raises:
            ApiError: So many wait already, or none became ready in time.
        """
        queue = self._queues.setdefault(service, FairQueue(self._max_size, self._clock))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry, displaced = queue.push(turn, owner, priority, self._clock() + wait_s)
        if displaced is not None and not displaced.done():
            displaced.set_exception(_build_error("hold_full", f"too many requests wait for {service} to start"))
        if entry is None:
            raise _build_error("hold_full", f"too many requests wait for {service} to start")
        try:
            async with asyncio.timeout(wait_s):
                await turn
        except TimeoutError:
            if not turn.cancelled():
                return
            raise _build_error("hold_timeout", f"{service} did not start within {wait_s:.1f} s") from None
        finally:
            queue.remove(entry)

    def release(self) -> None:
        """Let on all whose service has an engine by now, in the order of their turns."""
        for service, queue in self._queues.items():
            if self._is_ready(service):
                while (turn := queue.pop()) is not None:
                    if not turn.done():
                        turn.set_result(None)


def _build_error(code: str, text: str) -> ApiError:
    return ApiError(503, code, text, SERVER, retry_after_s=_RETRY_AFTER_S)
