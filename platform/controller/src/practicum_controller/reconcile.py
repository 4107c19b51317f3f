"""Decides how one week job is brought a step nearer to what its plan wants: observe, plan, apply.

Level-triggered: every call looks at everything anew, and whatever it is interrupted at, the next call ends the same.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from practicum_controller.backends import ChildRequest, build_child, get_child_resource
from practicum_controller.backends.pods import CONFIG_HASH
from practicum_controller.client import CONFIG_MAPS, EVENTS, WEEK_JOBS, Cluster
from practicum_controller.documents import (
    build_event,
    build_evidence,
    build_status_patch,
    get_evidence_name,
    read_course,
    read_status,
    read_time,
    read_week_job,
)
from practicum_controller.observe import QueuePlace, StepFacts, get_attempt, observe_step
from practicum_controller.settings import Settings
from practicum_controller.store import Family, Key, Store
from practicum_core import labels
from practicum_core.curriculum import get_unit
from practicum_core.errors import ConfigError, Reason
from practicum_core.phases import Phase
from practicum_core.plan import Hold, Observed, ObservedStep, Plan, StepObject, build_rejection, plan
from practicum_core.reports import StepReport
from practicum_core.stages import STAGES
from practicum_core.weekjob import WeekJob, WeekJobStatus

LOGGER = logging.getLogger(__name__)
Document = dict[str, Any]
_CHECK_S = 10.0
"""Seconds after which a week job with a running clock (a deadline, a pod that does not start) is looked at again."""
_HELD_S = 60.0


class Memory(Protocol):
    """What is known beyond the cluster: reports, places in queues, budgets."""

    def get_reports(self, uid: str) -> dict[tuple[str, int], StepReport]:
        """Return the last report of each attempt of each step."""

    def get_places(self) -> dict[str, QueuePlace]:
        """Return the places in queues by the uid of the child."""

    def get_over_budget(self, course: Document, namespace: str, now: dt.datetime) -> str | None:
        """Say why the student may use no more GPU time, if so."""

    async def read_evidence(self, uid: str) -> str | None:
        """Return the evidence page of a week job."""

    async def note_step(self, note: StepNote) -> None:
        """Take note of a step's state, for the ledger and the history of waits."""

    async def settle(self, uid: str, now: dt.datetime) -> None:
        """Close every account of a week job."""


@dataclass(frozen=True)
class StepNote:
    """What the ledger is told about a step's child."""

    document: Document
    course: Document
    child: Document
    step: ObservedStep
    step_name: str
    now: dt.datetime


@dataclass
class _Scene:
    """One look at a week job."""

    document: Document
    weekjob: WeekJob
    course: Document | None
    family: Family
    now: dt.datetime
    previous: WeekJobStatus | None
    steps: dict[str, ObservedStep] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        return str(self.document["metadata"]["uid"])


