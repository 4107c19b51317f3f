"""The reconciler of week jobs: observe, plan, apply, publish.

Level-triggered: every call observes everything again, so that a call that was interrupted is made good by the next.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from practicum_controller.children import Applied, Children
from practicum_controller.families import Key
from practicum_controller.observe import Observer
from practicum_controller.planner import plan_week_job
from practicum_controller.publisher import Publisher

_REOPENED_S = 0.1
"""Seconds after which a week job is looked at again whose end was forgotten: it starts then."""


class Reconciler:
    """Reconciles week jobs: starts and stops what runs their steps, and writes their status.

    Args:
        observer: Reads the state of a week job.
        children: Creates and deletes the objects that run its steps.
        publisher: Writes its status.
        pre_running_deadline_s: Seconds that a step may take to start, where the week job does not say.
        get_now: The clock, with a time zone.
    """

    def __init__(
        self,
        observer: Observer,
        children: Children,
        publisher: Publisher,
        pre_running_deadline_s: int,
        get_now: Callable[[], dt.datetime],
    ) -> None:
        self._observer = observer
        self._children = children
        self._publisher = publisher
        self._pre_running_deadline_s = pre_running_deadline_s
        self._get_now = get_now

    async def reconcile(self, key: Key) -> float | None:
        """Bring one week job closer to what its specification asks for.

        Returns:
            Seconds after which to reconcile again without a change; ``None`` for only after one.

        Raises:
            ApiFault: The API server refused a change; the status says so, and the caller tries again.
        """
        now = self._get_now()
        applied: Applied | None = None
        while True:
            scene = self._observer.observe_week_job(key, now)
            if scene is None:
                return None
            if scene.is_mended and scene.children:
                # New children would have the same names. The deletion of these wakes the week job.
                await self._children.delete(scene.children)
                return None
            if scene.is_mended:
                await self._publisher.reopen(scene)
                return _REOPENED_S
            desired = plan_week_job(scene, applied.refusals if applied else {}, self._pre_running_deadline_s)
            if applied is not None:
                # The second pass: the status shows at once what was created and what was refused.
                break
            applied = await self._children.apply_children(scene, desired)
            if not applied.is_news:
                break
        delay_s = await self._publisher.publish_status(scene, desired)
        if applied.fault is not None:
            raise applied.fault
        return delay_s
