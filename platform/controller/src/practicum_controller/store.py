"""The controller's copy of the cluster, and which week job wakes when something in it changes.

Objects are kept trimmed, indexed by the week job that owns them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from practicum_controller.excerpt import is_changed, read_version, trim
from practicum_controller.families import Families, Key
from practicum_controller.family import Family, get_slices
from practicum_controller.foundations import get_standing
from practicum_controller.strangers import Strangers
from practicum_core import labels
from practicum_core.phases import Phase

Document = dict[str, Any]
_ENDED = frozenset({Phase.SUCCEEDED.value, Phase.FAILED.value})
_MAX_GONE = 20_000


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
        self._keys_by_uid: dict[str, Key] = {}
        self._gone: dict[str, int] = {}
        self.strangers = Strangers()
        self._families = Families(self._keys_by_uid.get, self._wake_uid, self.strangers)

    def get_family(self, uid: str) -> Family:
        """Return what belongs to the week job of that uid."""
        return self._families.get(uid)

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
        pod = self._families.find("Pod", uid)
        if pod is None or (pod["metadata"]["namespace"], pod["metadata"]["name"]) != (namespace, name):
            return None
        return pod

    def list_uids(self) -> set[str]:
        """Return the uids of all week jobs, and of those that are gone and whose children are not."""
        return {*self._keys_by_uid, *self._families.list_week_job_uids()}

    def list_child_uids(self) -> set[str]:
        """Return the uids of all children."""
        return {uid for _, uid, _ in self._families.list_children()}

    def list_gpu_children(self) -> set[str]:
        """Return the uids of the children that ask for GPU slices."""
        return {uid for _, uid, child in self._families.list_children() if get_slices(child)}

    def list_orphans(self) -> list[Document]:
        """Return the children whose week job was there and is gone, in the namespaces of courses."""
        return [
            child
            for owner, _, child in self._families.list_children()
            if owner not in self._keys_by_uid and child["metadata"]["namespace"] in self.namespaces
        ]

    def list_homes_without_claim(self, claim: str) -> set[str]:
        """Return the namespaces where a pod finds no node since its volume claim is not there."""
        told = f'persistentvolumeclaim "{claim}"'
        return {
            pod["metadata"]["namespace"]
            for pod in self._families.list_members("Pod")
            if any(told in one.get("message", "") for one in pod["status"]["conditions"] if one["status"] == "False")
        }

    def list_neighbours(self, key: Key) -> list[Document]:
        """Return the other week jobs of the namespace."""
        return [self.week_jobs[one] for one in self._homes.get(key[0], ()) if one != key]

    def list_open(self) -> list[Key]:
        """Return the week jobs that have not ended."""
        return [key for key, one in self.week_jobs.items() if not _is_ended(one)]

    def wake_owner(self, child_uid: str) -> None:
        """Wake the week job that a child belongs to."""
        owner = self._families.get_owner(child_uid)
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
                self._families.put(kind, trimmed, is_own=is_own)

    def drop(self, kind: str, document: Document) -> None:
        """Forget an object that is gone."""
        uid, name = document["metadata"]["uid"], document["metadata"]["name"]
        self._note_gone(uid, read_version(document))
        match kind:
            case "WeekJob":
                self._drop_week_job(document)
            case "Course":
                self.courses.pop(name, None)
                self._wake_members(name)
            case "Namespace":
                self.namespaces.pop(name, None)
            case _:
                self._families.drop(kind, document)

    def replace(self, kind: str, documents: Iterable[Document]) -> None:
        """Take a whole list: what is not in it is gone, and what it says counts even where it seems older.

        Args:
            kind: The kind of all of them.
            documents: The objects, trimmed.
        """
        known = {document["metadata"]["uid"]: document for document in self._list(kind)}
        self._families.forget_waiting(kind)
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
                found = self._families.find(kind, uid)
        return found if found is not None and found["metadata"]["uid"] == uid else None

    def _note_gone(self, uid: str, version: int) -> None:
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
        self._families.adopt(document["metadata"]["uid"])
        if before is None or is_changed(before, document, ("version", "status") if is_own else ("version",)):
            self._wake(key)
        if before is not None and get_standing(document) != get_standing(before):
            self._wake_neighbours(key)

    def _drop_week_job(self, document: Document) -> None:
        key = (document["metadata"]["namespace"], document["metadata"]["name"])
        uid = document["metadata"]["uid"]
        if key in self.week_jobs and self.week_jobs[key]["metadata"]["uid"] == uid:
            del self.week_jobs[key]
            self._homes[key[0]].pop(key, None)
        self._keys_by_uid.pop(uid, None)
        self._wake(key)
        self._wake_neighbours(key)

    def _wake_neighbours(self, key: Key) -> None:
        """Wake the other week jobs of a namespace that have not started: they may wait for this one.

        Not only those whose status says so: of some it is being written now.
        """
        for one in self._homes.get(key[0], ()):
            if one != key and not self.week_jobs[one].get("status", {}).get("startTime"):
                self._wake(one)

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
                return self._families.list_members(kind)


def _is_ended(week_job: Document) -> bool:
    return str(week_job.get("status", {}).get("phase")) in _ENDED
