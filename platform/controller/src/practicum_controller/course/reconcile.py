"""The reconciler of courses: shared queues, a home for each student, archives for those who left.

Each namespace, and the ClusterQueue for what is shared, carries the hash of what was applied with it, written last: a
restart with a thousand students writes nothing, and what was cut off is applied again. What somebody edited or
deleted by hand is put right in rounds: at each look some homes are applied whatever their hash says. Each part is
applied although another one failed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from practicum_controller import metrics
from practicum_controller.backends.pods import WORKSPACE_CLAIM
from practicum_controller.client import ApiFault, Cluster
from practicum_controller.course.homes import (
    STUDENT_ROLE,
    build_claim,
    build_home,
    build_local_queue,
    build_namespace,
)
from practicum_controller.course.leftovers import remove_priorities, remove_queues
from practicum_controller.course.network import find_api_server
from practicum_controller.course.queues import build_shared
from practicum_controller.course.status import build_course_status, list_archived, list_some, summarize
from practicum_controller.course.volumes import describe_claim, ensure_claim, get_reason_volume_differs
from practicum_controller.documents import build_status_patch, read_course
from practicum_controller.kinds import COURSES, KINDS, NAMESPACES, ROLE_BINDINGS
from practicum_controller.ledger import get_cap_h
from practicum_controller.settings import Settings
from practicum_controller.store import Store
from practicum_core import labels
from practicum_core.course import Course, CoursePhase, CourseStatus, Student, StudentStatus
from practicum_core.errors import ConfigError

Document = dict[str, Any]
APPLIED_HASH = f"{labels.DOMAIN}/applied-hash"
VOLUME = f"{labels.DOMAIN}/workspace"
"""Annotation of a namespace: what its volume was last seen to be."""
Attempt = Callable[[Awaitable[object]], Awaitable[bool]]
"""Awaits work and returns whether it was done; what was in the way is kept."""
REFRESH_S = 60.0
"""Seconds after which the figures in a course's status are drawn anew."""
_RETRY_S = 15.0
_HOMES_AT_ONCE = 8
_REPAIRED_AT_ONCE = 20
"""Homes that are applied anew at each look although their hash says that they have everything."""
_NOT_FOUND = 404


class Ledger(Protocol):
    """Who knows what was used."""

    def count_gpu_hours(self, course: Course, namespace: str, now: dt.datetime) -> float:
        """Return the GPU hours that a namespace used since the last reset."""