class Reconciler:
    """Brings week jobs to their ends.

    Args:
        store: What the cluster looks like.
        cluster: Where changes are made.
        memory: What is known beyond the cluster.
        settings: The controller's settings.
        get_now: The clock, with a time zone.
    """

    def __init__(
        self, store: Store, cluster: Cluster, memory: Memory, settings: Settings, get_now: Callable[[], dt.datetime]
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._memory = memory
        self._settings = settings
        self._get_now = get_now

    async def reconcile(self, key: Key) -> float | None:
        """Bring one week job a step further.

        Returns:
            Seconds after which to look again even though nothing changes; ``None`` for not before something does.
        """
        document = self._store.week_jobs.get(key)
        if document is None:
            return None
        now = self._get_now()
        if document["metadata"].get("deletionTimestamp"):
            await self._settle(document, now)
            return None
        previous = read_status(document)
        if previous is not None and previous.phase.is_terminal:
            return await self._expire(document, previous, now)
        try:
            weekjob = read_week_job(document)
        except ConfigError as error:
            generation = document["metadata"].get("generation")
            rejected = build_rejection(error, Observed(previous=previous, generation=generation), now)
            await self._publish(document, previous, rejected, now)
            return None
        return await self._advance(self._look(document, weekjob, previous, now))

    def _look(self, document: Document, weekjob: WeekJob, previous: WeekJobStatus | None, now: dt.datetime) -> _Scene:
        uid = document["metadata"]["uid"]
        if weekjob.spec.pre_running_deadline_seconds is None:
            limit = {"pre_running_deadline_seconds": self._settings.pre_running_deadline_s}
            weekjob = weekjob.model_copy(update={"spec": weekjob.spec.model_copy(update=limit)})
        course = self._store.get_course(key := document["metadata"]["namespace"])
        scene = _Scene(
            document, weekjob, course if _is_member(course, key) else None, self._store.get_family(uid), now, previous
        )
        scene.steps = self._observe_steps(scene)
        return scene

    def _observe_steps(self, scene: _Scene) -> dict[str, ObservedStep]:
        reports = self._memory.get_reports(scene.uid)
        children = list(scene.family.children.values())
        if not children and not reports:
            return {}
        places = self._memory.get_places()
        observed: dict[str, ObservedStep] = {}
        for name in _list_step_names(scene.weekjob):
            own = _select(children, name)
            facts = StepFacts(
                own,
                _select(scene.family.pods.values(), name),
                list(scene.family.workloads.values()) if own else (),
                list(scene.family.warnings.values()) if own else (),
                {attempt: report for (step, attempt), report in reports.items() if step == name},
                places,
            )
            seen = observe_step(facts)
            if seen is not None:
                observed[name] = seen
        return observed

    async def _advance(self, scene: _Scene) -> float | None:
        observed = Observed(
            steps=scene.steps,
            started_at=read_time(scene.previous.start_time) if scene.previous else None,
            previous=scene.previous,
            evidence=scene.previous.evidence if scene.previous else None,
            holds=self._get_holds(scene),
            generation=scene.document["metadata"].get("generation"),
        )
        desired = plan(scene.weekjob, observed, scene.now)
        await self._note(scene)
        await self._apply_children(scene, desired)
        status = desired.status
        if status.phase.is_terminal:
            status = await self._keep_evidence(scene.document, status)
        await self._publish(scene.document, scene.previous, status, scene.now)
        return _get_next_look(scene.weekjob, status)

    def _get_holds(self, scene: _Scene) -> dict[str, Hold]:
        names = _list_step_names(scene.weekjob)
        home = scene.weekjob.metadata.namespace
        if scene.course is None:
            said = f"namespace {home} belongs to no course: ask the teacher to add it to the course's students"
            return dict.fromkeys(names, Hold(Reason.COURSE_MISSING, said))
        if scene.course["spec"].get("suspend"):
            return dict.fromkeys(names, Hold(Reason.COURSE_SUSPENDED, "the teacher paused the class"))
        said_over = self._memory.get_over_budget(scene.course, home, scene.now) if _uses_gpu(scene.weekjob) else None
        if said_over is None:
            return {}
        return {
            step.name: Hold(Reason.BUDGET_EXCEEDED, said_over)
            for step in get_unit(scene.weekjob.spec.unit, scene.weekjob.spec.variant).steps
            if step.stage in STAGES and STAGES[step.stage].uses_gpu
        }

    async def _note(self, scene: _Scene) -> None:
        if scene.course is None:
            return
        for child in scene.family.children.values():
            name = child["metadata"]["labels"].get(labels.STEP, "")
            step = scene.steps.get(name)
            if step is not None and step.attempt == get_attempt(child):
                await self._memory.note_step(StepNote(scene.document, scene.course, child, step, name, scene.now))

    async def _apply_children(self, scene: _Scene, desired: Plan) -> None:
        wanted = {item.step.name: self._request(scene, item) for item in desired.objects} if scene.course else {}
        missing = dict(wanted)
        for child in list(scene.family.children.values()):
            if child["metadata"].get("deletionTimestamp"):
                missing.pop(child["metadata"]["labels"].get(labels.STEP, ""), None)
                continue
            name = child["metadata"]["labels"].get(labels.STEP, "")
            request = wanted.get(name)
            seen = scene.steps.get(name)
            if request is not None and child["metadata"]["name"] == request.name:
                missing.pop(name)
                if not _is_stale(child, request, seen):
                    continue
            elif seen is None or seen.phase.is_terminal or seen.attempt != get_attempt(child):
                continue
            await self._delete_child(child)
        for request in missing.values():
            if request.slices:
                await self._ensure_finalizer(scene.document)
            made = await self._cluster.apply(get_child_resource((document := build_child(request))["kind"]), document)
            if made.get("metadata", {}).get("uid"):
                self._store.put(made["kind"], made)

    def _request(self, scene: _Scene, item: StepObject) -> ChildRequest:
        assert scene.course is not None  # noqa: S101 - the caller asks only where there is a course
        course = read_course(scene.course)
        created_at = read_time(scene.document["metadata"]["creationTimestamp"]) or scene.now
        return ChildRequest(
            scene.weekjob, scene.uid, created_at, item, course.metadata.name, course.spec, self._settings
        )

    async def _ensure_finalizer(self, document: Document) -> None:
        """Hold a week job that uses GPU time until its account is closed."""
        metadata = document["metadata"]
        held = metadata.get("finalizers", [])
        if labels.FINALIZER in held:
            return
        body = {"metadata": {"uid": metadata["uid"], "finalizers": [*held, labels.FINALIZER]}}
        await self._cluster.patch(WEEK_JOBS, metadata["namespace"], metadata["name"], body)

    async def _delete_child(self, child: Document) -> None:
        metadata = child["metadata"]
        await self._cluster.delete(
            get_child_resource(child["kind"]), metadata["namespace"], metadata["name"], metadata["uid"]
        )

    async def _keep_evidence(self, document: Document, status: WeekJobStatus) -> WeekJobStatus:
        page = await self._memory.read_evidence(document["metadata"]["uid"])
        if page is None:
            return status
        await self._cluster.apply(CONFIG_MAPS, build_evidence(document, page))
        return status.model_copy(update={"evidence": f"configmap/{get_evidence_name(document['metadata']['name'])}"})

    async def _publish(
        self, document: Document, previous: WeekJobStatus | None, status: WeekJobStatus, now: dt.datetime
    ) -> None:
        patch = build_status_patch(document.get("status") or {}, status)
        if patch is None:
            return
        if previous is None or (previous.phase, previous.reason) != (status.phase, status.reason):
            await self._cluster.apply(EVENTS, build_event(document, status, now))
        metadata = document["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": patch}
        written = await self._cluster.patch(
            WEEK_JOBS, metadata["namespace"], metadata["name"], body, subresource="status"
        )
        if written is not None:
            self._store.put("WeekJob", written)

    async def _settle(self, document: Document, now: dt.datetime) -> None:
        """Close the accounts of a week job that is being deleted, and let it go whatever comes."""
        metadata = document["metadata"]
        if labels.FINALIZER not in metadata.get("finalizers", ()):
            return
        await self._memory.settle(metadata["uid"], now)
        rest = [name for name in metadata["finalizers"] if name != labels.FINALIZER]
        body = {"metadata": {"uid": metadata["uid"], "finalizers": rest or None}}
        await self._cluster.patch(WEEK_JOBS, metadata["namespace"], metadata["name"], body)

    async def _expire(self, document: Document, status: WeekJobStatus, now: dt.datetime) -> float | None:
        """Delete a finished week job when its time to live is over."""
        ttl_s: float | None = document["spec"].get("ttlSecondsAfterFinished")
        ended_at = read_time(status.completion_time)
        if ttl_s is None or ended_at is None:
            return None
        left_s = ttl_s - (now - ended_at).total_seconds()
        if left_s > 0:
            return left_s
        metadata = document["metadata"]
        await self._cluster.delete(WEEK_JOBS, metadata["namespace"], metadata["name"], metadata["uid"])
        return None


def _is_member(course: Document | None, namespace: str) -> bool:
    """Whether the roster still names the namespace."""
    students = course["spec"].get("students", ()) if course else ()
    return any((student.get("namespace") or student["name"]) == namespace for student in students)


def _list_step_names(weekjob: WeekJob) -> list[str]:
    return [step.name for step in get_unit(weekjob.spec.unit, weekjob.spec.variant).steps]


def _select(documents: Iterable[Document], step: str) -> Sequence[Document]:
    return [one for one in documents if one["metadata"].get("labels", {}).get(labels.STEP) == step]


def _uses_gpu(weekjob: WeekJob) -> bool:
    return weekjob.spec.resources.gpu.slices > 0


def _is_stale(child: Document, request: ChildRequest, seen: ObservedStep | None) -> bool:
    """Whether a child that still waits was made from another specification."""
    if seen is None or seen.phase not in (Phase.QUEUED, Phase.INITIALIZING):
        return False
    made_from: str | None = child["metadata"].get("annotations", {}).get(CONFIG_HASH)
    return made_from != request.hash_config()


def _get_next_look(weekjob: WeekJob, status: WeekJobStatus) -> float | None:
    if status.phase.is_terminal:
        return weekjob.spec.ttl_seconds_after_finished
    if status.phase is Phase.QUEUED:
        return _HELD_S
    has_clock = weekjob.spec.active_deadline_seconds is not None or status.phase is Phase.INITIALIZING
    return _CHECK_S if has_clock else None
