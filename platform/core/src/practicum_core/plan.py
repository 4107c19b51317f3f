"""The plan of a week job: which steps should exist now, and what the status says. Pure: no clock, no client, no file.

Both executors observe, call :func:`plan`, and apply. ``Plan.objects`` holds every step that should exist now; the
executor starts what is missing and stops what is not wanted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from practicum_core.errors import ConfigError, Reason
from practicum_core.gates import check_gates
from practicum_core.lifetimes import StepFacts, Survey, list_coexisting, survey_steps
from practicum_core.observed import Hold, Observed
from practicum_core.phases import Phase
from practicum_core.resolve import ResolvedStep, ResolvedUnit, resolve_unit
from practicum_core.status import Decision, build_rejection, build_status
from practicum_core.weekjob import WeekJob, WeekJobSpec, WeekJobStatus

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
    """What should be, and what to tell people.

    ``requeue_after_s`` is ``None`` when nothing more will happen. ``groups`` are the steps that exist together, at one
    time or another, where anything is to be started: an executor can tell whether they fit before it makes the first.
    ``deadline_in_s`` are the seconds until what runs passes ``activeDeadlineSeconds``; ``None`` while nothing runs.
    """

    objects: tuple[StepObject, ...]
    status: WeekJobStatus
    requeue_after_s: float | None
    groups: Sequence[Sequence[ResolvedStep]] = ()
    deadline_in_s: float | None = None


def plan(weekjob: WeekJob, observed: Observed, now: dt.datetime) -> Plan:
    """Resolve a week job's unit and compute the desired steps and the status; a unit that cannot be run is rejected.

    See :func:`plan_unit`.
    """
    if observed.previous is not None and observed.previous.phase.is_terminal:
        return Plan((), observed.previous, None)
    try:
        unit = resolve_unit(weekjob)
    except ConfigError as error:
        return Plan((), build_rejection(error, observed, now), None)
    return plan_unit(weekjob.spec, unit, observed, now)


def plan_unit(spec: WeekJobSpec, unit: ResolvedUnit, observed: Observed, now: dt.datetime) -> Plan:
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
    survey = survey_steps(spec, unit.steps, observed, now)
    groups = list_coexisting(unit.steps, keeps_servers=survey.is_kept)
    decision = _decide(spec, survey, now, is_stopping=observed.is_stop_requested or spec.suspend)
    gates = check_gates(unit.unit.gates, survey.metrics) if survey.current is None else ()
    status = build_status(observed, now, survey, decision, gates)
    objects = tuple(StepObject(one.step, _get_attempt(one)) for one in decision.wanted)
    is_over = status.phase.is_terminal or status.phase is Phase.SUSPENDED
    limit_s = spec.active_deadline_seconds
    deadline_in_s = None if status.active_since is None or limit_s is None else limit_s - survey.clock.active_s
    return Plan(objects, status, None if is_over else POLL_INTERVAL_S, groups if objects else (), deadline_in_s)


def _decide(spec: WeekJobSpec, survey: Survey, now: dt.datetime, *, is_stopping: bool) -> Decision:
    failure = _find_failure(spec, survey)
    end = _get_untimely_end(spec, survey, now)
    is_free = not is_stopping and failure is None and end is None
    return Decision(
        wanted=tuple(one for one in survey.facts if is_free and _is_wanted(spec, survey, one)),
        held=None if is_stopping else _find_held(survey),
        end=end,
        failure=failure,
        is_kept=survey.is_kept and not is_stopping,
    )


def _is_wanted(spec: WeekJobSpec, survey: Survey, facts: StepFacts) -> bool:
    """Whether a step should exist now, running or started.

    A kept server stays after its users; one that failed for good does not come back.
    """
    is_kept = facts.is_server and survey.is_kept and not _has_failed_for_good(spec, facts)
    if facts.is_done and not is_kept:
        return False
    return ((facts.is_alive and facts.may_stay) or facts.may_start) and _may_exist(facts)


def _may_exist(facts: StepFacts) -> bool:
    """Whether a hold allows a step.

    A running step is kept unless the hold stops it; a queued one is removed when the student is over budget.
    """
    if facts.hold is None:
        return True
    if facts.hold.stops_running:
        return False
    if facts.phase is Phase.QUEUED:
        return facts.hold.reason is not Reason.BUDGET_EXCEEDED
    return facts.is_alive


def _get_attempt(facts: StepFacts) -> int:
    """Return the number of the start that should be under way: one more after an end."""
    if facts.seen is None:
        return 1
    return facts.seen.attempt if facts.is_alive else facts.seen.attempt + 1


def _find_failure(spec: WeekJobSpec, survey: Survey) -> StepFacts | None:
    """Return the first step that failed and is not tried again, while something needs it.

    Nothing is seen of a server that was taken down for that.
    """
    return next((one for one in survey.facts if not one.is_done and _has_failed_for_good(spec, one)), None)


def _has_failed_for_good(spec: WeekJobSpec, facts: StepFacts) -> bool:
    retries = _get_retries(spec, facts)
    if facts.is_server and facts.restarts > retries:
        return True
    # A server that ends by itself with a record has died all the same: something needs it.
    has_died = facts.is_server and facts.phase is Phase.SUCCEEDED
    if facts.seen is None or not (facts.phase is Phase.FAILED or has_died):
        return False
    transient = SERVER_TRANSIENT_REASONS if facts.is_server else TRANSIENT_REASONS
    is_transient = has_died or facts.seen.reason in transient
    return not (is_transient and facts.seen.attempt - facts.resumes <= retries)


def _get_retries(spec: WeekJobSpec, facts: StepFacts) -> int:
    if not facts.is_server:
        return spec.backoff_limit
    return spec.serving.max_restarts if spec.serving else _USUAL_RESTARTS


def _find_held(survey: Survey) -> tuple[ResolvedStep, Hold] | None:
    """Return the first step that could start and is held."""
    for one in survey.facts:
        if one.hold is not None and one.may_start and not one.is_done and not one.is_alive:
            return one.step, one.hold
    return None


def _get_untimely_end(spec: WeekJobSpec, survey: Survey, now: dt.datetime) -> Hold | None:
    """Say which deadline has passed, if one has."""
    limit_s = spec.active_deadline_seconds
    if survey.current is None:
        return None
    if limit_s is not None and survey.clock.active_s > limit_s:
        return Hold(Reason.DEADLINE_EXCEEDED, f"ran longer than {limit_s} s")
    limit_s = spec.pre_running_deadline_seconds
    for one in survey.facts:
        if one.seen is None or one.phase is not Phase.INITIALIZING or one.seen.admitted_at is None or limit_s is None:
            continue
        if (now - one.seen.admitted_at).total_seconds() > limit_s:
            why = f": {one.seen.message}" if one.seen.message else ""
            text = f"{one.name} did not run within {limit_s} s{why}"
            return Hold(Reason.PRE_RUNNING_DEADLINE_EXCEEDED, text)
    return None
