"""How week jobs end: pods that outlive their report, the entry in the history, the finalizer, the time to live."""

from __future__ import annotations

import datetime as dt
import logging

from practicum_controller.accounts import Accounts
from practicum_controller.children import Children
from practicum_controller.client import Cluster
from practicum_controller.documents import read_time
from practicum_controller.history import WeekJobEntry
from practicum_controller.kinds import WEEK_JOBS
from practicum_controller.reports import Reports
from practicum_controller.scene import Child, Scene
from practicum_core import labels
from practicum_core.errors import PlatformError
from practicum_core.weekjob import WeekJobStatus

LOGGER = logging.getLogger(__name__)
_LINGER_S = 120.0
"""Seconds that a pod may live on after its report of the end: a process that hangs gives its GPU back then."""


class Endings:
    """Brings week jobs to their ends.

    Args:
        cluster: Where changes are made.
        children: What deletes children.
        reports: What stages reported, and the way into the history.
        accounts: What was used.
    """

    def __init__(self, cluster: Cluster, children: Children, reports: Reports, accounts: Accounts) -> None:
        self._cluster = cluster
        self._children = children
        self._reports = reports
        self._accounts = accounts

    async def release(self, scene: Scene) -> None:
        """Close the accounts of a week job that is being deleted, and let it go whatever comes."""
        metadata = scene.document["metadata"]
        if labels.FINALIZER not in metadata.get("finalizers", ()):
            return
        try:
            await self._accounts.settle(scene)
        except PlatformError as error:
            # The sweep closes the accounts of children that are gone, once the history is back.
            LOGGER.warning("%s: the accounts stay open for now: %s", metadata["uid"], error.detail)
        rest = [name for name in metadata["finalizers"] if name != labels.FINALIZER]
        body = {"metadata": {"uid": metadata["uid"], "finalizers": rest or None}}
        await self._cluster.patch(WEEK_JOBS, metadata["namespace"], metadata["name"], body)

    async def record(self, scene: Scene, status: WeekJobStatus) -> None:
        """Write into the history that a week job ended."""
        metadata, roster = scene.document["metadata"], scene.roster
        student = roster.students.get(scene.namespace) if roster else None
        entry = WeekJobEntry(
            uid=scene.uid,
            namespace=scene.namespace,
            name=metadata["name"],
            unit=scene.document["spec"]["unit"],
            course=roster.course.metadata.name if roster else "",
            student=student.name if student else scene.namespace,
            phase=status.phase,
            created_at=read_time(metadata["creationTimestamp"]) or scene.now,
            started_at=read_time(status.start_time),
            ended_at=read_time(status.completion_time),
        )
        await self._reports.close(entry)

    async def end_lingering(self, scene: Scene) -> float | None:
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

    async def expire(self, scene: Scene, status: WeekJobStatus) -> float | None:
        """Delete a finished week job when its time to live is over; return the seconds until then."""
        ttl_s: float | None = scene.document["spec"].get("ttlSecondsAfterFinished")
        ended_at = read_time(status.completion_time)
        if ttl_s is None or ended_at is None:
            return None
        left_s = ttl_s - (scene.now - ended_at).total_seconds()
        if left_s > 0:
            return left_s
        metadata = scene.document["metadata"]
        await self._cluster.delete(WEEK_JOBS, metadata["namespace"], metadata["name"], metadata["uid"])
        return None


def _has_ended(child: Child, scene: Scene) -> bool:
    """Whether nothing is expected of a child any more."""
    step = scene.steps.get(child.step)
    return scene.is_over or (step is not None and (step.attempt > child.attempt or step.phase.is_terminal))


def _get_end(child: Child, scene: Scene) -> dt.datetime | None:
    """Return when a child ended: when it reported so, when its step was tried again, or when the week job ended.

    All of it is in the history and on the cluster, so that a restart begins no time anew.
    """
    again = [one.created_at for one in scene.children if one.step == child.step and one.attempt > child.attempt]
    over = read_time(scene.previous.completion_time) if scene.previous is not None and scene.is_over else None
    times = [scene.ends.get((child.step, child.attempt)), *again, over]
    return min((time for time in times if time is not None), default=None)
