"""Decides what the controller remembers of the cluster, and which week job wakes when something changes.

Objects are kept trimmed, indexed by the week job that owns them. Refuses to know where the changes come from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from practicum_core import labels
from practicum_core.phases import Phase

Document = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name of a week job."""

_KEPT_ANNOTATIONS = frozenset({"practicum.dev/config-hash", "practicum.dev/applied-hash"})
_KEPT_META = (
    "name",
    "namespace",
    "uid",
    "labels",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
)


@dataclass
class Family:
    """A week job's children, their pods, Workloads and warnings, each by uid."""

    children: dict[str, Document] = field(default_factory=dict)
    pods: dict[str, Document] = field(default_factory=dict)
    workloads: dict[str, Document] = field(default_factory=dict)
    warnings: dict[str, Document] = field(default_factory=dict)


class Store:
    """A copy of what matters on the cluster.

    Args:
        wake: Called with the key of each week job that a change concerns.
        wake_course: Called with the name of each course that a change concerns.
    """

    def __init__(
        self, wake: Callable[[Key], None] = lambda _: None, wake_course: Callable[[str], None] = lambda _: None
    ) -> None:
        self._wake = wake
        self._wake_course = wake_course
        self.week_jobs: dict[Key, Document] = {}
        self.courses: dict[str, Document] = {}
        self.namespaces: dict[str, Document] = {}
        self._families: defaultdict[str, Family] = defaultdict(Family)
        self._keys_by_uid: dict[str, Key] = {}
        self._owners: dict[str, str] = {}

    def get_family(self, uid: str) -> Family:
        """Return what belongs to the week job of that uid."""
        return self._families.get(uid) or Family()

    def get_key(self, uid: str) -> Key | None:
        """Return the key of the week job of that uid."""
        return self._keys_by_uid.get(uid)

    def get_course(self, namespace: str) -> Document | None:
        """Return the course that a namespace belongs to."""
        home = self.namespaces.get(namespace)
        name = home["metadata"].get("labels", {}).get(labels.COURSE) if home else None
        return self.courses.get(name) if name else None

    def find_pod(self, namespace: str, name: str, uid: str) -> Document | None:
        """Return the pod of a stage, if it is that very one."""
        owner = self._owners.get(uid)
        pod = self._families[owner].pods.get(uid) if owner else None
        if pod is None or (pod["metadata"]["namespace"], pod["metadata"]["name"]) != (namespace, name):
            return None
        return pod

    def list_child_uids(self) -> set[str]:
        """Return the uids of all children."""
        return {uid for family in self._families.values() for uid in family.children}

    def list_open(self) -> list[Key]:
        """Return the week jobs that have not ended."""
        ended = ("Succeeded", "Failed")
        return [key for key, one in self.week_jobs.items() if one.get("status", {}).get("phase") not in ended]

    def count_phases(self) -> dict[str, int]:
        """Return how many week jobs stand in each phase."""
        counts = dict.fromkeys((phase.value for phase in Phase), 0)
        for one in self.week_jobs.values():
            counts[one.get("status", {}).get("phase") or Phase.PENDING.value] += 1
        return counts

    def wake_owner(self, child_uid: str) -> None:
        """Wake the week job that a child belongs to."""
        owner = self._owners.get(child_uid)
        if owner is not None:
            self._wake_uid(owner)

    def put(self, kind: str, document: Document) -> None:
        """Take an object as it is now."""
        trimmed = trim(document)
        match kind:
            case "WeekJob":
                self._put_week_job(trimmed)
            case "Course":
                self.courses[trimmed["metadata"]["name"]] = trimmed
                self._wake_course(trimmed["metadata"]["name"])
                self._wake_members(trimmed["metadata"]["name"])
            case "Namespace":
                self._put_namespace(trimmed)
            case _:
                self._put_member(kind, trimmed)

    def take_quietly(self, kind: str, document: Document) -> None:
        """Take what the controller itself wrote: nobody is woken."""
        if kind == "Course":
            self.courses[document["metadata"]["name"]] = trim(document)

    def drop(self, kind: str, document: Document) -> None:
        """Forget an object that is gone."""
        uid, name = document["metadata"]["uid"], document["metadata"]["name"]
        match kind:
            case "WeekJob":
                self._drop_week_job(document)
            case "Course":
                self.courses.pop(name, None)
                self._wake_members(name)
            case "Namespace":
                self.namespaces.pop(name, None)
            case _:
                owner = self._owners.pop(uid, None)
                if owner is not None:
                    _select(self._families[owner], kind).pop(uid, None)
                    self._wake_uid(owner)

    def replace(self, kind: str, documents: Iterable[Document]) -> None:
        """Take a whole list: what is not in it is gone."""
        known = {document["metadata"]["uid"]: document for document in self._list(kind)}
        for document in documents:
            known.pop(document["metadata"]["uid"], None)
            self.put(kind, document)
        for document in known.values():
            self.drop(kind, document)

    def _put_week_job(self, document: Document) -> None:
        key = (document["metadata"]["namespace"], document["metadata"]["name"])
        before = self.week_jobs.get(key)
        if before is not None and before["metadata"]["uid"] != document["metadata"]["uid"]:
            self._drop_week_job(before)
        self.week_jobs[key] = document
        self._keys_by_uid[document["metadata"]["uid"]] = key
        self._wake(key)

    def _drop_week_job(self, document: Document) -> None:
        key = (document["metadata"]["namespace"], document["metadata"]["name"])
        uid = document["metadata"]["uid"]
        if key in self.week_jobs and self.week_jobs[key]["metadata"]["uid"] == uid:
            del self.week_jobs[key]
        self._keys_by_uid.pop(uid, None)
        self._wake(key)

    def _put_namespace(self, document: Document) -> None:
        name = document["metadata"]["name"]
        before = self.namespaces.get(name)
        self.namespaces[name] = document
        if before is None or before["metadata"].get("labels") != document["metadata"].get("labels"):
            for key in list(self.week_jobs):
                if key[0] == name:
                    self._wake(key)

    def _put_member(self, kind: str, document: Document) -> None:
        uid = document["metadata"]["uid"]
        owner = self._find_owner(kind, document)
        if owner is None:
            return
        self._owners[uid] = owner
        members = _select(self._families[owner], kind)
        if members.get(uid) != document:
            members[uid] = document
            self._wake_uid(owner)

    def _find_owner(self, kind: str, document: Document) -> str | None:
        """Return the uid of the week job: by label, or by the child that the object belongs to."""
        if kind == "Event":
            return self._owners.get(document["involvedObject"].get("uid", ""))
        marked = document["metadata"].get("labels", {}).get(labels.WEEK_JOB_UID)
        if marked:
            return str(marked)
        return next((self._owners[uid] for uid in document.get("owners", ()) if uid in self._owners), None)

    def _wake_uid(self, uid: str) -> None:
        key = self._keys_by_uid.get(uid)
        if key is not None:
            self._wake(key)

    def _wake_members(self, course: str) -> None:
        homes = {
            name
            for name, home in self.namespaces.items()
            if home["metadata"].get("labels", {}).get(labels.COURSE) == course
        }
        for key in list(self.week_jobs):
            if key[0] in homes:
                self._wake(key)

    def _list(self, kind: str) -> list[Document]:
        match kind:
            case "WeekJob":
                return list(self.week_jobs.values())
            case "Course":
                return list(self.courses.values())
            case "Namespace":
                return list(self.namespaces.values())
            case _:
                return [
                    document
                    for family in self._families.values()
                    for document in _select(family, kind).values()
                    if document["kind"] == kind
                ]


