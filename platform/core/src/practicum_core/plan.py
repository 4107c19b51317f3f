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
from practicum_core.weekjob import Condition, MetricStatus, StageStatus, WeekJob, WeekJobStatus

POLL_INTERVAL_S = 0.2
TRANSIENT_REASONS = frozenset({Reason.STAGE_CRASHED, Reason.INTERNAL, Reason.UPSTREAM_UNAVAILABLE, Reason.WORKER_LOST})
"""Failures that are tried again, up to ``backoffLimit``."""


@dataclass(frozen=True)
class ObservedStep:
    """What an executor sees of one step.

    ``phase`` is ``Succeeded`` only where a whole record was read. ``attempt`` counts starts from 1.
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


@dataclass(frozen=True)
class Observed:
    """What an executor sees of a week job. Steps never started are absent."""

    steps: Mapping[str, ObservedStep] = field(default_factory=dict)
    started_at: dt.datetime | None = None
    previous: WeekJobStatus | None = None
    evidence: str | None = None
    is_stop_requested: bool = False


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
    ``spec.backoffLimit`` times. A stop request ends the running step (which writes a checkpoint) and starts none.
    A terminal ``observed.previous`` is final: it comes back unchanged. An executor that was told to go on with a failed
    run leaves it out.
    """
    if observed.previous is not None and observed.previous.phase.is_terminal:
        return Plan((), observed.previous, None)
    unit = get_unit(weekjob.spec.unit, weekjob.spec.variant)
    try:
        steps = resolve_steps(weekjob)
    except ConfigError as error:
        return Plan((), _reject(error, observed, now), None)
    is_stopping = observed.is_stop_requested or weekjob.spec.suspend
    current = _get_current_step(steps, observed)
    is_late = _is_past_deadline(weekjob, observed, now)
    objects: tuple[StepObject, ...] = ()
    if current is not None and not is_stopping and not is_late:
        seen = observed.steps.get(current.name)
        if seen is None or not seen.phase.is_terminal or _may_retry(weekjob, seen):
            objects = (StepObject(current, _get_attempt(seen)),)
    status = _build_status(weekjob, unit, steps, observed, now, objects=objects, is_late=is_late)
    is_over = status.phase.is_terminal or status.phase is Phase.SUSPENDED
    return Plan(objects, status, None if is_over else POLL_INTERVAL_S)


def _get_current_step(steps: Sequence[ResolvedStep], observed: Observed) -> ResolvedStep | None:
    for step in steps:
        seen = observed.steps.get(step.name)
        if seen is None or seen.phase is not Phase.SUCCEEDED:
            return step
    return None


def _may_retry(weekjob: WeekJob, seen: ObservedStep) -> bool:
    return (
        seen.phase is Phase.FAILED and seen.reason in TRANSIENT_REASONS and seen.attempt <= weekjob.spec.backoff_limit
    )


def _get_attempt(seen: ObservedStep | None) -> int:
    if seen is None:
        return 1
    return seen.attempt + 1 if seen.phase in (Phase.FAILED, Phase.SUSPENDED) else seen.attempt


def _is_past_deadline(weekjob: WeekJob, observed: Observed, now: dt.datetime) -> bool:
    limit_s = weekjob.spec.active_deadline_seconds
    return (
        limit_s is not None
        and observed.started_at is not None
        and (now - observed.started_at).total_seconds() > limit_s
    )


def _build_status(
    weekjob: WeekJob,
    unit: Unit,
    steps: Sequence[ResolvedStep],
    observed: Observed,
    now: dt.datetime,
    *,
    objects: tuple[StepObject, ...],
    is_late: bool,
) -> WeekJobStatus:
    metrics = [
        StageMetric(stage=step.name, **metric.model_dump())
        for step in steps
        for metric in (observed.steps[step.name].metrics if step.name in observed.steps else ())
    ]
    is_done = all(step.name in observed.steps and observed.steps[step.name].phase is Phase.SUCCEEDED for step in steps)
    gates = check_gates(unit.gates, metrics) if is_done else ()
    phase, reason, message = _summarize(weekjob, observed, objects, is_done=is_done, is_late=is_late, gates=gates)
    return WeekJobStatus(
        phase=phase,
        reason=reason,
        message=message,
        conditions=_build_conditions(phase, reason, message, gates, observed, now),
        stages=[_build_stage_status(step, observed.steps.get(step.name)) for step in steps],
        metrics=[
            MetricStatus(name=f"{metric.stage}.{metric.name}", value=repr(metric.value), unit=metric.unit)
            for metric in metrics
        ],
        gates=list(gates),
        evidence=observed.evidence,
    )


def _summarize(
    weekjob: WeekJob,
    observed: Observed,
    objects: tuple[StepObject, ...],
    *,
    is_done: bool,
    is_late: bool,
    gates: tuple[GateResult, ...],
) -> tuple[Phase, Reason, str]:
    failed = next((name for name, seen in observed.steps.items() if seen.phase is Phase.FAILED), None)
    running = next((name for name, seen in observed.steps.items() if seen.phase is Phase.RUNNING), None)
    if is_done:
        missed = [gate.name for gate in gates if not gate.passed]
        reason = Reason.GATE_FAILED if missed else Reason.GATES_PASSED
        passed = "every gate passed" if gates else "finished"
        return Phase.SUCCEEDED, reason, f"gates not passed: {', '.join(missed)}" if missed else passed
    if is_late and running is None:
        return Phase.FAILED, Reason.DEADLINE_EXCEEDED, f"ran longer than {weekjob.spec.active_deadline_seconds} s"
    if failed is not None and not objects:
        seen = observed.steps[failed]
        return Phase.FAILED, seen.reason or Reason.STAGE_CRASHED, f"{failed}: {seen.message}"
    if running is not None:
        return Phase.RUNNING, Reason.STAGE_RUNNING, f"{running} runs"
    if objects:
        return Phase.RUNNING, Reason.STAGE_STARTING, f"{objects[0].step.name} starts"
    return Phase.SUSPENDED, Reason.STOPPED, "stopped on request; can be resumed"


def _build_stage_status(step: ResolvedStep, seen: ObservedStep | None) -> StageStatus:
    if seen is None:
        return StageStatus(name=step.name, phase=Phase.PENDING)
    return StageStatus(
        name=step.name,
        phase=seen.phase,
        child=seen.child,
        attempt=seen.attempt,
        progress=1.0 if seen.phase is Phase.SUCCEEDED else seen.progress,
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
        ConditionType.RUNNING: phase is Phase.RUNNING,
        ConditionType.SUCCEEDED: phase is Phase.SUCCEEDED,
        ConditionType.FAILED: phase is Phase.FAILED,
        ConditionType.GATES_PASSED: passed,
    }
    return [
        _build_condition(kind, holds=holds, reason=reason, message=message, observed=observed, now=now)
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


def _reject(error: ConfigError, observed: Observed, now: dt.datetime) -> WeekJobStatus:
    condition = _build_condition(
        ConditionType.ACCEPTED, holds=False, reason=error.reason, message=error.detail, observed=observed, now=now
    )
    return WeekJobStatus(phase=Phase.FAILED, reason=error.reason, message=error.detail, conditions=[condition])
