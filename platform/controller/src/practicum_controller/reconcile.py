"""Decides how one week job is brought a step nearer to what its plan wants: observe, plan, apply.

Level-triggered: every call looks at everything anew, and whatever it is interrupted at, the next call ends the same.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from practicum_controller.backends import ChildRequest, build_child, get_reason_unfit
from practicum_controller.backends.pods import is_made_from
from practicum_controller.client import ApiFault, Cluster
from practicum_controller.documents import (
    build_event,
    build_evidence,
    build_status_patch,
    get_evidence_name,
    read_status,
    read_time,
    read_week_job,
)
from practicum_controller.kinds import CONFIG_MAPS, EVENTS, WEEK_JOBS, get_resource
from practicum_controller.observe import (
    QueuePlace,
    StepFacts,
    describe_child,
    get_attempt,
    is_pod_alive,
    is_pod_of,
    is_pod_running,
    observe_step,
    read_start,
    read_stop,
)
from practicum_controller.rosters import Roster, Rosters
from practicum_controller.settings import Settings
from practicum_controller.store import Family, Key, Store
from practicum_core import labels
from practicum_core.curriculum import get_unit
from practicum_core.errors import ConfigError, PlatformError, Reason
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
_MAX_PRE_RUNNING_S = 86_400
_LINGER_S = 120.0
"""Seconds that a pod may live on after its report of the end: a process that hangs gives its GPU back then."""


class Memory(Protocol):
    """What is known beyond the cluster: reports, places in queues, budgets."""

    def get_reports(self, uid: str) -> dict[tuple[str, int], StepReport]:
        """Return the last report of each attempt of each step."""

    def get_places(self) -> dict[str, QueuePlace]:
        """Return the places in queues by the uid of the child."""

    def get_over_budget(self, roster: Roster, namespace: str, now: dt.datetime) -> str | None:
        """Say why the student may use no more GPU time, if so."""

    async def read_evidence(self, uid: str) -> str | None:
        """Return the evidence page of a week job."""

    async def note_step(self, note: StepNote) -> None:
        """Take note of a step's state, for the ledger and the history of waits."""

    async def settle(self, namespace: str, uid: str, now: dt.datetime, held: Held | None = None) -> None:
        """Close every account of a week job but those that are held."""

    def is_open(self, uid: str) -> bool:
        """Whether reports are held at hand, as they are until the history knows that the week job ended."""

    async def end(self, document: Document, roster: Roster | None, status: WeekJobStatus) -> None:
        """Write into the history that a week job ended, and let go of its reports."""


@dataclass(frozen=True)
class Held:
    """What of a week job may hold GPUs yet: uids of its children, and steps whose pods outlive their child.

    ``ends`` are the times at which children that hold none any more let go, where the cluster tells.
    """

    children: Collection[str]
    steps: Collection[str]
    ends: Mapping[str, dt.datetime | None] = field(default_factory=dict)


@dataclass(frozen=True)
class StepNote:
    """What the ledger is told about a step's child. The times are the cluster's own, ``None`` where it has none."""

    document: Document
    roster: Roster
    child: Document
    step: ObservedStep
    step_name: str
    now: dt.datetime
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    has_running_pods: bool = False


@dataclass(frozen=True)
class _Membership:
    """The course that a week job is part of; without one, why there is none.

    A course that cannot be read admits nothing more, and what runs goes on: a teacher's slip of the pen stops no class.
    """

    roster: Roster | None
    why_not: str = ""
    is_readable: bool = True


