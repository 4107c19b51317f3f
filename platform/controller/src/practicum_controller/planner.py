"""What should be of a week job: the course's part and the quota's are told to core's plan, which decides. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from practicum_controller.backends import ChildRequest
from practicum_controller.backends.fit import find_unfit
from practicum_controller.documents import read_time
from practicum_controller.rosters import Roster
from practicum_controller.scene import Scene
from practicum_controller.settings import Settings
from practicum_core.curriculum import get_unit
from practicum_core.errors import Reason
from practicum_core.plan import Hold, Observed, Plan, StepObject, build_rejection, plan
from practicum_core.stages import STAGES
from practicum_core.weekjob import WeekJob, WeekJobStatus

_NO_HOLDS: Mapping[str, Hold] = {}


@dataclass(frozen=True)
class Desired:
    """What should be: the children that exist, by step, and what the status says.

    ``status`` is ``None`` where it stays as it is. ``is_frozen``: children are neither made nor deleted, since nobody
    can tell which are wanted.
    """

    children: Mapping[str, ChildRequest] = field(default_factory=dict)
    status: WeekJobStatus | None = None
    is_frozen: bool = False


def plan_week_job(scene: Scene, settings: Settings, refusals: Mapping[str, Hold] = _NO_HOLDS) -> Desired:
    """Return what should be of a week job.

    Args:
        scene: The week job as it is.
        settings: The controller's.
        refusals: Steps whose children the cluster refused just now.
    """
    if scene.is_being_deleted or scene.is_over:
        return Desired()
    generation = scene.document["metadata"].get("generation")
    observed = Observed(
        steps=scene.steps,
        previous=scene.previous,
        evidence=scene.previous.evidence if scene.previous else None,
        generation=generation,
    )
    if scene.weekjob is None:
        assert scene.fault is not None  # noqa: S101 - a week job that is open and was not read has a fault
        return Desired(status=build_rejection(scene.fault, observed, scene.now))
    holds = _list_holds(scene, scene.weekjob) | dict(refusals)
    desired = plan(scene.weekjob, replace(observed, holds=holds), scene.now)
    if scene.roster is None:
        is_frozen = bool(desired.objects) and not scene.membership.is_readable
        return Desired(status=desired.status, is_frozen=is_frozen)
    unfit = _list_unfit(scene, desired, settings)
    if unfit:
        desired = plan(scene.weekjob, replace(observed, holds=holds | unfit), scene.now)
    return Desired(_build_requests(scene, desired, settings), desired.status)


def _list_holds(scene: Scene, weekjob: WeekJob) -> dict[str, Hold]:
    """Return why steps may not be started yet, whatever the quota says."""
    steps = get_unit(weekjob.spec.unit, weekjob.spec.variant).steps
    if scene.roster is None:
        return {step.name: Hold(Reason.COURSE_MISSING, scene.membership.why_not) for step in steps}
    if scene.roster.course.spec.suspend:
        return {step.name: Hold(Reason.COURSE_SUSPENDED, "the teacher paused the class") for step in steps}
    holds: dict[str, Hold] = {}
    if scene.over_budget is not None:
        with_gpu = [step.name for step in steps if step.stage in STAGES and STAGES[step.stage].uses_gpu]
        holds = {name: Hold(Reason.BUDGET_EXCEEDED, scene.over_budget) for name in with_gpu}
    for step, pod in scene.left_pods.items():
        # It may still write its checkpoint into the run directory.
        holds[step] = Hold(Reason.STAGE_STARTING, f"pod {pod} of the last try still ends")
    return holds


def _list_unfit(scene: Scene, desired: Plan, settings: Settings) -> dict[str, Hold]:
    """Return which of the children that would be made now could never run beside those that are there."""
    made = {child.name for child in scene.children}
    requests = _build_requests(scene, desired, settings)
    unfit = find_unfit(requests.values())
    return {name: hold for name, hold in unfit.items() if requests[name].name not in made}


def _build_requests(scene: Scene, desired: Plan, settings: Settings) -> dict[str, ChildRequest]:
    assert scene.roster is not None  # noqa: S101 - the caller asks only where there is a course
    assert scene.weekjob is not None  # noqa: S101 - as above
    return {
        item.step.name: _build_request(scene, scene.weekjob, scene.roster, item, settings) for item in desired.objects
    }


def _build_request(
    scene: Scene, weekjob: WeekJob, roster: Roster, item: StepObject, settings: Settings
) -> ChildRequest:
    created_at = read_time(scene.document["metadata"]["creationTimestamp"]) or scene.now
    course = roster.course
    return ChildRequest(weekjob, scene.uid, created_at, item, course.metadata.name, course.spec, settings)
