"""The plan of a week job on a cluster: core's plan, with the steps held that course or budget do not allow. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from practicum_controller.scene import Scene
from practicum_core.errors import Reason
from practicum_core.observed import Hold, Observed
from practicum_core.plan import StepObject, plan_unit
from practicum_core.resolve import ResolvedStep, ResolvedUnit
from practicum_core.status import build_rejection
from practicum_core.weekjob import WeekJobStatus

_MAX_PRE_RUNNING_S = 86_400


@dataclass(frozen=True)
class Desired:
    """The steps that should run, and the status.

    ``groups`` are the sets of steps that will exist at the same time: each is checked against the quota before its
    first child is created. ``status`` is ``None`` where it does not change. ``is_frozen``: children are neither
    created nor deleted, since it is not known which are wanted.
    """

    items: Sequence[StepObject] = ()
    status: WeekJobStatus | None = None
    is_frozen: bool = False
    groups: Sequence[Sequence[ResolvedStep]] = ()


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
    limited = spec.model_copy(update={"pre_running_deadline_seconds": limit_s})
    desired = plan_unit(limited, scene.unit, observed, scene.now)
    is_frozen = bool(desired.objects) and not scene.membership.is_readable
    return Desired(desired.objects if scene.roster is not None else (), desired.status, is_frozen, desired.groups)


def _list_holds(scene: Scene, unit: ResolvedUnit) -> dict[str, Hold]:
    """Return why steps may not be started yet."""
    if scene.roster is None:
        return {step.name: Hold(Reason.COURSE_MISSING, scene.membership.why_not) for step in unit.steps}
    if scene.roster.course.spec.suspend:
        return {step.name: Hold(Reason.COURSE_SUSPENDED, "the teacher paused the class") for step in unit.steps}
    holds: dict[str, Hold] = {}
    if scene.over_budget is not None:
        with_gpu = [step.name for step in unit.steps if step.spec.uses_gpu]
        holds = {name: Hold(Reason.BUDGET_EXCEEDED, scene.over_budget) for name in with_gpu}
    for step, pod in scene.left_pods.items():
        # It may still write its checkpoint into the run directory.
        holds[step] = Hold(Reason.STAGE_STARTING, f"pod {pod} of the last try still ends")
    return holds
