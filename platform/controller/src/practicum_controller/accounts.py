"""Accounts of GPU time: what runs is charged, what let go is settled, and who is over budget.

Everything here is a copy: what must outlive the process is in the history before it is here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace

from practicum_controller.history import History
from practicum_controller.ledger import (
    WEEK,
    AccountKey,
    BudgetState,
    Usage,
    count_gpu_hours,
    get_cap_h,
    get_last_reset,
    read_budget,
)
from practicum_controller.rosters import Roster
from practicum_controller.scene import Child, Scene
from practicum_core.course import Course
from practicum_core.errors import PlatformError
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.weekjob import WeekJob

LOGGER = logging.getLogger(__name__)


class Accounts:
    """What each child held of GPUs, by namespace.

    Args:
        history: Where everything is kept.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._usage: defaultdict[str, dict[AccountKey, Usage]] = defaultdict(dict)

    async def load(self, now: dt.datetime) -> None:
        """Read what a controller before this one left."""
        for usage in await asyncio.to_thread(self._history.list_usage, None, now - WEEK):
            self._usage[usage.namespace][usage.key] = usage

    def read_budget(self, roster: Roster | None, weekjob: WeekJob, now: dt.datetime) -> BudgetState:
        """Return how the budget stands of a week job's student; without limits where the week job asks for no GPU."""
        namespace = weekjob.metadata.namespace
        student = roster.students.get(namespace) if roster is not None else None
        if roster is None or student is None or not weekjob.spec.resources.gpu.slices:
            return BudgetState()
        spec = roster.course.spec
        return read_budget(self._usage[namespace].values(), get_cap_h(spec, student), spec.budget, now)

    def count_gpu_hours(self, course: Course, namespace: str, now: dt.datetime) -> float:
        """Return the GPU hours that a namespace used since the last reset."""
        since = get_last_reset(course.spec.budget, now)
        return count_gpu_hours(self._usage[namespace].values(), since, now)

    async def charge(self, scene: Scene) -> float | None:
        """Bring the accounts of a week job to what its children hold now.

        Returns:
            Seconds until the student's budget is used up if what runs goes on; ``None`` while nothing uses it up.
        """
        if scene.is_being_deleted:
            await self._settle(scene)
            return None
        is_held = build_hold_test(scene)
        ends = {child.uid: child.stopped_at for child in scene.children}
        for usage in self._list_open(scene.namespace, scene.uid):
            if not is_held(usage):
                await self._close(usage, choose_time(ends.get(usage.key.child_uid), usage.started_at, scene.now))
        if scene.roster is None:
            return None
        for child in scene.children:
            if child.uid in scene.current_uids:
                await self._charge_child(child, scene, scene.roster)
        return self.read_budget(scene.roster, scene.weekjob, scene.now).left_s if scene.weekjob is not None else None

    def is_settled(self, scene: Scene) -> bool:
        """Whether no account of a week job is open."""
        return not self._list_open(scene.namespace, scene.uid)

    async def _settle(self, scene: Scene) -> None:
        """Close every account of a week job that is being deleted, which is let go whatever comes."""
        try:
            for usage in self._list_open(scene.namespace, scene.uid):
                await self._close(usage, scene.now)
        except PlatformError as error:
            # The sweep closes the accounts of children that are gone, once the history is back.
            LOGGER.warning("%s: the accounts stay open for now: %s", scene.uid, error.detail)

    async def close_missing(self, children: Collection[str], now: dt.datetime) -> None:
        """Close accounts of children that are gone."""
        for usages in list(self._usage.values()):
            for usage in list(usages.values()):
                if usage.ended_at is None and usage.key.child_uid not in children:
                    await self._close(usage, now)

    def forget_old(self, now: dt.datetime) -> None:
        """Drop what no budget counts any more."""
        for usages in self._usage.values():
            for key, usage in list(usages.items()):
                if usage.ended_at is not None and usage.ended_at < now - WEEK:
                    del usages[key]

    def _list_open(self, namespace: str, week_job_uid: str) -> list[Usage]:
        usages = self._usage[namespace].values()
        return [usage for usage in usages if usage.week_job_uid == week_job_uid and usage.ended_at is None]

    async def _charge_child(self, child: Child, scene: Scene, roster: Roster) -> None:
        step = scene.steps[child.step]
        times = [usage for usage in self._usage[scene.namespace].values() if usage.key.child_uid == child.uid]
        opened = next((usage for usage in times if usage.ended_at is None), None)
        gpus = child.slices / roster.course.spec.gpu.slices_per_gpu
        if child.is_scaled and opened is not None and opened.gpus != gpus:
            # A replica came or went: what they hold together from now on is an account of its own.
            await self._close(opened, scene.now)
            times = [replace(one, ended_at=one.ended_at or scene.now) for one in times]
            opened = None
        if not child.slices:
            return
        is_running = step.phase in (Phase.RUNNING, Phase.SERVING)
        if is_running and opened is None:
            # A child that was preempted runs again under its old uid: each time is an account of its own.
            last_end = max((usage.ended_at for usage in times if usage.ended_at is not None), default=None)
            started_at = choose_time(child.started_at, last_end, scene.now)
            await self._open(AccountKey(child.uid, len(times)), child, started_at, scene, roster)
        elif not is_running and opened is not None and not _runs_on(step, child):
            await self._close(opened, choose_time(child.stopped_at, opened.started_at, scene.now))
        elif step.phase.is_terminal and not times and child.started_at is not None:
            # It began and ended between two looks, as while no controller ran.
            started_at = choose_time(child.started_at, None, scene.now)
            usage = await self._open(AccountKey(child.uid), child, started_at, scene, roster)
            if not child.has_running_pods:
                await self._close(usage, choose_time(child.stopped_at, child.started_at, scene.now))

    async def _open(
        self, key: AccountKey, child: Child, started_at: dt.datetime, scene: Scene, roster: Roster
    ) -> Usage:
        course, student = roster.course, roster.students.get(scene.namespace)
        usage = Usage(
            key,
            scene.uid,
            scene.namespace,
            course.metadata.name,
            student.name if student else scene.namespace,
            child.step,
            child.slices / course.spec.gpu.slices_per_gpu,
            started_at,
        )
        await asyncio.to_thread(self._history.open_usage, usage)
        self._usage[scene.namespace][key] = usage
        return usage

    async def _close(self, usage: Usage, ended_at: dt.datetime) -> None:
        await asyncio.to_thread(self._history.close_usage, usage.key, ended_at)
        self._usage[usage.namespace][usage.key] = replace(usage, ended_at=ended_at)


def build_hold_test(scene: Scene) -> Callable[[Usage], bool]:
    """Return what says whether something of a week job may still hold the GPUs of an account.

    A child may: the current attempt of its step, or an earlier one whose pods run yet. So may pods that outlive it.
    """
    holding = scene.current_uids | {child.uid for child in scene.children if child.has_running_pods}
    return lambda usage: usage.key.child_uid in holding or usage.step in scene.left_pods


def _runs_on(step: ObservedStep, child: Child) -> bool:
    """Whether a step reported its end and its pods run all the same: until they end it is charged."""
    return step.phase.is_terminal and child.has_running_pods


def choose_time(said: dt.datetime | None, after: dt.datetime | None, now: dt.datetime) -> dt.datetime:
    """Return the cluster's time of what is seen now, else the present.

    One before ``after`` is of an earlier run of the child; one after ``now`` is of a node whose clock is ahead.

    >>> now = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    >>> [choose_time(now + dt.timedelta(hours=h), now - dt.timedelta(hours=2), now).hour for h in (-3, -1, 1)]
    [0, 23, 0]
    """
    return now if said is None or (after is not None and said < after) else min(said, now)