class CourseReconciler:
    """Brings courses to what they say.

    Args:
        store: What the cluster looks like.
        cluster: Where changes are made.
        ledger: Who knows what was used.
        settings: The controller's settings.
        read_authority: Returns the certificate authority of the ingest, PEM: who issues certificates may renew it.
        get_now: The clock, with a time zone.
    """

    def __init__(
        self,
        store: Store,
        cluster: Cluster,
        ledger: Ledger,
        settings: Settings,
        read_authority: Callable[[], str],
        get_now: Callable[[], dt.datetime],
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._ledger = ledger
        self._settings = settings
        self._read_authority = read_authority
        self._get_now = get_now
        self._next_repaired: dict[str, int] = {}

    async def reconcile(self, name: str) -> float | None:
        """Bring one course to what it says; return after how many seconds to look again."""
        document = self._store.courses.get(name)
        if document is None or document["metadata"].get("deletionTimestamp"):
            return None
        now = self._get_now()
        try:
            course = read_course(document)
        except ConfigError as error:
            await self._publish(document, build_course_status(document, CoursePhase.FAILED, error.detail, [], now))
            return None
        faults = await self._apply(course, document)
        kept = self._explain_volumes(course)
        phase = CoursePhase.SUSPENDED if course.spec.suspend else CoursePhase.READY
        said = "the class is paused" if course.spec.suspend else f"{len(course.spec.students)} students are set up"
        if faults:
            phase, said = CoursePhase.FAILED, summarize(faults)
        said = "; ".join([said, *kept])
        students = [self._build_student(course, student, now) for student in course.spec.students]
        students += list_archived(course, self._store.namespaces)
        await self._publish(document, build_course_status(document, phase, said, students, now))
        return _RETRY_S if faults else REFRESH_S

    async def _apply(self, course: Course, document: Document) -> list[str]:
        """Make everything; return what was in the way, in sentences.

        An error in one part must not stop the others.
        """
        faults: list[str] = []
        turns = asyncio.Semaphore(_HOMES_AT_ONCE)
        attempt = functools.partial(_attempt, faults)

        async def apply_home(student: Student) -> None:
            async with turns:
                is_repaired = student.home in (repaired or ())
                home = build_home(course, student, self._settings, authority, api_server)
                await attempt(self._apply_home(course, student, home, attempt, is_repaired=is_repaired))

        authority, api_server = self._read_authority(), await find_api_server(self._cluster)
        repaired = self._choose_repaired(course)
        await attempt(self._apply_shared(course, document, attempt, is_repaired=repaired is not None))
        async with asyncio.TaskGroup() as group:
            for student in course.spec.students:
                group.create_task(apply_home(student))
        await self._archive_others(course, attempt)
        return faults

    def _choose_repaired(self, course: Course) -> set[str] | None:
        """Return the homes whose turn it is; ``None`` at the first look, which is one of many at a start."""
        homes = [student.home for student in course.spec.students]
        start = self._next_repaired.get(course.metadata.name)
        if start is None:
            self._next_repaired[course.metadata.name] = 0
            return None
        bare = self._store.list_homes_without_claim(WORKSPACE_CLAIM)
        end = start + _REPAIRED_AT_ONCE
        self._next_repaired[course.metadata.name] = end if end < len(homes) else 0
        return {*homes[start:end], *bare}

    async def _apply_shared(self, course: Course, document: Document, attempt: Attempt, *, is_repaired: bool) -> None:
        owner = {
            "apiVersion": course.api_version,
            "kind": "Course",
            "name": course.metadata.name,
            "uid": document["metadata"]["uid"],
        }
        shared = build_shared(course)
        for wanted in shared:
            wanted["metadata"]["ownerReferences"] = [owner]
        digest = _hash(shared)
        queue = next(wanted for wanted in shared if wanted["kind"] == "ClusterQueue")
        known = await self._cluster.read(KINDS[queue["kind"]].build_path(None, queue["metadata"]["name"]))
        if (
            not is_repaired
            and known is not None
            and known["metadata"].get("annotations", {}).get(APPLIED_HASH) == digest
        ):
            return
        others = [wanted for wanted in shared if wanted is not queue]
        made = [await attempt(self._cluster.apply(KINDS[wanted["kind"]], wanted)) for wanted in others]
        made.append(await attempt(remove_priorities(self._cluster, course, owner["uid"])))
        if all(made):
            queue["metadata"]["annotations"] = {APPLIED_HASH: digest}
        await self._cluster.apply(KINDS[queue["kind"]], queue)

    async def _apply_home(
        self, course: Course, student: Student, content: list[Document], attempt: Attempt, *, is_repaired: bool
    ) -> None:
        namespace, claim = build_namespace(course, student), build_claim(course, student)
        digest = _hash([namespace, content, claim])
        known = self._store.namespaces.get(student.home)
        is_whole = known is not None and known["metadata"].get("annotations", {}).get(APPLIED_HASH) == digest
        if is_whole and not is_repaired:
            return
        _refuse_foreign(known or await self._find_unlabelled(student.home), course)
        if not is_whole:
            await self._cluster.apply(NAMESPACES, namespace)
        made = [await attempt(self._cluster.apply(KINDS[wanted["kind"]], wanted)) for wanted in content]
        if known is not None:
            made.append(await attempt(remove_queues(self._cluster, course, student)))
        # Last: of all parts, what a volume is depends most on the cluster.
        volume = await ensure_claim(self._cluster, claim)
        if not all(made):
            return
        # Only now: a namespace that bears the hash has everything.
        namespace["metadata"]["annotations"] = {APPLIED_HASH: digest, VOLUME: describe_claim(volume)}
        self._store.put("Namespace", {"kind": "Namespace", **await self._cluster.apply(NAMESPACES, namespace)})

    def _explain_volumes(self, course: Course) -> list[str]:
        """Say which volumes are not what the course now asks for, one sentence for each way in which they differ."""
        homes: dict[str, list[str]] = {}
        for student in course.spec.students:
            metadata = self._store.namespaces.get(student.home, {}).get("metadata", {})
            why = get_reason_volume_differs(metadata.get("annotations", {}).get(VOLUME), course.spec.workspace)
            if why:
                homes.setdefault(why, []).append(student.home)
        return [f"{why} (namespaces {list_some(names, ', ')})" for why, names in homes.items()]

    async def _find_unlabelled(self, name: str) -> Document | None:
        """Return a namespace that is not watched, since it belongs to no course."""
        return await self._cluster.read(NAMESPACES.build_path(None, name))

    async def _archive_others(self, course: Course, attempt: Attempt) -> None:
        """Close the homes of those who left the roster. Their data stays."""
        present = {student.home for student in course.spec.students}
        for name, home in list(self._store.namespaces.items()):
            marks = home["metadata"].get("labels", {})
            if (
                marks.get(labels.COURSE) == course.metadata.name
                and name not in present
                and labels.ARCHIVED not in marks
            ):
                await attempt(
                    self._archive(course, Student(name=marks.get(labels.STUDENT, name), namespace=name), attempt)
                )

    async def _archive(self, course: Course, student: Student, attempt: Attempt) -> None:
        queue = build_local_queue(course, student, is_archived=True)
        # Rights and queue are closed each for itself: Kueue may be away.
        closed = [
            await attempt(self._cluster.delete(ROLE_BINDINGS, student.home, STUDENT_ROLE)),
            await attempt(self._cluster.apply(KINDS[queue["kind"]], queue)),
        ]
        if all(closed):
            namespace = build_namespace(course, student)
            namespace["metadata"]["labels"][labels.ARCHIVED] = "true"
            self._store.put("Namespace", {"kind": "Namespace", **await self._cluster.apply(NAMESPACES, namespace)})

    def _build_student(self, course: Course, student: Student, now: dt.datetime) -> StudentStatus:
        used_h = round(self._ledger.count_gpu_hours(course, student.home, now), 2)
        metrics.GPU_HOURS.labels(course.metadata.name, student.name).set(used_h)
        cap_h = get_cap_h(course.spec, student)
        left_h = None if cap_h is None else round(max(cap_h - used_h, 0.0), 2)
        return StudentStatus(name=student.name, namespace=student.home, gpu_hours=used_h, gpu_hours_left=left_h)

    async def _publish(self, document: Document, status: CourseStatus) -> None:
        patch = build_status_patch(document.get("status") or {}, status)
        if patch is None:
            return
        name = document["metadata"]["name"]
        written = await self._cluster.patch(COURSES, None, name, {"status": patch}, subresource="status")
        if written is not None:
            self._store.put("Course", written)


def _hash(documents: Any) -> str:  # noqa: ANN401 - anything that JSON can say
    return hashlib.sha256(json.dumps(documents, sort_keys=True).encode()).hexdigest()[:16]


def _explain(fault: ApiFault) -> str:
    if fault.status == _NOT_FOUND:
        return f"the cluster does not know what is needed (is Kueue installed?): {fault.detail}"
    return fault.detail


async def _attempt(faults: list[str], work: Awaitable[object]) -> bool:
    """Await work; where the API server refuses it, keep the sentence and return ``False``."""
    try:
        await work
    except ApiFault as fault:
        faults.append(_explain(fault))
        return False
    return True


def _refuse_foreign(known: Document | None, course: Course) -> None:
    """Leave alone a namespace that somebody else made: it may hold anything."""
    if known is None:
        return
    owner = known["metadata"].get("labels", {}).get(labels.COURSE)
    if owner != course.metadata.name:
        name = known["metadata"]["name"]
        whose = f"belongs to course {owner}" if owner else "exists and belongs to no course"
        raise ApiFault(
            0, f"namespace {name} {whose}: label it {labels.COURSE}={course.metadata.name} to hand it over", "course"
        )
