"""Decides what the controller keeps at hand of its history: reports of open week jobs, GPU time, places in queues.

Everything here is a copy: what must outlive the process is in the history before it is here.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from practicum_controller import metrics
from practicum_controller.documents import read_time
from practicum_controller.eta import Wait, estimate_wait_s
from practicum_controller.history import Attempts, History, WeekJobEntry
from practicum_controller.ledger import (
    WEEK,
    Usage,
    count_gpu_hours,
    get_cap_h,
    get_gpus,
    get_last_reset,
    get_reason_over_budget,
)
from practicum_controller.observe import QueuePlace, get_slices
from practicum_controller.reconcile import Held, StepNote
from practicum_controller.rosters import Roster
from practicum_core.course import Course
from practicum_core.phases import Phase
from practicum_core.reports import StepReport
from practicum_core.weekjob import WeekJobStatus

Document = dict[str, Any]
_REPORT_STEP = "report"
_ROUND_ETA_S = 60


class ControllerMemory:
    """The controller's memory over a history.

    Args:
        history: Where everything is kept.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._reports: dict[str, Attempts] = {}
        self._places: dict[str, QueuePlace] = {}
        self._usage: defaultdict[str, dict[str, Usage]] = defaultdict(dict)
        self._first_places: dict[str, int] = {}
        self._waited: set[str] = set()

    async def load(self, now: dt.datetime) -> None:
        """Read what a controller before this one left."""
        kept = await asyncio.to_thread(self._history.load_reports, with_ended=False)
        for attempts in kept.values():
            # One that came in meanwhile is newer and stands.
            for report in attempts.values():
                if (report.step, report.attempt) not in self._reports.get(report.uid, {}):
                    self.take_report(report)
        for usage in await asyncio.to_thread(self._history.list_usage, None, now - WEEK):
            self._usage[usage.namespace][usage.child_uid] = usage

    def take_report(self, report: StepReport) -> None:
        """Take a report that the history has."""
        attempts = self._reports.setdefault(report.uid, {})
        before = attempts.get((report.step, report.attempt))
        if before is None or not before.is_final:
            attempts[report.step, report.attempt] = report.model_copy(update={"evidence_html": None})

    def get_reports(self, uid: str) -> Attempts:
        """Return the last report of each attempt of each step."""
        return self._reports.get(uid, {})

    def get_places(self) -> dict[str, QueuePlace]:
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
            self._first_places.setdefault(uid, position)
            if self._places.get(uid) != place:
                self._places[uid] = place
                changed.add(uid)
        return changed

    def drop_places(self, kept: set[str]) -> None:
        """Forget the places of children that wait no more."""
        self._places = {uid: place for uid, place in self._places.items() if uid in kept}

    def get_over_budget(self, roster: Roster, namespace: str, now: dt.datetime) -> str | None:
        """Say why the student may use no more GPU time, if so."""
        student = roster.students.get(namespace)
        if student is None:
            return None
        spec = roster.course.spec
        used_h = self.count_gpu_hours(roster.course, namespace, now)
        return get_reason_over_budget(used_h, get_cap_h(spec, student), spec.budget, now)

    def count_gpu_hours(self, course: Course, namespace: str, now: dt.datetime) -> float:
        """Return the GPU hours that a namespace used since the last reset."""
        since = get_last_reset(course.spec.budget, now)
        return count_gpu_hours(self._usage[namespace].values(), since, now)

    async def read_evidence(self, uid: str) -> str | None:
        """Return the evidence page of a week job."""
        attempts = [attempt for step, attempt in self.get_reports(uid) if step == _REPORT_STEP]
        if not attempts:
            return None
        return await asyncio.to_thread(self._history.read_evidence, uid, _REPORT_STEP, max(attempts))

    async def note_step(self, note: StepNote) -> None:
        """Keep the ledger and the history of waits in step with what runs."""
        uid = note.child["metadata"]["uid"]
        if note.step.phase is not Phase.QUEUED and uid in self._first_places and uid not in self._waited:
            await self._record_wait(note, uid)
        slices = get_slices(note.child)
        if not slices:
            return
        namespace = note.child["metadata"]["namespace"]
        times = [usage for key, usage in self._usage[namespace].items() if key.partition("#")[0] == uid]
        opened = next((usage for usage in times if usage.ended_at is None), None)
        if note.step.phase is Phase.RUNNING and opened is None:
            # A child that was preempted runs again under its old uid: each time is an account of its own.
            last_end = max((usage.ended_at for usage in times if usage.ended_at is not None), default=None)
            started_at = _choose_time(note.started_at, last_end, note.now)
            await self._open(note, f"{uid}#{len(times)}" if times else uid, started_at, slices)
        elif note.step.phase is not Phase.RUNNING and opened is not None and not _runs_on(note):
            await self._close(opened, _choose_time(note.ended_at, opened.started_at, note.now))
        elif note.step.phase.is_terminal and not times and note.started_at is not None:
            # It began and ended between two looks, as while no controller ran.
            await self._open(note, uid, _choose_time(note.started_at, None, note.now), slices)
            if not note.has_running_pods:
                await self._close(self._usage[namespace][uid], _choose_time(note.ended_at, note.started_at, note.now))

    async def _record_wait(self, note: StepNote, uid: str) -> None:
        self._waited.add(uid)
        created_at = read_time(note.child["metadata"]["creationTimestamp"]) or note.now
        admitted_at = note.step.admitted_at or note.now
        waited_s = max((admitted_at - created_at).total_seconds(), 0.0)
        course, position = note.roster.course.metadata.name, self._first_places.pop(uid)
        wait = Wait(uid, course, position, waited_s, admitted_at, get_slices(note.child))
        metrics.QUEUE_WAIT_S.observe(waited_s)
        await asyncio.to_thread(self._history.record_wait, wait)

    async def _open(self, note: StepNote, account: str, started_at: dt.datetime, slices: int) -> None:
        namespace = note.child["metadata"]["namespace"]
        course, student = note.roster.course, note.roster.students.get(namespace)
        usage = Usage(
            account,
            note.document["metadata"]["uid"],
            namespace,
            course.metadata.name,
            student.name if student else namespace,
            note.step_name,
            get_gpus(course.spec, slices),
            started_at,
        )
        await asyncio.to_thread(self._history.open_usage, usage)
        self._usage[namespace][account] = usage

    async def _close(self, usage: Usage, now: dt.datetime) -> None:
        await asyncio.to_thread(self._history.close_usage, usage.child_uid, now)
        closed = replace(usage, ended_at=now)
        self._usage[usage.namespace][usage.child_uid] = closed

    async def settle(self, namespace: str, uid: str, now: dt.datetime, held: Held | None = None) -> None:
        """Close every account of a week job but those that are held."""
        for usage in list(self._usage[namespace].values()):
            is_open = usage.week_job_uid == uid and usage.ended_at is None
            if is_open and not (held and _is_held(usage, held)):
                said = held.ends.get(usage.child_uid.partition("#")[0]) if held else None
                await self._close(usage, _choose_time(said, usage.started_at, now))

    async def close_missing(self, children: set[str], now: dt.datetime) -> None:
        """Close accounts of children that are gone, and forget that these waited."""
        self._waited &= children
        self._first_places = {uid: place for uid, place in self._first_places.items() if uid in children}
        for usages in list(self._usage.values()):
            for usage in list(usages.values()):
                if usage.ended_at is None and usage.child_uid.partition("#")[0] not in children:
                    await self._close(usage, now)

    def is_open(self, uid: str) -> bool:
        """Whether reports are held at hand, as they are until the history knows that the week job ended."""
        return uid in self._reports

    async def end(self, document: Document, roster: Roster | None, status: WeekJobStatus) -> None:
        """Write into the history that a week job ended, and let go of its reports: a restart does not load them."""
        metadata = document["metadata"]
        namespace = metadata["namespace"]
        student = roster.students.get(namespace) if roster else None
        entry = WeekJobEntry(
            uid=metadata["uid"],
            namespace=namespace,
            name=metadata["name"],
            unit=document["spec"]["unit"],
            course=roster.course.metadata.name if roster else "",
            student=student.name if student else namespace,
            phase=status.phase,
            created_at=read_time(metadata["creationTimestamp"]) or dt.datetime.now(dt.UTC),
            started_at=read_time(status.start_time),
            ended_at=read_time(status.completion_time),
        )
        await asyncio.to_thread(self._history.save_week_job, entry)
        self._reports.pop(metadata["uid"], None)

    async def forget_missing(self, uids: set[str], now: dt.datetime) -> None:
        """Drop the working data of week jobs that are gone, also of those that went while no controller ran."""
        for uid in self._reports.keys() - uids:
            del self._reports[uid]
        await asyncio.to_thread(self._history.forget_missing, uids, now)

    async def prune(self, now: dt.datetime, kept_days: int) -> None:
        """Drop what ended long ago: from here what no budget counts any more, from the history what is too old."""
        for usages in self._usage.values():
            for account, usage in list(usages.items()):
                if usage.ended_at is not None and usage.ended_at < now - WEEK:
                    del usages[account]
        await asyncio.to_thread(self._history.prune, now - dt.timedelta(days=kept_days))


def _runs_on(note: StepNote) -> bool:
    """Whether a step reported its end and its pods run all the same: until they end it is charged."""
    return note.step.phase.is_terminal and note.has_running_pods


def _is_held(usage: Usage, held: Held) -> bool:
    return usage.child_uid.partition("#")[0] in held.children or usage.step in held.steps


def _choose_time(said: dt.datetime | None, after: dt.datetime | None, now: dt.datetime) -> dt.datetime:
    """Return the cluster's time of what is seen now, else the present.

    One before ``after`` is of an earlier run of the child; one after ``now`` is of a node whose clock is ahead.

    >>> now = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    >>> [_choose_time(now + dt.timedelta(hours=h), now - dt.timedelta(hours=2), now).hour for h in (-3, -1, 1)]
    [0, 23, 0]
    """
    return now if said is None or (after is not None and said < after) else min(said, now)