@dataclass
class _Scene:
    """One look at a week job."""

    document: Document
    weekjob: WeekJob
    membership: _Membership
    family: Family
    now: dt.datetime
    previous: WeekJobStatus | None
    steps: dict[str, ObservedStep] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        return str(self.document["metadata"]["uid"])

    @property
    def roster(self) -> Roster | None:
        return self.membership.roster


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
        self._rosters = Rosters()
        self._ended: set[str] = set()
        self._lingering: dict[str, dt.datetime] = {}

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
            # The garbage collector deletes children once the week job is gone, which a foreign finalizer may put off.
            await self._delete_children(self._store.get_family(document["metadata"]["uid"]).children.values())
            await self._settle(document, now)
            return None
        previous = read_status(document)
        if previous is not None and previous.phase.is_terminal:
            self._ended.discard(document["metadata"]["uid"])
            family = self._store.get_family(document["metadata"]["uid"])
            holding = [child for child in family.children.values() if _has_running_pods(child, family)]
            await self._settle_dropped(document, family, holding, now)
            if self._memory.is_open(document["metadata"]["uid"]):
                await self._memory.end(document, self._find_membership(document).roster, previous)
            linger_s = await self._end_lingering(holding, now)
            return _get_sooner(linger_s, await self._expire(document, previous, now))
        if document["metadata"]["uid"] in self._ended:
            # A list that was under way when the end was written shows the time before it; the watch brings the end.
            return _HELD_S
        try:
            weekjob = read_week_job(document)
        except ConfigError as error:
            generation = document["metadata"].get("generation")
            rejected = build_rejection(error, Observed(previous=previous, generation=generation), now)
            # First into the history: what the status says is not looked at again.
            await self._memory.end(document, self._find_membership(document).roster, rejected)
            await self._publish(document, previous, rejected, now)
            return float(document["spec"].get("ttlSecondsAfterFinished") or 0) or None
        return await self._advance(self._look(document, weekjob, previous, now))

    def _look(self, document: Document, weekjob: WeekJob, previous: WeekJobStatus | None, now: dt.datetime) -> _Scene:
        uid = document["metadata"]["uid"]
        # It holds its GPU meanwhile.
        wanted_s = weekjob.spec.pre_running_deadline_seconds or self._settings.pre_running_deadline_s
        limit = {"pre_running_deadline_seconds": min(wanted_s, _MAX_PRE_RUNNING_S)}
        weekjob = weekjob.model_copy(update={"spec": weekjob.spec.model_copy(update=limit)})
        membership = self._find_membership(document)
        scene = _Scene(document, weekjob, membership, self._store.get_family(uid), now, previous)
        scene.steps = self._observe_steps(scene)
        return scene

    def _find_membership(self, document: Document) -> _Membership:
        home = document["metadata"]["namespace"]
        course = self._store.get_course(home)
        if course is None:
            why = f"namespace {home} belongs to no course: ask the teacher to add it to the course's students"
            return _Membership(None, why)
        name = course["metadata"]["name"]
        try:
            roster = self._rosters.read(course)
        except ConfigError as error:
            why = f"course {name} cannot be read, the teacher must mend it: {error.detail}"
            return _Membership(None, why, is_readable=False)
        if home not in roster.students:
            return _Membership(
                None, f"namespace {home} is no longer among the students of course {name}: ask the teacher"
            )
        return _Membership(roster)

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
        desired = self._plan(scene)
        await self._note(scene)
        try:
            is_changed = await self._apply_children(scene, desired)
        except ApiFault as fault:
            if fault.is_refusal:
                await self._publish_refusal(scene, desired, fault)
            raise
        if is_changed:
            # What was made is in the store: the status says so at once instead of in a second patch.
            scene.family = self._store.get_family(scene.uid)
            scene.steps = self._observe_steps(scene)
            desired = self._plan(scene)
        status = desired.status
        if status.phase.is_terminal:
            status = await self._keep_evidence(scene.document, status)
        await self._publish(scene.document, scene.previous, status, scene.now)
        if status.phase.is_terminal:
            self._ended.add(scene.uid)
            await self._memory.end(scene.document, scene.roster, status)
        linger_s = await self._end_lingering(_list_reported_and_running(scene), scene.now)
        return _get_sooner(linger_s, _get_next_look(scene.weekjob, status))

    async def _publish_refusal(self, scene: _Scene, desired: Plan, fault: ApiFault) -> None:
        """Say in the status that the cluster does not take a child; it is tried again."""
        hold = Hold(Reason.POD_REFUSED, f"the cluster refuses it: {fault.detail}")
        held = self._plan(scene, {item.step.name: hold for item in desired.objects})
        await self._publish(scene.document, scene.previous, held.status, scene.now)

    async def _delete_children(self, children: Iterable[Document]) -> None:
        for child in list(children):
            if not child["metadata"].get("deletionTimestamp"):
                await self._delete_child(child)

    async def delete_orphans(self) -> None:
        """Delete children whose week job is gone, as after a deletion that was told to leave them."""
        known = self._store.list_child_uids()
        self._lingering = {uid: since for uid, since in self._lingering.items() if uid in known}
        try:
            await self._delete_children(self._store.list_forsaken())
        except ApiFault as fault:
            LOGGER.warning("orphans were not deleted: %s", fault.detail)

    def _plan(self, scene: _Scene, refusals: Mapping[str, Hold] | None = None) -> Plan:
        previous = scene.previous
        observed = Observed(
            steps=scene.steps,
            previous=previous,
            evidence=previous.evidence if previous else None,
            holds=self._get_holds(scene) | dict(refusals or {}),
            generation=scene.document["metadata"].get("generation"),
        )
        desired = plan(scene.weekjob, observed, scene.now)
        unfit = self._get_unfit(scene, desired)
        return plan(scene.weekjob, replace(observed, holds=unfit), scene.now) if unfit else desired

    def _get_unfit(self, scene: _Scene, desired: Plan) -> dict[str, Hold]:
        """Say which of the children that would be made now could never run."""
        if scene.roster is None:
            return {}
        made = {child["metadata"]["name"] for child in scene.family.children.values()}
        requests = [self._request(scene, item) for item in desired.objects]
        found = {one.item.step.name: get_reason_unfit(one) for one in requests if one.name not in made}
        return {name: hold for name, hold in found.items() if hold is not None}

    def _get_holds(self, scene: _Scene) -> dict[str, Hold]:
        names = _list_step_names(scene.weekjob)
        if scene.roster is None:
            return dict.fromkeys(names, Hold(Reason.COURSE_MISSING, scene.membership.why_not))
        spec = scene.roster.course.spec
        if spec.suspend:
            return dict.fromkeys(names, Hold(Reason.COURSE_SUSPENDED, "the teacher paused the class"))
        holds: dict[str, Hold] = {}
        if _uses_gpu(scene.weekjob):
            said = self._memory.get_over_budget(scene.roster, scene.weekjob.metadata.namespace, scene.now)
            if said is not None:
                holds = {name: Hold(Reason.BUDGET_EXCEEDED, said) for name in _list_gpu_steps(scene.weekjob)}
        for step, pod in _find_left_pods(scene.family).items():
            # It may still write its checkpoint into the run directory.
            holds[step] = Hold(Reason.STAGE_STARTING, f"pod {pod} of the last try still ends")
        return holds

    async def _note(self, scene: _Scene) -> None:
        holding = [child for child in scene.family.children.values() if _may_hold(child, scene)]
        await self._settle_dropped(scene.document, scene.family, holding, scene.now)
        if scene.roster is None:
            return
        for child in scene.family.children.values():
            name = child["metadata"]["labels"].get(labels.STEP, "")
            step = scene.steps.get(name)
            if step is not None and step.attempt == get_attempt(child):
                pods = scene.family.pods.values()
                times = read_start(child, pods), read_stop(child, pods)
                is_running = _has_running_pods(child, scene.family)
                note = StepNote(scene.document, scene.roster, child, step, name, scene.now, *times, is_running)
                await self._memory.note_step(note)

    async def _settle_dropped(
        self, document: Document, family: Family, holding: Iterable[Document], now: dt.datetime
    ) -> None:
        """Close the accounts of all but the children that hold something, and of those that left pods behind."""
        metadata = document["metadata"]
        ends = {uid: read_stop(child, family.pods.values()) for uid, child in family.children.items()}
        held = Held({child["metadata"]["uid"] for child in holding}, _find_left_pods(family).keys(), ends)
        await self._memory.settle(metadata["namespace"], metadata["uid"], now, held)

    async def _end_lingering(self, children: Iterable[Document], now: dt.datetime) -> float | None:
        """Delete children that reported their end a while ago and run on; return when the next of them is due."""
        left: list[float] = []
        for child in children:
            since = self._lingering.setdefault(child["metadata"]["uid"], now)
            left_s = _LINGER_S - (now - since).total_seconds()
            if left_s > 0:
                left.append(left_s)
            elif not child["metadata"].get("deletionTimestamp"):
                LOGGER.warning("%s ran on after its end and is deleted", describe_child(child))
                await self._delete_child(child)
        return min(left, default=None)

    async def _apply_children(self, scene: _Scene, desired: Plan) -> bool:
        """Make the children that are wanted and delete those that are not; return whether one was made."""
        if desired.objects and not scene.membership.is_readable:
            return False
        wanted = {item.step.name: self._request(scene, item) for item in desired.objects} if scene.roster else {}
        missing = dict(wanted)
        for child in list(scene.family.children.values()):
            name = child["metadata"]["labels"].get(labels.STEP, "")
            if child["metadata"].get("deletionTimestamp"):
                missing.pop(name, None)
                continue
            request = wanted.get(name)
            seen = scene.steps.get(name)
            if request is not None and child["metadata"]["name"] == request.name:
                missing.pop(name, None)
                if not _is_stale(child, request, seen, scene.family.pods.values()):
                    continue
            elif seen is None or seen.phase.is_terminal or seen.attempt != get_attempt(child):
                continue
            await self._delete_child(child)
        for request in missing.values():
            if request.slices:
                await self._ensure_finalizer(scene.document)
            document = build_child(request)
            made = await self._cluster.make(get_resource(document), document)
            if made.get("metadata", {}).get("uid"):
                self._store.put(made["kind"], made, is_own=True)
        return bool(missing)

    def _request(self, scene: _Scene, item: StepObject) -> ChildRequest:
        assert scene.roster is not None  # noqa: S101 - the caller asks only where there is a course
        course = scene.roster.course
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
        await self._cluster.delete(get_resource(child), metadata["namespace"], metadata["name"], metadata["uid"])

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
            await self._cluster.make(EVENTS, build_event(document, status, now))
        metadata = document["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": patch}
        written = await self._cluster.patch(
            WEEK_JOBS, metadata["namespace"], metadata["name"], body, subresource="status"
        )
        if written is not None:
            self._store.put("WeekJob", written, is_own=True)

    async def _settle(self, document: Document, now: dt.datetime) -> None:
        """Close the accounts of a week job that is being deleted, and let it go whatever comes."""
        metadata = document["metadata"]
        if labels.FINALIZER not in metadata.get("finalizers", ()):
            return
        try:
            await self._memory.settle(metadata["namespace"], metadata["uid"], now)
        except PlatformError as error:
            # The sweep closes the accounts of children that are gone, once the history is back.
            LOGGER.warning("%s: the accounts stay open for now: %s", metadata["uid"], error.detail)
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


