"""The plan of a week job on a cluster: core's plan, with the steps held that course or budget do not allow. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from practicum_controller.scene import Scene
from practicum_core.errors import Reason
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
    observed = Observed(
        steps=scene.steps,
        previous=scene.previous,
        evidence=scene.previous.evidence if scene.previous else None,
        generation=scene.document["metadata"].get("generation"),
    )
    if scene.weekjob is not None and scene.unit is not None:
        limited = _limit_times(scene.weekjob.spec, scene, pre_running_deadline_s)
        held = replace(observed, holds=_list_holds(scene, scene.unit) | dict(refusals))
        desired = plan_unit(limited, scene.unit, held, scene.now)
        is_frozen = bool(desired.objects) and not scene.membership.is_readable
        objects = desired.objects if scene.roster is not None else ()
        return Desired(objects, desired.status, is_frozen, desired.groups, desired.deadline_in_s)
    assert scene.fault is not None  # noqa: S101 - a week job that is open and was not read has a fault
    return Desired(status=build_rejection(scene.fault, observed, scene.now))


def _limit_times(spec: WeekJobSpec, scene: Scene, pre_running_deadline_s: int) -> WeekJobSpec:
    """Return a specification whose deadlines are at most what the course and the controller allow."""
    # A step that does not start holds its GPU all the same, so the time is bounded.
    starting_s = min(spec.pre_running_deadline_seconds or pre_running_deadline_s, _MAX_PRE_RUNNING_S)
    ceiling_s = scene.roster.course.spec.max_active_deadline_seconds if scene.roster is not None else None
    given = [limit_s for limit_s in (spec.active_deadline_seconds, ceiling_s) if limit_s is not None]
    limits = {"pre_running_deadline_seconds": starting_s, "active_deadline_seconds": min(given, default=None)}
    return spec.model_copy(update=limits)


def _list_holds(scene: Scene, unit: ResolvedUnit) -> dict[str, Hold]:
    """Return why steps may not be started yet."""
    if scene.roster is None:
        return {step.name: Hold(Reason.COURSE_MISSING, scene.membership.why_not) for step in unit.steps}
    if scene.roster.course.spec.suspend:
        return {step.name: Hold(Reason.COURSE_SUSPENDED, "the teacher paused the class") for step in unit.steps}
    if scene.awaited:
        return {step.name: Hold(Reason.EARLIER_WEEK_UNFINISHED, scene.awaited) for step in unit.steps}
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
    return any(one.spec.uses_gpu for one in unit.steps if one.name in (step.name, *step.companions))