def _select(family: Family, kind: str) -> dict[str, Document]:
    match kind:
        case "Pod":
            return family.pods
        case "Workload":
            return family.workloads
        case "Event":
            return family.warnings
        case _:
            return family.children


def trim(document: Mapping[str, Any]) -> Document:
    """Keep what the controller reads: 10,000 week jobs and their children are held at a time."""
    metadata = document["metadata"]
    kept = {name: metadata[name] for name in _KEPT_META if metadata.get(name)}
    annotations = {key: value for key, value in metadata.get("annotations", {}).items() if key in _KEPT_ANNOTATIONS}
    if annotations:
        kept["annotations"] = annotations
    kind = document["kind"]
    trimmed: Document = {"kind": kind, "metadata": kept}
    owners = [owner["uid"] for owner in metadata.get("ownerReferences", ())]
    if owners:
        trimmed["owners"] = owners
    match kind:
        case "WeekJob" | "Course":
            trimmed |= {name: document[name] for name in ("spec", "status") if name in document}
        case "Pod":
            trimmed["status"] = _trim_pod_status(document.get("status", {}))
        case "Event":
            trimmed |= {name: document.get(name) for name in ("reason", "message", "involvedObject", "type")}
        case "Job" | "RayJob":
            trimmed["spec"] = {"suspend": document.get("spec", {}).get("suspend", False)}
            trimmed["status"] = _trim_child_status(document.get("status", {}))
        case "Workload":
            trimmed["spec"] = {"queueName": document.get("spec", {}).get("queueName")}
            trimmed["status"] = {"conditions": document.get("status", {}).get("conditions", [])}
    return trimmed


_CHILD_STATUS = ("conditions", "startTime", "jobStatus", "jobDeploymentStatus", "reason", "message", "active", "ready")


def _trim_child_status(status: Mapping[str, Any]) -> Document:
    return {name: status[name] for name in _CHILD_STATUS if name in status}


def _trim_pod_status(status: Mapping[str, Any]) -> Document:
    kept = {name: status[name] for name in ("phase", "reason", "message") if name in status}
    kept["conditions"] = [
        one for one in status.get("conditions", ()) if one["type"] in {"PodScheduled", "DisruptionTarget"}
    ]
    for name in ("initContainerStatuses", "containerStatuses"):
        kept[name] = [
            {part: one[part] for part in ("name", "state", "lastState") if part in one} for one in status.get(name, ())
        ]
    return kept
