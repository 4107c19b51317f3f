"""Decides what should run next and what the status says. Pure: no clock, no client, no file.

Both executors observe, call :func:`plan`, and apply. ``Plan.objects`` is the desired set of running steps; the
executor starts what is missing and stops what is not wanted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from practicum_core.curriculum import Unit, get_unit
from practicum_core.errors import ConfigError, Reason
from practicum_core.gates import GateResult, check_gates
from practicum_core.metrics import Metric, StageMetric
from practicum_core.phases import ConditionType, Phase
from practicum_core.resolve import ResolvedStep, resolve_steps
from practicum_core.weekjob import Condition, MetricStatus, QueueStatus, StageStatus, WeekJob, WeekJobStatus

POLL_INTERVAL_S = 0.2
TRANSIENT_REASONS = frozenset(
    {
        Reason.STAGE_CRASHED,
        Reason.INTERNAL,
        Reason.UPSTREAM_UNAVAILABLE,
        Reason.WORKER_LOST,
        Reason.EVICTED,
        Reason.RUN_BUSY,
    }
)
"""Failures that are tried again, up to ``backoffLimit``."""


@dataclass(frozen=True)
class ObservedStep:
    """What an executor sees of one step.

    ``phase`` is ``Succeeded`` only where a whole record was read. ``attempt`` counts starts from 1. A step is
    ``Queued`` while it waits for quota and ``Initializing`` from ``admitted_at`` until its program runs.
    """

    phase: Phase
    attempt: int = 1
    child: str | None = None
    reason: Reason | None = None
    message: str = ""
    fix: str = ""
    progress: float | None = None
    eta_s: float | None = None
    duration_s: float | None = None
    metrics: Sequence[Metric] = ()
    admitted_at: dt.datetime | None = None
    queue: QueueStatus | None = None


@dataclass(frozen=True)
class Hold:
    """Why a step may not be started yet."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Observed:
    """What an executor sees of a week job. Steps never started are absent.

    ``holds`` names the steps that may not be started yet. ``started_at`` is when the executor started, for the first
    look; later ``previous`` has the clock.
    """

    steps: Mapping[str, ObservedStep] = field(default_factory=dict)
    started_at: dt.datetime | None = None
    previous: WeekJobStatus | None = None
    evidence: str | None = None
    is_stop_requested: bool = False
    holds: Mapping[str, Hold] = field(default_factory=dict)
    generation: int | None = None