def _list_step_names(weekjob: WeekJob) -> list[str]:
    return [step.name for step in get_unit(weekjob.spec.unit, weekjob.spec.variant).steps]


def _select(documents: Iterable[Document], step: str) -> Sequence[Document]:
    return [one for one in documents if one["metadata"].get("labels", {}).get(labels.STEP) == step]


def _has_running_pods(child: Document, family: Family) -> bool:
    return any(is_pod_running(pod) and is_pod_of(pod, child) for pod in family.pods.values())


def _may_hold(child: Document, scene: _Scene) -> bool:
    """Whether a child may hold GPUs: the current attempt of its step, or an earlier one whose pods run yet."""
    step = scene.steps.get(child["metadata"]["labels"].get(labels.STEP, ""))
    is_current = step is not None and step.attempt == get_attempt(child)
    return is_current or _has_running_pods(child, scene.family)


def _list_reported_and_running(scene: _Scene) -> list[Document]:
    """Return the children whose step reported its end while their pods run."""

    def is_over(child: Document) -> bool:
        step = scene.steps.get(child["metadata"]["labels"].get(labels.STEP, ""))
        return step is not None and (step.attempt > get_attempt(child) or step.phase.is_terminal)

    children = scene.family.children.values()
    return [child for child in children if is_over(child) and _has_running_pods(child, scene.family)]


