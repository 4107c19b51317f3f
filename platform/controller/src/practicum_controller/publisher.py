"""What people are told of a week job: its status, an event at each transition, its evidence, and its end."""

from __future__ import annotations

import logging

from practicum_controller.client import ApiFault, Cluster
from practicum_controller.documents import build_event, build_evidence, build_status_patch, get_evidence_name
from practicum_controller.endings import Endings
from practicum_controller.kinds import CONFIG_MAPS, EVENTS, WEEK_JOBS
from practicum_controller.planner import Desired
from practicum_controller.reports import Reports
from practicum_controller.scene import Scene
from practicum_controller.store import Store
from practicum_core.phases import Phase
from practicum_core.weekjob import WeekJobStatus

LOGGER = logging.getLogger(__name__)
_CHECK_S = 10.0
"""Seconds after which a week job with a running clock (a deadline, a pod that does not start) is looked at again."""
_HELD_S = 60.0
_NOT_KEPT = "; its evidence page is not kept yet: "


class Publisher:
    """Writes down what became of week jobs.

    Args:
        store: What the cluster looks like: a status is in it as soon as it is written.
        cluster: Where changes are made.
        reports: Where evidence pages come from, and which ends were written.
        endings: What is done at the end of a week job.
    """

    def __init__(self, store: Store, cluster: Cluster, reports: Reports, endings: Endings) -> None:
        self._store = store
        self._cluster = cluster
        self._reports = reports
        self._endings = endings

    async def publish_status(self, scene: Scene, desired: Desired) -> float | None:
        """Write what is desired of the status, and bring to its end what ended.

        Returns:
            Seconds after which to look again even though nothing changes; ``None`` for not before something does.
        """
        if scene.is_being_deleted:
            await self._endings.release(scene)
            return None
        if scene.is_over and scene.previous is not None:
            return await self._finish(scene, scene.previous)
        status = desired.status or WeekJobStatus()
        if not status.phase.is_terminal:
            await self._write(scene, status)
            linger_s = await self._endings.end_lingering(scene)
            return _get_soonest(linger_s, _get_next_look(scene, status))
        return await self._end(scene, status)

    async def _end(self, scene: Scene, status: WeekJobStatus) -> float | None:
        """Write that a week job ended, into its status and into the history."""
        if not self._reports.is_open(scene.uid):
            # First into the history: nothing of it would tell the next process that the entry is missing.
            await self._endings.record(scene, status)
        status = await self._keep_evidence(scene, status)
        await self._write(scene, status)
        self._reports.note_end(scene.uid, status)
        if self._reports.is_open(scene.uid):
            await self._endings.record(scene, status)
        linger_s = await self._endings.end_lingering(scene)
        return _get_soonest(linger_s, _get_retry(status), scene.document["spec"].get("ttlSecondsAfterFinished"))

    async def _finish(self, scene: Scene, status: WeekJobStatus) -> float | None:
        """Do what is left to do of a week job that ended."""
        if self._reports.is_open(scene.uid):
            await self._endings.record(scene, status)
        if _NOT_KEPT in status.message:
            status = await self._keep_evidence(scene, status)
            await self._write(scene, status)
        linger_s = await self._endings.end_lingering(scene)
        return _get_soonest(linger_s, _get_retry(status), await self._endings.expire(scene, status))

    async def _keep_evidence(self, scene: Scene, status: WeekJobStatus) -> WeekJobStatus:
        """Keep the evidence page in a ConfigMap; where the cluster takes none, say so: the week ends all the same."""
        page = await self._reports.read_evidence(scene.uid)
        if page is None:
            return status
        said = status.message.partition(_NOT_KEPT)[0]
        try:
            await self._cluster.apply(CONFIG_MAPS, build_evidence(scene.document, page))
        except ApiFault as fault:
            return status.model_copy(update={"message": f"{said}{_NOT_KEPT}{fault.detail}"})
        name = get_evidence_name(scene.document["metadata"]["name"])
        return status.model_copy(update={"message": said, "evidence": f"configmap/{name}"})

    async def _write(self, scene: Scene, status: WeekJobStatus) -> None:
        patch = build_status_patch(scene.document.get("status") or {}, status)
        if patch is None:
            return
        previous, metadata = scene.previous, scene.document["metadata"]
        if previous is None or (previous.phase, previous.reason) != (status.phase, status.reason):
            try:
                await self._cluster.make(EVENTS, build_event(scene.document, status, scene.now))
            except ApiFault as fault:
                LOGGER.warning("%s: the event was not written: %s", metadata["uid"], fault.detail)
        body = {"metadata": {"uid": metadata["uid"]}, "status": patch}
        written = await self._cluster.patch(
            WEEK_JOBS, metadata["namespace"], metadata["name"], body, subresource="status"
        )
        if written is not None:
            self._store.put("WeekJob", written, is_own=True)


def _get_retry(status: WeekJobStatus) -> float | None:
    return _HELD_S if _NOT_KEPT in status.message else None


def _get_next_look(scene: Scene, status: WeekJobStatus) -> float | None:
    if status.phase is Phase.QUEUED:
        return _HELD_S
    has_deadline = scene.weekjob is not None and scene.weekjob.spec.active_deadline_seconds is not None
    return _CHECK_S if has_deadline or status.phase is Phase.INITIALIZING else None


def _get_soonest(*times_s: float | None) -> float | None:
    """Return the soonest of some times, of which any may be none.

    >>> _get_soonest(None, 3.0), _get_soonest(2.0, 3.0), _get_soonest(None, None)
    (3.0, 2.0, None)
    """
    return min((time_s for time_s in times_s if time_s is not None), default=None)