@dataclass(frozen=True)
class StepObject:
    """A step that should be running now: the executor makes a process or a Kubernetes object of it."""

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

    Steps run one after another in the unit's order. A step that failed for a transient reason is started again up to
    ``spec.backoffLimit`` times; a start that followed a stop is none of them. A stop request ends the running step
    (which writes a checkpoint) and starts none. A terminal ``observed.previous`` is final: it comes back unchanged. An
    executor that was told to go on with a failed run leaves it out.
    """
    if observed.previous is not None and observed.previous.phase.is_terminal:
        return Plan((), observed.previous, None)
    unit = get_unit(weekjob.spec.unit, weekjob.spec.variant)
    try:
        steps = resolve_steps(weekjob)
    except ConfigError as error:
        return Plan((), build_rejection(error, observed, now), None)
    current = _get_current_step(steps, observed)
    end = _get_untimely_end(weekjob, observed, current, now)
    is_stopping = observed.is_stop_requested or weekjob.spec.suspend
    seen = observed.steps.get(current.name) if current else None
    failure = (
        seen if current and seen and _has_failed_for_good(weekjob, current.name, seen, observed.previous) else None
    )
    objects: tuple[StepObject, ...] = ()
    hold = None if is_stopping or current is None else observed.holds.get(current.name)
    is_free = not is_stopping and end is None and failure is None
    if current is not None and is_free and _may_be(seen, hold):
        objects = (StepObject(current, _get_attempt(seen)),)
    outlook = _Outlook(current, objects, hold, end, failure)
    status = _build_status(unit, steps, observed, now, outlook)
    is_over = status.phase.is_terminal or status.phase is Phase.SUSPENDED
    return Plan(objects, status, None if is_over else POLL_INTERVAL_S)


@dataclass(frozen=True)
class _Outlook:
    """What the plan decided: the step whose turn it is, what runs, what holds it, and what ended it.

    ``end`` is an end before its time, ``failure`` the step's own where it is not tried again.
    """

    current: ResolvedStep | None
    objects: tuple[StepObject, ...]
    hold: Hold | None
    end: Hold | None
    failure: ObservedStep | None


def _get_current_step(steps: Sequence[ResolvedStep], observed: Observed) -> ResolvedStep | None:
    for step in steps:
        seen = observed.steps.get(step.name)
        if seen is None or seen.phase is not Phase.SUCCEEDED:
            return step
    return None


def _may_be(seen: ObservedStep | None, hold: Hold | None) -> bool:
    """Whether a step may be started, or stay. What runs stays whatever holds; what waits is taken back over budget."""
    if hold is None:
        return True
    if seen is not None and seen.phase is Phase.QUEUED:
        return hold.reason is not Reason.BUDGET_EXCEEDED
    return seen is not None and seen.phase in _ALIVE


def _has_failed_for_good(weekjob: WeekJob, step: str, seen: ObservedStep, previous: WeekJobStatus | None) -> bool:
    num_failures = seen.attempt - _count_resumes(step, seen, previous)
    may_retry = seen.reason in TRANSIENT_REASONS and num_failures <= weekjob.spec.backoff_limit
    return seen.phase is Phase.FAILED and not may_retry


def _count_resumes(step: str, seen: ObservedStep, previous: WeekJobStatus | None) -> int:
    """Count the starts of a step that followed a stop: those told before, and one more where it was stopped then."""
    before = next((stage for stage in previous.stages if stage.name == step), None) if previous else None
    if before is None:
        return 0
    is_resumed = before.phase is Phase.SUSPENDED and seen.attempt > before.attempt
    return min((before.resumes or 0) + is_resumed, seen.attempt - 1)


def _get_attempt(seen: ObservedStep | None) -> int:
    if seen is None:
        return 1
    return seen.attempt + 1 if seen.phase in (Phase.FAILED, Phase.SUSPENDED) else seen.attempt


def _get_untimely_end(
    weekjob: WeekJob, observed: Observed, current: ResolvedStep | None, now: dt.datetime
) -> Hold | None:
    """Say which deadline has passed, if one has."""
    limit_s = weekjob.spec.active_deadline_seconds
    if limit_s is not None and _get_active_s(observed, now) > limit_s:
        return Hold(Reason.DEADLINE_EXCEEDED, f"ran longer than {limit_s} s")
    seen = observed.steps.get(current.name) if current else None
    limit_s = weekjob.spec.pre_running_deadline_seconds
    if current is None or seen is None or seen.phase is not Phase.INITIALIZING:
        return None
    if not _is_past(seen.admitted_at, limit_s, now):
        return None
    why = f": {seen.message}" if seen.message else ""
    return Hold(Reason.PRE_RUNNING_DEADLINE_EXCEEDED, f"{current.name} did not run within {limit_s} s{why}")


def _get_active_s(observed: Observed, now: dt.datetime) -> float:
    """Return the seconds that steps started or ran: told before, and since then."""
    ended_s, since = _read_clock(observed)
    return ended_s + ((now - since).total_seconds() if since else 0.0)


def _read_clock(observed: Observed) -> tuple[int, dt.datetime | None]:
    """Return the seconds of the times that ended, and when the present one began."""
    previous = observed.previous
    if previous is None:
        return 0, observed.started_at
    since = previous.active_since
    return previous.active_seconds, dt.datetime.fromisoformat(since) if since else None


def _advance_clock(phase: Phase, observed: Observed, now: dt.datetime) -> tuple[int, str | None]:
    """Return the same from now on: the clock runs while steps start or run, and stands while they wait."""
    ended_s, since = _read_clock(observed)
    if phase in (Phase.RUNNING, Phase.INITIALIZING):
        return ended_s, (since or now).isoformat(timespec="seconds")
    return ended_s + (int((now - since).total_seconds()) if since else 0), None


def _is_past(since: dt.datetime | None, limit_s: int | None, now: dt.datetime) -> bool:
    return since is not None and limit_s is not None and (now - since).total_seconds() > limit_s


def _build_status(
    unit: Unit,
    steps: Sequence[ResolvedStep],
    observed: Observed,
    now: dt.datetime,
    outlook: _Outlook,
) -> WeekJobStatus:
    metrics = [
        StageMetric(stage=step.name, **metric.model_dump())
        for step in steps
        for metric in (observed.steps[step.name].metrics if step.name in observed.steps else ())
    ]
    gates = check_gates(unit.gates, metrics) if outlook.current is None else ()
    phase, reason, message = _summarize(observed, outlook, gates)
    stages = [_build_stage_status(step, observed.steps.get(step.name), observed.previous) for step in steps]
    seen = observed.steps.get(outlook.current.name) if outlook.current else None
    previous = observed.previous
    started = previous.start_time if previous else None
    if started is None and any(one.phase in (Phase.RUNNING, Phase.SUCCEEDED) for one in observed.steps.values()):
        started = now.isoformat(timespec="seconds")
    active_seconds, active_since = _advance_clock(phase, observed, now)
    return WeekJobStatus(
        phase=phase,
        reason=reason,
        message=message,
        active_since=active_since,
        active_seconds=active_seconds,
        conditions=_build_conditions(phase, reason, message, gates, observed, now),
        observed_generation=observed.generation,
        stages=stages,
        queue=seen.queue if seen is not None and phase is Phase.QUEUED else None,
        start_time=started,
        completion_time=now.isoformat(timespec="seconds") if phase.is_terminal else None,
        metrics=[
            MetricStatus(name=f"{metric.stage}.{metric.name}", value=repr(metric.value), unit=metric.unit)
            for metric in metrics
        ],
        gates=list(gates),
        evidence=observed.evidence,
        stage=outlook.current.name if outlook.current and not phase.is_terminal else None,
        progress=_describe_progress(stages),
        gates_passed=f"{sum(gate.passed for gate in gates)}/{len(gates)}" if gates else None,
    )


def _describe_progress(stages: Sequence[StageStatus]) -> str:
    """Return the mean over the steps in per cent.

    >>> done = StageStatus(name="model", phase=Phase.SUCCEEDED, progress=1.0)
    >>> _describe_progress([done, StageStatus(name="sft", phase=Phase.RUNNING, progress=0.5)])
    '75%'
    """
    share = sum(stage.progress or 0.0 for stage in stages) / max(len(stages), 1)
    return f"{int(100 * share)}%"


def _summarize(observed: Observed, outlook: _Outlook, gates: tuple[GateResult, ...]) -> tuple[Phase, Reason, str]:
    if outlook.current is None:
        return _describe_success(gates)
    alive = next(((name, seen) for name, seen in observed.steps.items() if seen.phase in _ALIVE), None)
    if outlook.end is not None and (alive is None or alive[1].phase is not Phase.RUNNING):
        return Phase.FAILED, outlook.end.reason, outlook.end.message
    failure = outlook.failure
    if failure is not None:
        return Phase.FAILED, failure.reason or Reason.STAGE_CRASHED, f"{outlook.current.name}: {failure.message}"
    return _describe_alive(*alive) if alive is not None else _describe_idle(outlook, outlook.current.name)


def _describe_success(gates: tuple[GateResult, ...]) -> tuple[Phase, Reason, str]:
    missed = [gate.name for gate in gates if not gate.passed]
    if missed:
        return Phase.SUCCEEDED, Reason.GATE_FAILED, f"gates not passed: {', '.join(missed)}"
    return Phase.SUCCEEDED, Reason.GATES_PASSED, "every gate passed" if gates else "finished"


def _describe_idle(outlook: _Outlook, current: str) -> tuple[Phase, Reason, str]:
    if outlook.objects:
        return Phase.RUNNING, Reason.STAGE_STARTING, f"{current} starts"
    if outlook.hold is not None:
        return Phase.QUEUED, outlook.hold.reason, f"{current}: {outlook.hold.message}"
    return Phase.SUSPENDED, Reason.STOPPED, "stopped on request; can be resumed"


_ALIVE = (Phase.RUNNING, Phase.INITIALIZING, Phase.QUEUED)
"""Phases of a step whose process or object exists."""


def _describe_alive(name: str, seen: ObservedStep) -> tuple[Phase, Reason, str]:
    if seen.phase is Phase.RUNNING:
        return Phase.RUNNING, Reason.STAGE_RUNNING, f"{name} runs"
    reason = seen.reason or (Reason.QUEUED if seen.phase is Phase.QUEUED else Reason.STAGE_STARTING)
    said = seen.message or ("waits for quota" if seen.phase is Phase.QUEUED else "starts")
    return seen.phase, reason, f"{name}: {said}"


def _build_stage_status(step: ResolvedStep, seen: ObservedStep | None, previous: WeekJobStatus | None) -> StageStatus:
    if seen is None:
        return StageStatus(name=step.name, phase=Phase.PENDING)
    return StageStatus(
        name=step.name,
        phase=seen.phase,
        child=seen.child,
        attempt=seen.attempt,
        resumes=_count_resumes(step.name, seen, previous) or None,
        progress=1.0 if seen.phase is Phase.SUCCEEDED else seen.progress,
        reason=seen.reason,
        message=seen.message,
        eta_seconds=seen.eta_s,
        duration_seconds=seen.duration_s,
    )


def _build_conditions(
    phase: Phase,
    reason: str,
    message: str,
    gates: tuple[GateResult, ...],
    observed: Observed,
    now: dt.datetime,
) -> list[Condition]:
    passed = bool(gates) and all(gate.passed for gate in gates)
    truths = {
        ConditionType.ACCEPTED: True,
        ConditionType.QUEUED: phase is Phase.QUEUED,
        ConditionType.RUNNING: phase is Phase.RUNNING,
        ConditionType.SUCCEEDED: phase is Phase.SUCCEEDED,
        ConditionType.FAILED: phase is Phase.FAILED,
        ConditionType.GATES_PASSED: passed,
    }
    # What does not hold needs no sentence: the status has one, and six copies would fill the object.
    return [
        _build_condition(kind, holds=holds, reason=reason, message=message if holds else "", observed=observed, now=now)
        for kind, holds in truths.items()
    ]


def _build_condition(
    kind: ConditionType, *, holds: bool, reason: str, message: str, observed: Observed, now: dt.datetime
) -> Condition:
    status: Literal["True", "False"] = "True" if holds else "False"
    before = next(
        (old for old in (observed.previous.conditions if observed.previous else []) if old.type is kind), None
    )
    is_same = before is not None and before.status == status
    changed = before.last_transition_time if is_same and before is not None else now.isoformat(timespec="seconds")
    return Condition(type=kind, status=status, reason=reason, message=message, last_transition_time=changed)


def build_rejection(error: ConfigError, observed: Observed, now: dt.datetime) -> WeekJobStatus:
    """Return the status of a week job that cannot be run as it is written."""
    condition = _build_condition(
        ConditionType.ACCEPTED, holds=False, reason=error.reason, message=error.detail, observed=observed, now=now
    )
    return WeekJobStatus(
        phase=Phase.FAILED,
        reason=error.reason,
        message=error.detail,
        conditions=[condition],
        observed_generation=observed.generation,
        completion_time=now.isoformat(timespec="seconds"),
    )
