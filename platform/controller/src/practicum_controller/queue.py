"""The work queue: a key is worked on by one worker at a time, again if it was added meanwhile, later after a fault."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
MAX_BACKOFF_S = 60.0
_FIRST_BACKOFF_S = 0.5


class WorkQueue(Generic[K]):
    """Keys that wait for work. A key that a worker holds is not handed out again until the worker is done.

    Args:
        get_time: Monotonic clock in seconds.
    """

    def __init__(self, get_time: Callable[[], float]) -> None:
        self._get_time = get_time
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._active: set[K] = set()
        self._again: set[K] = set()
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._faults: dict[K, int] = {}
        self._order = itertools.count()
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"WorkQueue(ready={list(self._ready)!r}, active={self._active!r})"

    def __len__(self) -> int:
        return len(self._ready) + len(self._active)

    def add(self, key: K) -> None:
        """Hand out ``key`` soon."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._changed.set()

    def add_later(self, key: K, delay_s: float) -> None:
        """Hand out ``key`` after a while, or earlier if it is added before."""
        due = self._get_time() + delay_s
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, next(self._order), key))
        self._changed.set()

    async def take(self) -> K:
        """Wait for a key and mark it as worked on."""
        while True:
            delay_s = self._promote()
            if self._ready:
                key = self._ready.popleft()
                self._waiting.discard(key)
                self._active.add(key)
                return key
            self._changed.clear()
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._changed.wait()

    def done(self, key: K, *, is_fault: bool = False) -> None:
        """End the work on ``key``; after a fault it is handed out again, with a delay that doubles each time."""
        self._active.discard(key)
        if is_fault:
            count = self._faults[key] = self._faults.get(key, 0) + 1
            self._again.discard(key)
            self.add_later(key, min(_FIRST_BACKOFF_S * 2 ** (count - 1), MAX_BACKOFF_S))
            return
        self._faults.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _promote(self) -> float | None:
        """Move the keys that are due to the ready ones; return the seconds until the next is due."""
        now = self._get_time()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        return max(self._later[0][0] - now, 0.0) if self._later else None
