"""How week jobs end: pods that outlive their report, the entry in the history, the finalizer, the time to live."""

from __future__ import annotations

import datetime as dt
import logging

from practicum_controller.children import Children
from practicum_controller.client import Cluster
from practicum_controller.history import WeekJobEntry
from practicum_controller.kinds import WEEK_JOBS
from practicum_controller.reports import Reports
from practicum_controller.scene import Child, Scene
from practicum_core import labels
from practicum_core.phases import Phase
from practicum_core.weekjob import WeekJobStatus

LOGGER = logging.getLogger(__name__)
SHORTEST_TIME_TO_LIVE_S = 60.0
"""Who follows a week job looks every few seconds, and then fetches its evidence: both are there for a minute."""
_LINGER_S = 120.0
"""Seconds that a pod may live on after its report of the end: a process that hangs gives its GPU back then."""


class Endings:
    """Brings week jobs to their ends.

    Args:
        cluster: Where changes are made.
        children: What deletes children.
        reports: What stages reported, and the way into the history.
    """

    def __init__(self, cluster: Cluster, children: Children, reports: Reports) -> None:
        self._cluster = cluster
        self._children = children
        self._reports = reports

    async def conclude(self, scene: Scene, status: WeekJobStatus) -> float | None:
        """Do what a week job's end asks for, whose status and accounts are written.

        Returns:
            Seconds after which there is more to do; ``None`` where there is nothing.
        """
        if scene.is_being_deleted:
            await self._release(scene)
            return None
        linger_s = await self._end_lingering(scene)
        left_s = _get_time_to_live(scene) if status.phase.is_terminal else None
        if status.phase.is_terminal:
            entry = _build_entry(scene, status)
            await self._reports.record_end(entry, status)
        if left_s is not None and left_s <= 0 and scene.is_over:
            metadata = scene.document["metadata"]
            await self._cluster.delete(WEEK_JOBS, metadata["namespace"], metadata["name"], metadata["uid"])
            left_s = None
        return min((delay_s for delay_s in (linger_s, left_s) if delay_s is not None), default=None)

    async def release_settled(self, scene: Scene, status: WeekJobStatus) -> None:
        """Let go of a week job that ended or was stopped, and whose accounts are closed.

        Held by the finalizer, it could not be deleted once the controller is uninstalled.
        """
        is_at_rest = status.phase.is_terminal or status.phase is Phase.SUSPENDED
        if is_at_rest and not any(child.has_running_pods for child in scene.children):
            await self._release(scene)

    async def _release(self, scene: Scene) -> None:
        """Take the finalizer off a week job."""
        metadata = scene.document["metadata"]
        if labels.FINALIZER not in metadata.get("finalizers", ()):
            return
        rest = [name for name in metadata["finalizers"] if name != labels.FINALIZER]
        body = {"metadata": {"uid": metadata["uid"], "finalizers": rest or None}}
        await self._cluster.patch(WEEK_JOBS, metadata["namespace"], metadata["name"], body)

    async def _end_lingering(self, scene: Scene) -> float | None:
        """Delete children that ended a while ago and whose pods run on; return when the next of them is due."""
        left: list[float] = []
        for child in scene.children:
            if not (child.has_running_pods and _has_ended(child, scene)):
                continue
            since = _get_end(child, scene) or scene.now
            left_s = _LINGER_S - (scene.now - since).total_seconds()
            if left_s > 0:
                left.append(left_s)
            elif not child.is_being_deleted:
                LOGGER.warning("%s ran on after its end and is deleted", child.description)
                await self._children.delete([child])
        return min(left, default=None)


def _get_time_to_live(scene: Scene) -> float | None:
    """Return the seconds until a week job that ended is deleted; the whole time, where it ended just now."""
    ttl_s: float | None = scene.document["spec"].get("ttlSecondsAfterFinished")
    if ttl_s is None:
        return None
    ended_s = (scene.now - scene.ended_at).total_seconds() if scene.ended_at else 0.0
    return max(ttl_s, SHORTEST_TIME_TO_LIVE_S) - ended_s


def _build_entry(scene: Scene, status: WeekJobStatus) -> WeekJobEntry:
    """Return what the history keeps of a week job that ended."""
    roster, metadata = scene.roster, scene.document["metadata"]
    student = roster.students.get(scene.namespace) if roster else None
    return WeekJobEntry(
        uid=scene.uid,
        namespace=scene.namespace,
        name=metadata["name"],
        unit=scene.document["spec"]["unit"],
        course=roster.course.metadata.name if roster else "",
        student=student.name if student else scene.namespace,
        phase=status.phase,
        created_at=scene.created_at,
        started_at=status.started_at,
        ended_at=status.ended_at,
    )


def _has_ended(child: Child, scene: Scene) -> bool:
    """Whether nothing is expected of a child any more."""
    step = scene.steps.get(child.step)
    return scene.is_over or (step is not None and (step.attempt > child.attempt or step.phase.is_terminal))


def _get_end(child: Child, scene: Scene) -> dt.datetime | None:
    """Return when a child ended: when it reported so, when its step was tried again, or when the week job ended.

    All of it is in the history and on the cluster, so that a restart begins no time anew.
    """
    again = [one.created_at for one in scene.children if one.step == child.step and one.attempt > child.attempt]
    times = [scene.ends.get((child.step, child.attempt)), *again, scene.ended_at]
    return min((time for time in times if time is not None), default=None)
