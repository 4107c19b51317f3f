"""What the stages of open week jobs reported last, kept at hand. The history has each report before it is here."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Collection, Mapping

from practicum_controller.history import Attempt, Attempts, History, KeptReport, WeekJobEntry
from practicum_core.reports import StepReport
from practicum_core.weekjob import WeekJobStatus

_NOTHING: Attempts = {}


class Reports:
    """The last report of each attempt of each step, by the uid of the week job.

    Args:
        history: Where everything is kept.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._kept: dict[str, Attempts] = {}
        # Week jobs that this process ended. A list that was under way when the end was written shows the time before
        # it, and the reports are gone by then: the week would run again. A process that starts lists everything after
        # the last write of the one before it, so it needs no such memory.
        self._ended: dict[str, WeekJobStatus] = {}
        self._recorded: set[str] = set()

    async def load(self) -> None:
        """Read what a controller before this one left of week jobs that have not ended."""
        self._recorded |= await asyncio.to_thread(self._history.list_ended_uids)
        kept = await asyncio.to_thread(self._history.load_reports, with_ended=False)
        for attempts in kept.values():
            # One that came in meanwhile is newer and stands.
            for key, report in attempts.items():
                if key not in self._kept.get(report.report.uid, {}):
                    self.take(report.report, report.received_at)

    def take(self, report: StepReport, received_at: dt.datetime) -> None:
        """Take a report that the history has."""
        attempts = self._kept.setdefault(report.uid, {})
        key = Attempt(report.step, report.attempt)
        before = attempts.get(key)
        if before is None or not before.report.is_final:
            attempts[key] = KeptReport(report.model_copy(update={"evidence_html": None}), received_at)

    def get(self, uid: str) -> Mapping[Attempt, KeptReport]:
        """Return the last report of each attempt of a week job."""
        return self._kept.get(uid, _NOTHING)

    async def read_evidence(self, uid: str) -> str | None:
        """Return the evidence page of a week job: gzip, then base64."""
        return await asyncio.to_thread(self._history.read_last_evidence, uid)

    def get_end(self, uid: str) -> WeekJobStatus | None:
        """Return how a week job ended, where this process wrote its end."""
        return self._ended.get(uid)

    async def record_end(self, entry: WeekJobEntry, status: WeekJobStatus) -> None:
        """Write into the history, once, that a week job ended whose status says so, and let go of its reports.

        A restart does not load them.
        """
        self._ended[entry.uid] = WeekJobStatus(
            phase=status.phase,
            start_time=status.start_time,
            completion_time=status.completion_time,
            observed_generation=status.observed_generation,
        )
        if entry.uid in self._recorded:
            return
        await asyncio.to_thread(self._history.save_week_job, entry)
        self._recorded.add(entry.uid)
        self._kept.pop(entry.uid, None)

    async def reopen(self, uid: str) -> None:
        """Forget that a week job ended, and what its steps reported: it begins anew."""
        await asyncio.to_thread(self._history.reopen, uid)
        self._recorded.discard(uid)
        for kept in (self._kept, self._ended):
            kept.pop(uid, None)

    async def forget_missing(self, uids: Collection[str], now: dt.datetime) -> None:
        """Drop the working data of week jobs that are gone, also of those that went while no controller ran."""
        for kept in (self._kept, self._ended):
            for uid in kept.keys() - set(uids):
                del kept[uid]
        self._recorded &= set(uids)
        await asyncio.to_thread(self._history.forget_missing, uids, now)
