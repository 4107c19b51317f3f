"""A bounded queue with priorities, fair between keys. Pure, with an injected clock.

Within one priority, owners take turns: each entry of an owner stands one round behind the one before it (start-time
fair queueing; Goyal, Vin and Cheng, 1996). An owner of a hundred requests does not make one of a single request wait.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from practicum_gateway.clock import Clock

Item = TypeVar("Item")
Rank = tuple[int, int, int]
"""Priority (0 comes first), round within it, order of arrival."""


@dataclass(order=True)
class Entry(Generic[Item]):
    """Something that waits. ``is_gone`` says that it waits no more."""

    rank: Rank
    item: Item = field(compare=False)
    deadline_s: float = field(compare=False)
    is_gone: bool = field(default=False, compare=False)


class FairQueue(Generic[Item]):
    """What waits for its turn.

    Args:
        max_size: Entries that wait at most.
        clock: Monotonic seconds.
    """

    def __init__(self, max_size: int, clock: Clock) -> None:
        self._max_size = max_size
        self._clock = clock
        self._heap: list[Entry[Item]] = []
        self._num_waiting = 0
        self._arrivals = itertools.count()
        self._rounds: dict[int, int] = {}
        self._last_rounds: dict[tuple[int, str], int] = {}

    def __len__(self) -> int:
        return self._num_waiting

    def push(self, item: Item, owner: str, priority: int, deadline_s: float) -> tuple[Entry[Item] | None, Item | None]:
        """Let something wait.

        A full queue gives the place of the entry that would come last to one of a more important priority, or of an
        earlier round within its own.

        Args:
            item: What waits.
            owner: Whose it is; owners take turns.
            priority: 0 comes first.
            deadline_s: On the clock; after it, :meth:`pop` passes it over.

        Returns:
            The entry, ``None`` where the queue is full; and what lost its place to it.
        """
        turn = max(self._rounds.get(priority, 0), self._last_rounds.get((priority, owner), 0)) + 1
        displaced: Entry[Item] | None = None
        if self._num_waiting >= self._max_size:
            displaced = max(self._iter_waiting(), default=None)
            if displaced is None or displaced.rank[:2] <= (priority, turn):
                return None, None
            self.remove(displaced)
        if len(self._heap) >= 2 * self._max_size:
            # Entries that were taken out stay in the heap until they would come next, or until they are half of it.
            self._heap = list(self._iter_waiting())
            heapq.heapify(self._heap)
        self._last_rounds[priority, owner] = turn
        entry = Entry((priority, turn, next(self._arrivals)), item, deadline_s)
        heapq.heappush(self._heap, entry)
        self._num_waiting += 1
        return entry, displaced.item if displaced else None

    def pop(self) -> Item | None:
        """Take out what comes next and is not past its deadline; ``None`` where nothing waits."""
        now_s = self._clock()
        while self._heap:
            entry = heapq.heappop(self._heap)
            if entry.is_gone:
                continue
            self._leave(entry)
            self._rounds[entry.rank[0]] = entry.rank[1]
            if not self._num_waiting:
                self._last_rounds.clear()
                self._rounds.clear()
            if entry.deadline_s > now_s:
                return entry.item
        return None

    def remove(self, entry: Entry[Item]) -> None:
        """Take out an entry that waits no longer; nothing for one that was taken out before."""
        if not entry.is_gone:
            self._leave(entry)

    def _leave(self, entry: Entry[Item]) -> None:
        entry.is_gone = True
        self._num_waiting -= 1

    def _iter_waiting(self) -> Iterator[Entry[Item]]:
        return (entry for entry in self._heap if not entry.is_gone)
