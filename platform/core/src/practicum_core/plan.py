"""The brain: what should run next, and what the status says. Pure: no clock, no client, no file.

Both executors observe, call :func:`plan`, and apply. ``Plan.objects`` holds every step that should exist now; the
executor starts what is missing and stops what is not wanted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.curriculum import get_unit
from practicum_core.errors import ConfigError, Reason
from practicum_core.lifetimes import is_done, may_start, may_stay
from practicum_core.observed import Hold, Observed, ObservedStep
from practicum_core.phases import Phase
from practicum_core.resolve import ResolvedStep, resolve_steps
from practicum_core.status import Outlook, build_rejection, build_status, count_restarts, count_resumes, get_active_s
from practicum_core.weekjob import WeekJob, WeekJobSpec, WeekJobStatus

__all__ = ["Hold", "Observed", "ObservedStep", "Plan", "StepObject", "build_rejection", "plan"]

POLL_INTERVAL_S = 0.2
TRANSIENT_REASONS = frozenset(
    {
        Reason.STAGE_CRASHED,
        Reason.INTERNAL,
        Reason.UPSTREAM_UNAVAILABLE,
        Reason.WORKER_LOST,
        Reason.EVICTED,
        Reason.RUN_BUSY,
        Reason.SERVER_NOT_READY,
    }
)
"""Failures that are tried again, up to ``backoffLimit``."""
SERVER_TRANSIENT_REASONS = TRANSIENT_REASONS | {Reason.OUT_OF_MEMORY}
"""Failures of a server that are tried again, up to ``serving.maxRestarts``: a burst of requests may take memory."""
_USUAL_RESTARTS = 3


@dataclass(frozen=True)
class StepObject:
    """A step that should exist now: the executor makes a process or a Kubernetes object of it."""

    step: ResolvedStep
    attempt: int


@dataclass(frozen=True)
class Plan:
    """What should be, and what to tell people. ``requeue_after_s`` is ``None`` when nothing more will happen."""

    objects: tuple[StepObject, ...]
    status: WeekJobStatus
    requeue_after_s: float | None


def plan(weekjob: WeekJob, observed: Observed, now: dt.datetime) -> Plan:
    """Compute the desired steps and the status from what is observed.

    A step starts when the steps that it needs have ended, or are ready where they are servers. A server stays until
    the last step that uses it has ended, or longer where ``spec.serving.keep`` says so. A step that failed for a
    transient reason is started again up to ``spec.backoffLimit`` times, a server up to ``spec.serving.maxRestarts``
    times; a start that followed a stop is none of them. A stop request ends what runs (tasks write a checkpoint) and
    starts nothing. A terminal ``observed.previous`` is final: it comes back unchanged. An executor that was told to go
    on with a failed run leaves it out.
    """
    if observed.previous is not None and observed.previous.phase.is_terminal:
        return Plan((), observed.previous, None)
    try:
        look = _Look(weekjob.spec, resolve_steps(weekjob), observed, now)
    except ConfigError as error:
        return Plan((), build_rejection(error, observed, now), None)
    failure = look.find_failure()
    end = look.get_untimely_end()
    objects: tuple[StepObject, ...] = ()
    if not look.is_stopping and failure is None and end is None:
        objects = tuple(StepObject(step, look.get_attempt(step)) for step in look.steps if look.is_wanted(step))
    outlook = Outlook(
        steps=look.steps,
        current=look.current,
        starting=tuple(item.step.name for item in objects),
        held=None if look.is_stopping else look.find_held(),
        end=end,
        failure=failure,
        is_kept=look.is_kept and not look.is_stopping,
    )
    status = build_status(get_unit(weekjob.spec.unit, weekjob.spec.variant), observed, now, outlook)
    is_over = status.phase.is_terminal or status.phase is Phase.SUSPENDED
    return Plan(objects, status, None if is_over else POLL_INTERVAL_S)


class _Look:
    """What follows from one observation of a week job: which steps are done, wanted, held or failed.

    Args:
        spec: What the student asked for.
        steps: The unit's steps, resolved.
        observed: What the executor sees.
        now: The time of the look.
    """

    def __init__(self, spec: WeekJobSpec, steps: Sequence[ResolvedStep], observed: Observed, now: dt.datetime) -> None:
        self._spec = spec
        self.steps = steps
        self._observed = observed
        self._now = now
        self.is_stopping = observed.is_stop_requested or spec.suspend
        unfinished = [step for step in steps if not is_done(step, steps, observed.steps)]
        tasks = [step for step in unfinished if not step.spec.is_server]
        self.current: ResolvedStep | None = next(iter(tasks or unfinished), None)
        self.is_kept = self._keeps_servers()

    def _keeps_servers(self) -> bool:
        """Whether servers stay although no step uses them: asked for, and the time to live is not over."""
        serving, ttl_s = self._spec.serving, self._spec.ttl_seconds_after_finished
        if serving is None or not serving.keep:
            return False
        ended_at = self._observed.previous.completion_time if self._observed.previous else None
        if self.current is not None or ttl_s is None or ended_at is None:
            return True
        return (self._now - dt.datetime.fromisoformat(ended_at)).total_seconds() < ttl_s

    def is_wanted(self, step: ResolvedStep) -> bool:
        """Whether a step should exist now, running or started."""
        seen = self._observed.steps.get(step.name)
        if is_done(step, self.steps, self._observed.steps) and not self._is_kept_server(step):
            return False
        is_running = seen is not None and seen.is_alive and may_stay(step, self.steps, self._observed.steps)
        return (is_running or self._may_start(step)) and self._may_exist(seen, self._observed.holds.get(step.name))

    def _is_kept_server(self, step: ResolvedStep) -> bool:
        """Whether a server stays after its users; one that failed for good does not come back."""
        return step.spec.is_server and self.is_kept and not self._has_failed_for_good(step)

    def _may_start(self, step: ResolvedStep) -> bool:
        return may_start(step, self.steps, self._observed.steps, keeps_servers=self.is_kept)

    @staticmethod
    def _may_exist(seen: ObservedStep | None, hold: Hold | None) -> bool:
        """A running step is kept whatever holds it. A queued step is removed when the student is over budget."""
        if hold is None:
            return True
        if seen is not None and seen.phase is Phase.QUEUED:
            return hold.reason is not Reason.BUDGET_EXCEEDED
        return seen is not None and seen.is_alive

    def get_attempt(self, step: ResolvedStep) -> int:
        """Return the number of the start that should be under way: one more after an end."""
        seen = self._observed.steps.get(step.name)
        if seen is None:
            return 1
        return seen.attempt if seen.is_alive else seen.attempt + 1

    def find_failure(self) -> tuple[ResolvedStep, ObservedStep | None] | None:
        """Return the first step that failed and is not tried again, while something needs it.

        With it comes what is seen of it: nothing, of a server that was taken down for that.
        """
        for step in self.steps:
            is_needed = not is_done(step, self.steps, self._observed.steps)
            if is_needed and self._has_failed_for_good(step):
                return step, self._observed.steps.get(step.name)
        return None

    def _has_failed_for_good(self, step: ResolvedStep) -> bool:
        seen = self._observed.steps.get(step.name)
        restarts = count_restarts(step.name, seen, self._observed.previous)
        if step.spec.is_server and restarts > self._get_retries(step):
            return True
        if seen is None or not (seen.phase is Phase.FAILED or (step.spec.is_server and seen.phase is Phase.SUCCEEDED)):
            return False
        # A server that ends by itself with a record has died all the same: something needs it.
        transient = SERVER_TRANSIENT_REASONS if step.spec.is_server else TRANSIENT_REASONS
        is_transient = seen.phase is Phase.SUCCEEDED or seen.reason in transient
        num_failures = seen.attempt - count_resumes(step.name, seen, self._observed.previous)
        return not (is_transient and num_failures <= self._get_retries(step))

    def _get_retries(self, step: ResolvedStep) -> int:
        if not step.spec.is_server:
            return self._spec.backoff_limit
        return self._spec.serving.max_restarts if self._spec.serving else _USUAL_RESTARTS

    def find_held(self) -> tuple[ResolvedStep, Hold] | None:
        """Return the first step that could start and is held."""
        for step in self.steps:
            hold = self._observed.holds.get(step.name)
            seen = self._observed.steps.get(step.name)
            is_open = not is_done(step, self.steps, self._observed.steps) and not (seen and seen.is_alive)
            if hold is not None and is_open and self._may_start(step):
                return step, hold
        return None

    def get_untimely_end(self) -> Hold | None:
        """Say which deadline has passed, if one has."""
        limit_s = self._spec.active_deadline_seconds
        if self.current is None:
            return None
        if limit_s is not None and get_active_s(self._observed, self._now) > limit_s:
            return Hold(Reason.DEADLINE_EXCEEDED, f"ran longer than {limit_s} s")
        limit_s = self._spec.pre_running_deadline_seconds
        for step in self.steps:
            seen = self._observed.steps.get(step.name)
            if seen is None or seen.phase is not Phase.INITIALIZING or seen.admitted_at is None or limit_s is None:
                continue
            if (self._now - seen.admitted_at).total_seconds() > limit_s:
                why = f": {seen.message}" if seen.message else ""
                text = f"{step.name} did not run within {limit_s} s{why}"
                return Hold(Reason.PRE_RUNNING_DEADLINE_EXCEEDED, text)
        return None
