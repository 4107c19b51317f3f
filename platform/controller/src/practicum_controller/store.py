"""Decides what the controller remembers of the cluster, and which week job wakes when something changes.

Objects are kept trimmed, indexed by the week job that owns them. Refuses to know where the changes come from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from practicum_controller.excerpt import read_version, trim
from practicum_controller.scene import get_slices
from practicum_core import labels
from practicum_core.phases import Phase

Document = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name of a week job."""

_ENDED = frozenset({Phase.SUCCEEDED.value, Phase.FAILED.value})
_MAX_GONE = 20_000


@dataclass
class Family:
    """A week job's children, their pods, Workloads and warnings, each by uid."""

    children: dict[str, Document] = field(default_factory=dict)
    clusters: dict[str, Document] = field(default_factory=dict)
    pods: dict[str, Document] = field(default_factory=dict)
    workloads: dict[str, Document] = field(default_factory=dict)
    warnings: dict[str, Document] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not (self.children or self.clusters or self.pods or self.workloads or self.warnings)


class Store:
    """A copy of what matters on the cluster.

    Watches of different kinds run beside each other and beside the controller's own writes, so an object may come
    before its owner, and an older state after a newer one: the former waits for its owner, the latter is left out.

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
        self._homes: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        self._families: dict[str, Family] = {}
        self._keys_by_uid: dict[str, Key] = {}
        self._owners: dict[str, str] = {}
        self._orphans: defaultdict[str, dict[str, tuple[str, Document]]] = defaultdict(dict)
        self._gone: dict[str, int] = {}

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
        # Whoever makes pods elsewhere may label them as they like: a stage's pod lives where its week job does.
        home = self._keys_by_uid.get(str(owner))
        return pod if home is None or home[0] == namespace else None

    def list_uids(self) -> set[str]:
        """Return the uids of all week jobs, and of those that were not seen yet but whose children were."""
        return {*self._keys_by_uid, *self._families}

    def list_child_uids(self) -> set[str]:
        """Return the uids of all children."""
        return {uid for family in self._families.values() for uid in family.children}

    def list_gpu_children(self) -> set[str]:
        """Return the uids of the children that ask for GPU slices."""
        return {
            uid for family in self._families.values() for uid, child in family.children.items() if get_slices(child)
        }

    def list_orphans(self) -> list[Document]:
        """Return the children whose week job is gone."""
        return [
            child
            for uid, family in self._families.items()
            if uid not in self._keys_by_uid
            for child in family.children.values()
        ]

    def list_open(self) -> list[Key]:
        """Return the week jobs that have not ended."""
        return [key for key, one in self.week_jobs.items() if one.get("status", {}).get("phase") not in _ENDED]

    def count_phases(self) -> dict[str, int]:
        """Return how many week jobs stand in each phase."""
        counts = dict.fromkeys((phase.value for phase in Phase), 0)
        for one in self.week_jobs.values():
            phase = one.get("status", {}).get("phase") or Phase.PENDING.value
            # A phase that another version wrote is counted too.
            counts[phase] = counts.get(phase, 0) + 1
        return counts

    def list_progress(self) -> dict[tuple[str, str, str], float]:
        """Return the share done of each week job that runs, by namespace, name and unit."""
        return {
            (*key, one["spec"]["unit"]): float(one["status"]["progress"].rstrip("%")) / 100
            for key, one in self.week_jobs.items()
            if one.get("status", {}).get("phase") == Phase.RUNNING.value and one["status"].get("progress")
        }

    def wake_owner(self, child_uid: str) -> None:
        """Wake the week job that a child belongs to."""
        owner = self._owners.get(child_uid)
        if owner is not None:
            self._wake_uid(owner)

    def put(self, kind: str, document: Document, *, is_own: bool = False) -> None:
        """Take an object as it is now.

        Args:
            kind: Its kind.
            document: The object.
            is_own: It is what the API server answered to a write of the controller, which need not be woken by it.
        """
        trimmed = trim(document)
        before = self._find(kind, trimmed)
        version = max(before["version"] if before else 0, self._gone.get(trimmed["metadata"]["uid"], 0))
        if trimmed["version"] < version:
            return
        self._take(kind, trimmed, is_own=is_own)

    def _take(self, kind: str, trimmed: Document, *, is_own: bool = False) -> None:
        match kind:
            case "WeekJob":
                self._put_week_job(trimmed, is_own=is_own)
            case "Course":
                self._put_course(trimmed)
            case "Namespace":
                self._put_namespace(trimmed)
            case _:
                self._put_member(kind, trimmed, is_own=is_own)

    def drop(self, kind: str, document: Document) -> None:
        """Forget an object that is gone."""
        uid, name = document["metadata"]["uid"], document["metadata"]["name"]
        self._bury(uid, read_version(document))
        match kind:
            case "WeekJob":
                self._drop_week_job(document)
            case "Course":
                self.courses.pop(name, None)
                self._wake_members(name)
            case "Namespace":
                self.namespaces.pop(name, None)
            case _:
                self._drop_member(kind, document)

    def replace(self, kind: str, documents: Iterable[Document]) -> None:
        """Take a whole list: what is not in it is gone, and what it says counts even where it seems older.

        Args:
            kind: The kind of all of them.
            documents: The objects, trimmed.
        """
        known = {document["metadata"]["uid"]: document for document in self._list(kind)}
        for waiting in self._orphans.values():
            for uid in [uid for uid, (other, _) in waiting.items() if other == kind]:
                del waiting[uid]
        for document in documents:
            known.pop(document["metadata"]["uid"], None)
            self._take(kind, document)
        for document in known.values():
            self.drop(kind, document)

    def _find(self, kind: str, document: Document) -> Document | None:
        """Return the same object as it was taken before."""
        metadata = document["metadata"]
        uid = metadata["uid"]
        match kind:
            case "WeekJob":
                found = self.week_jobs.get((metadata["namespace"], metadata["name"]))
            case "Course":
                found = self.courses.get(metadata["name"])
            case "Namespace":
                found = self.namespaces.get(metadata["name"])
            case _:
                owner = self._owners.get(uid)
                found = _select(self._families[owner], kind).get(uid) if owner else None
        return found if found is not None and found["metadata"]["uid"] == uid else None

    def _bury(self, uid: str, version: int) -> None:
        """Remember that an object went, so that an answer which was under way does not bring it back."""
        self._gone[uid] = version
        if len(self._gone) > _MAX_GONE:
            del self._gone[next(iter(self._gone))]

    def _put_week_job(self, document: Document, *, is_own: bool) -> None:
        key = (document["metadata"]["namespace"], document["metadata"]["name"])
        before = self.week_jobs.get(key)
        if before is not None and before["metadata"]["uid"] != document["metadata"]["uid"]:
            self._drop_week_job(before)
            before = None
        self.week_jobs[key] = document
        self._homes[key[0]][key] = None
        self._keys_by_uid[document["metadata"]["uid"]] = key
        if before is None or is_changed(before, document, ("version", "status") if is_own else ("version",)):
            self._wake(key)

    def _drop_week_job(self, document: Document) -> None:
        key = (document["metadata"]["namespace"], document["metadata"]["name"])
        uid = document["metadata"]["uid"]
        if key in self.week_jobs and self.week_jobs[key]["metadata"]["uid"] == uid:
            del self.week_jobs[key]
            self._homes[key[0]].pop(key, None)
        self._keys_by_uid.pop(uid, None)
        self._wake(key)

    def _put_course(self, document: Document) -> None:
        name = document["metadata"]["name"]
        before = self.courses.get(name)
        self.courses[name] = document
        if before is None or is_changed(before, document, ("version", "status")):
            self._wake_course(name)
            self._wake_members(name)

    def _put_namespace(self, document: Document) -> None:
        name = document["metadata"]["name"]
        before = self.namespaces.get(name)
        self.namespaces[name] = document
        if before is None or before["metadata"].get("labels") != document["metadata"].get("labels"):
            for key in self._homes.get(name, ()):
                self._wake(key)

    def _put_member(self, kind: str, document: Document, *, is_own: bool = False) -> None:
        uid = document["metadata"]["uid"]
        # A Workload is seen to change after its Job went: it stays where it was until it goes too.
        owner = self._find_owner(kind, document) or self._owners.get(uid)
        if owner is None:
            for parent in _list_parents(kind, document):
                self._orphans[parent][uid] = (kind, document)
            return
        is_new = uid not in self._owners
        self._owners[uid] = owner
        family = self._families.setdefault(owner, Family())
        if kind == "Event":
            _ascribe(document, family)
        members = _select(family, kind)
        before = members.get(uid)
        members[uid] = document
        if not is_own and (before is None or is_changed(before, document, ("version",))):
            self._wake_uid(owner)
        if is_new:
            for other, orphan in self._orphans.pop(uid, {}).values():
                self._put_member(other, orphan)

    def _drop_member(self, kind: str, document: Document) -> None:
        uid = document["metadata"]["uid"]
        owner = self._owners.pop(uid, None)
        if owner is None:
            for parent in _list_parents(kind, trim({"kind": kind, **document})):
                if self._orphans.get(parent, {}).pop(uid, None) and not self._orphans[parent]:
                    del self._orphans[parent]
            return
        family = self._families[owner]
        _select(family, kind).pop(uid, None)
        if family.is_empty:
            del self._families[owner]
        self._wake_uid(owner)

    def _find_owner(self, kind: str, document: Document) -> str | None:
        """Return the uid of the week job: by label, or by the child that the object belongs to."""
        marked = document["metadata"].get("labels", {}).get(labels.WEEK_JOB_UID)
        if marked and kind != "Event" and self._may_be_of(str(marked), document):
            return str(marked)
        return next((self._owners[uid] for uid in _list_parents(kind, document) if uid in self._owners), None)

    def _may_be_of(self, uid: str, document: Document) -> bool:
        """Whether an object lies where its week job does: elsewhere people label what they make as they like."""
        key = self._keys_by_uid.get(uid)
        return key is None or key[0] == document["metadata"]["namespace"]

    def _wake_uid(self, uid: str) -> None:
        key = self._keys_by_uid.get(uid)
        if key is not None:
            self._wake(key)

    def _wake_members(self, course: str) -> None:
        for name, home in self.namespaces.items():
            if home["metadata"].get("labels", {}).get(labels.COURSE) == course:
                for key in self._homes.get(name, ()):
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


def _ascribe(event: Document, family: Family) -> None:
    """Make an event about a Ray cluster one about the RayJob that the cluster belongs to."""
    cluster = family.clusters.get(event["involvedObject"].get("uid", ""))
    if cluster is not None and cluster.get("owners"):
        event["involvedObject"] = event["involvedObject"] | {"uid": cluster["owners"][0]}


def is_changed(before: Mapping[str, Any], after: Mapping[str, Any], beside: Iterable[str]) -> bool:
    """Whether two states of an object differ in anything beside the parts named.

    >>> is_changed({"version": 1, "spec": {}}, {"version": 2, "spec": {}}, ("version",))
    False
    """
    names = (before.keys() | after.keys()).difference(beside)
    return any(before.get(name) != after.get(name) for name in names)


def _list_parents(kind: str, document: Document) -> list[str]:
    if kind == "Event":
        return [document["involvedObject"].get("uid", "")]
    return list(document.get("owners", ()))


def _select(family: Family, kind: str) -> dict[str, Document]:
    match kind:
        case "RayCluster":
            return family.clusters
        case "Pod":
            return family.pods
        case "Workload":
            return family.workloads
        case "Event":
            return family.warnings
        case _:
            return family.children
