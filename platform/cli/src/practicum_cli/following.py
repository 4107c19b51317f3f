"""Following a week job of a cluster: it is read until it is over, and shown with the same events as a local run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from practicum_cli.cluster_runs import ClusterRun
from practicum_cli.executor import Listener
from practicum_core.errors import PracticumError, Reason
from practicum_core.events import build_event_line
from practicum_core.phases import Phase
from practicum_core.weekjob import StageStatus, WeekJobStatus

SHORTEST_S, LONGEST_S = 1.0, 5.0
"""Pauses between two looks: short while something changes, longer in a long queue."""
PATIENCE_S = 300.0
"""Seconds after which an API server that does not answer ends the following."""
_BEGUN = (Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED)
_WAITING = (Phase.PENDING, Phase.QUEUED, Phase.INITIALIZING, Phase.SUSPENDED)


class Follower:
    """Follows one week job.

    Args:
        look: Reads it; ``None`` where it is gone.
        listener: Who is told.
        sleep: Waits for seconds.
        get_now: The clock, with a time zone.
    """

    def __init__(
        self,
        look: Callable[[], ClusterRun | None],
        listener: Listener,
        sleep: Callable[[float], object],
        get_now: Callable[[], dt.datetime],
    ) -> None:
        self._look = look
        self._listener = listener
        self._sleep = sleep
        self._get_now = get_now

    def follow(self, run: ClusterRun) -> ClusterRun:
        """Follow a week job from what is known of it to its end, and return what it is then.

        Raises:
            PracticumError: It was deleted, may not be read any more, or the API server is silent for too long.
        """
        self._emit("run_started", unit=run.weekjob.spec.unit, run=run.name, namespace=run.namespace)
        before, pause_s = None, SHORTEST_S
        while True:
            if run.status != before:
                for event, details in iter_events(before or WeekJobStatus(), run.status):
                    self._emit(event, **details)
                self._listener.on_status(run.status)
                before, pause_s = run.status, SHORTEST_S
            if run.is_over:
                self._emit("run_finished", phase=run.status.phase, reason=run.status.reason)
                return run
            self._sleep(pause_s)
            pause_s = min(pause_s * 1.2, LONGEST_S)
            run = self._look_again(run)

    def _look_again(self, run: ClusterRun) -> ClusterRun:
        silent_since: dt.datetime | None = None
        while True:
            try:
                found = self._look()
            except PracticumError as error:
                now = self._get_now()
                if silent_since is None:
                    silent_since = now
                    self._emit("cluster_silent", message=error.detail)
                silent_s = (now - silent_since).total_seconds()
                if error.reason is not Reason.UPSTREAM_UNAVAILABLE or silent_s > PATIENCE_S:
                    raise
                self._sleep(LONGEST_S)
                continue
            if found is None or found.uid != run.uid:
                raise PracticumError(
                    Reason.STOPPED, f"{run.title}: it was deleted", "submit its file again to start it anew"
                )
            return found

    def _emit(self, event: str, **details: Any) -> None:  # noqa: ANN401 - any JSON value
        self._listener.on_event(build_event_line(self._get_now(), event, **details))


def iter_events(before: WeekJobStatus, now: WeekJobStatus) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what must have happened between two looks: event and details, as the local executor names them."""
    known = {stage.name: stage for stage in before.stages}
    for stage in now.stages:
        yield from _iter_stage_events(known.get(stage.name), stage, now)
    said = (now.phase, now.reason, now.message)
    if now.phase in _WAITING and now.message and said != (before.phase, before.reason, before.message):
        yield "waiting", {"phase": now.phase, "reason": now.reason, "message": now.message}


def _iter_stage_events(
    before: StageStatus | None, stage: StageStatus, now: WeekJobStatus
) -> Iterator[tuple[str, dict[str, Any]]]:
    is_same = before is not None and before.attempt == stage.attempt
    phase = before.phase if before is not None and is_same else Phase.PENDING
    if stage.phase in _BEGUN and phase not in _BEGUN:
        yield "step_started", {"step": stage.name, "attempt": stage.attempt}
    if stage.phase.is_terminal and not phase.is_terminal:
        details = {"step": stage.name, "phase": stage.phase, "message": stage.message}
        reason = now.reason if stage.phase is Phase.FAILED and now.phase is Phase.FAILED else None
        yield "step_finished", {**details, "reason": reason, "duration_s": stage.duration_seconds}
