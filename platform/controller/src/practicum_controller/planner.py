"""The plan of a week job on a cluster: core's plan, with the steps held that course or budget do not allow. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from practicum_controller.scene import Scene
from practicum_core.errors import Reason
from practicum_core.lifetimes import list_companions
from practicum_core.observed import Hold, Observed
from practicum_core.plan import StepObject, plan_unit
from practicum_core.resolve import ResolvedStep, ResolvedUnit
from practicum_core.status import build_rejection
from practicum_core.weekjob import WeekJobSpec, WeekJobStatus

_MAX_PRE_RUNNING_S = 86_400


@dataclass(frozen=True)
class Desired:
    """The steps that should run, and the status.

    ``groups`` are the sets of steps that will exist at the same time: each is checked against the quota before its
    first child is created. ``status`` is ``None`` where it does not change. ``is_frozen``: children are neither
    created nor deleted, since it is not known which are wanted. ``deadline_in_s`` are the seconds until what runs
    passes its deadline; ``None`` while the clock stands.
    """

    items: Sequence[StepObject] = ()
    status: WeekJobStatus | None = None
    is_frozen: bool = False
    groups: Sequence[Sequence[ResolvedStep]] = ()
    deadline_in_s: float | None = None


def plan_week_job(scene: Scene, refusals: Mapping[str, Hold], pre_running_deadline_s: int) -> Desired:
    """Plan a week job.

    Args:
        scene: The week job as it is.
        refusals: Steps whose children were refused just now, by the quota or by the cluster.
        pre_running_deadline_s: Seconds that a step may take to start, where the week job does not say.
    """
    if scene.is_being_deleted or scene.is_over:
        return Desired()
    holds = _list_holds(scene, scene.unit) | dict(refusals) if scene.unit else {}
    observed = Observed(
        steps=scene.steps,
        previous=scene.previous,
        evidence=scene.previous.evidence if scene.previous else None,
        holds=holds,
        generation=scene.document["metadata"].get("generation"),
    )
    if scene.weekjob is None or scene.unit is None:
        assert scene.fault is not None  # noqa: S101 - a week job that is open and was not read has a fault
        return Desired(status=build_rejection(scene.fault, observed, scene.now))
    spec = scene.weekjob.spec
    # A step that does not start holds its GPU all the same, so the time is bounded.
    limit_s = min(spec.pre_running_deadline_seconds or pre_running_deadline_s, _MAX_PRE_RUNNING_S)
    limits = {"pre_running_deadline_seconds": limit_s, "active_deadline_seconds": _get_deadline_s(scene, spec)}
    limited = spec.model_copy(update=limits)
    desired = plan_unit(limited, scene.unit, observed, scene.now)
    is_frozen = bool(desired.objects) and not scene.membership.is_readable
    objects = desired.objects if scene.roster is not None else ()
    deadline_in_s = _get_seconds_to_deadline(limited, desired.status, scene.now)
    return Desired(objects, desired.status, is_frozen, desired.groups, deadline_in_s)


def _get_deadline_s(scene: Scene, spec: WeekJobSpec) -> int | None:
    """Return the seconds that the steps may run: what the week job says, at most what the course allows."""
    ceiling_s = scene.roster.course.spec.max_active_deadline_seconds if scene.roster is not None else None
    given = [limit_s for limit_s in (spec.active_deadline_seconds, ceiling_s) if limit_s is not None]
    return min(given, default=None)


def _get_seconds_to_deadline(spec: WeekJobSpec, status: WeekJobStatus, now: dt.datetime) -> float | None:
    if status.active_since is None or spec.active_deadline_seconds is None:
        return None
    ran_s = (now - dt.datetime.fromisoformat(status.active_since)).total_seconds() + status.active_seconds
    return spec.active_deadline_seconds - ran_s


def _list_holds(scene: Scene, unit: ResolvedUnit) -> dict[str, Hold]:
    """Return why steps may not be started yet."""
    if scene.roster is None:
        return {step.name: Hold(Reason.COURSE_MISSING, scene.membership.why_not) for step in unit.steps}
    if scene.roster.course.spec.suspend:
        return {step.name: Hold(Reason.COURSE_SUSPENDED, "the teacher paused the class") for step in unit.steps}
    holds: dict[str, Hold] = {}
    if scene.budget.over is not None:
        hold = Hold(Reason.BUDGET_EXCEEDED, scene.budget.over, scene.roster.course.spec.budget.stops_running)
        holds = {step.name: hold for step in unit.steps if _needs_gpu(step, unit)}
    for step, pod in scene.left_pods.items():
        # It may still write its checkpoint into the run directory.
        holds.setdefault(step, Hold(Reason.STAGE_STARTING, f"pod {pod} of the last try still ends"))
    return holds


def _needs_gpu(step: ResolvedStep, unit: ResolvedUnit) -> bool:
    """Whether a step uses GPUs itself or through a server that it needs: without that server it would fail."""
    return any(one.spec.uses_gpu for one in (step, *list_companions(step, unit.steps)))
