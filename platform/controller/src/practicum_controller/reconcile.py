"""The reconciler of week jobs: observe, plan, apply, publish.

Level-triggered: every call looks at everything anew, and whatever it is interrupted at, the next call ends the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from practicum_controller.children import Applied, Children
from practicum_controller.families import Key
from practicum_controller.observe import Observer
from practicum_controller.planner import plan_week_job
from practicum_controller.publisher import Publisher


class Reconciler:
    """Brings week jobs to their ends.

    Args:
        observer: Looks at a week job.
        children: Makes and deletes what runs its steps.
        publisher: Says what became of it.
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
        """Bring one week job a step further.

        Returns:
            Seconds after which to look again even though nothing changes; ``None`` for not before something does.

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
                # Their names are those of the next ones. That they are gone wakes the week job.
                await self._children.delete(scene.children)
                return None
            if scene.is_mended and applied is None:
                await self._publisher.reopen(scene)
                scene = self._observer.observe_week_job(key, now)
                if scene is None or scene.is_mended:
                    return None
            desired = plan_week_job(scene, applied.refusals if applied else {}, self._pre_running_deadline_s)
            if applied is not None:
                # The second look: what was made and what was refused stands in the status at once.
                break
            applied = await self._children.apply_children(scene, desired)
            if not applied.is_news:
                break
        delay_s = await self._publisher.publish_status(scene, desired)
        if applied.fault is not None:
            raise applied.fault
        return delay_s