def _find_left_pods(family: Family) -> dict[str, str]:
    """Return the name of a pod by step, where pods live whose child was deleted."""
    children = family.children.values()
    return {
        pod["metadata"]["labels"].get(labels.STEP, ""): pod["metadata"]["name"]
        for pod in family.pods.values()
        if is_pod_alive(pod) and not any(is_pod_of(pod, child) for child in children)
    }


def _list_gpu_steps(weekjob: WeekJob) -> list[str]:
    steps = get_unit(weekjob.spec.unit, weekjob.spec.variant).steps
    return [step.name for step in steps if step.stage in STAGES and STAGES[step.stage].uses_gpu]


def _uses_gpu(weekjob: WeekJob) -> bool:
    return weekjob.spec.resources.gpu.slices > 0


def _is_stale(child: Document, request: ChildRequest, seen: ObservedStep | None, pods: Iterable[Document]) -> bool:
    """Whether a child that still waits was made from another specification."""
    if seen is None or seen.phase not in (Phase.QUEUED, Phase.INITIALIZING):
        return False
    # A Ray cluster runs before its stage does.
    own = _select(pods, request.item.step.name)
    is_started = any(is_pod_running(pod) for pod in own if is_pod_of(pod, child))
    return not is_made_from(child, request, is_started=is_started)


def _get_sooner(one_s: float | None, other_s: float | None) -> float | None:
    """Return the sooner of two times, of which any may be none.

    >>> _get_sooner(None, 3.0), _get_sooner(2.0, 3.0), _get_sooner(None, None)
    (3.0, 2.0, None)
    """
    return min((time for time in (one_s, other_s) if time is not None), default=None)


def _get_next_look(weekjob: WeekJob, status: WeekJobStatus) -> float | None:
    if status.phase.is_terminal:
        return weekjob.spec.ttl_seconds_after_finished
    if status.phase is Phase.QUEUED:
        return _HELD_S
    has_clock = weekjob.spec.active_deadline_seconds is not None or status.phase is Phase.INITIALIZING
    return _CHECK_S if has_clock else None
