"""Places in queues: where each waiting child stands, how long it will probably take, how long others took."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from practicum_controller import metrics
from practicum_controller.eta import Wait, estimate_wait_s
from practicum_controller.history import History
from practicum_controller.scene import Scene
from practicum_core.phases import Phase

_ROUND_ETA_S = 60


@dataclass(frozen=True)
class QueuePlace:
    """Where a child stands in its queue. ``position`` counts from 0."""

    position: int
    eta_s: float | None = None


class Places:
    """The places of children by their uids.

    The first place of a child, and which waits were written down, are known to this process alone. A restart loses
    them: a child then counts from the place at which it was seen next, and a wait that is written twice is kept once.

    Args:
        history: Where earlier waits are kept.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._places: dict[str, QueuePlace] = {}
        self._first: dict[str, int] = {}
        self._recorded: set[str] = set()

    def get(self) -> Mapping[str, QueuePlace]:
        """Return the places in queues by the uid of the child."""
        return self._places

    async def set_places(self, course: str, positions: Mapping[str, int], with_gpu: Collection[str]) -> set[str]:
        """Take the places of a course's children; return the children whose place is another than before.

        Args:
            course: Name of the course.
            positions: Places by the child's uid.
            with_gpu: The children that wait for a GPU.
        """
        waits: dict[bool, list[Wait]] = {}
        for kind in {uid in with_gpu for uid in positions}:
            waits[kind] = await asyncio.to_thread(self._history.list_waits, course, with_gpu=kind)
        changed: set[str] = set()
        for uid, position in positions.items():
            eta_s = estimate_wait_s(waits[uid in with_gpu], position)
            rounded_s = round(eta_s / _ROUND_ETA_S) * float(_ROUND_ETA_S) if eta_s is not None else None
            place = QueuePlace(position, rounded_s)
            self._first.setdefault(uid, position)
            if self._places.get(uid) != place:
                self._places[uid] = place
                changed.add(uid)
        return changed

    async def record_admissions(self, scene: Scene) -> None:
        """Keep how long the children of a week job waited that left their queue, once, where the place was known."""
        if scene.roster is None:
            return
        course = scene.roster.course.metadata.name
        for child in scene.children:
            if child.uid not in scene.current_uids or scene.steps[child.step].phase is Phase.QUEUED:
                continue
            if child.uid not in self._first or child.uid in self._recorded:
                continue
            self._recorded.add(child.uid)
            admitted_at = scene.steps[child.step].admitted_at or scene.now
            waited_s = max((admitted_at - (child.created_at or scene.now)).total_seconds(), 0.0)
            metrics.QUEUE_WAIT_S.observe(waited_s)
            wait = Wait(child.uid, course, self._first.pop(child.uid), waited_s, admitted_at, child.slices)
            await asyncio.to_thread(self._history.record_wait, wait)

    def keep_waiting(self, children: Collection[str]) -> None:
        """Forget the places of children that wait no more."""
        self._places = {uid: place for uid, place in self._places.items() if uid in children}

    def forget_missing(self, children: Collection[str]) -> None:
        """Forget that children waited that are gone."""
        self._recorded &= set(children)
        self._first = {uid: place for uid, place in self._first.items() if uid in children}
