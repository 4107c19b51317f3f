"""The objects that belong to week jobs, each in the family of its week job, with those whose owner is not known yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from practicum_controller.excerpt import is_changed, trim
from practicum_controller.family import Family, get_reason_foreign, get_week_job_uid, list_parents
from practicum_controller.strangers import Strangers

Document = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name of a week job."""


class Families:
    """Children, pods, Workloads and warnings of week jobs.

    Args:
        get_key: Returns the key of the week job of a uid.
        wake: Called with the uid of a week job when a member of its family changes.
        strangers: Takes note of what looks like a child and is none.
    """

    def __init__(self, get_key: Callable[[str], Key | None], wake: Callable[[str], None], strangers: Strangers) -> None:
        self._get_key = get_key
        self._wake = wake
        self._strangers = strangers
        self._families: dict[str, Family] = {}
        self._owners: dict[str, str] = {}
        self._orphans: defaultdict[str, dict[str, tuple[str, Document]]] = defaultdict(dict)

    def get(self, week_job_uid: str) -> Family:
        """Return the family of the week job of that uid."""
        return self._families.get(week_job_uid) or Family()

    def get_owner(self, uid: str) -> str | None:
        """Return the uid of the week job that a member belongs to."""
        return self._owners.get(uid)

    def list_week_job_uids(self) -> set[str]:
        """Return the uids of the week jobs that have a family, also of those that are gone."""
        return set(self._families)

    def list_children(self) -> Iterator[tuple[str, str, Document]]:
        """Return each child with the uid of its week job and its own."""
        for owner, family in self._families.items():
            for uid, child in family.children.items():
                yield owner, uid, child

    def list_members(self, kind: str) -> list[Document]:
        """Return all members of one kind."""
        return [
            document
            for family in self._families.values()
            for document in family.select(kind).values()
            if document["kind"] == kind
        ]

    def find(self, kind: str, uid: str) -> Document | None:
        """Return a member by its uid."""
        owner = self._owners.get(uid)
        return self._families[owner].select(kind).get(uid) if owner else None

    def put(self, kind: str, document: Document, *, is_own: bool = False) -> None:
        """Take an object, trimmed, as it is now; one whose owner is not known yet waits for it."""
        uid = document["metadata"]["uid"]
        why = get_reason_foreign(document) if uid not in self._owners else None
        if why is not None and any(owner in self._owners for owner in document.get("owners", ())):
            # An operator made it of a child, whose labels it has: KServe's Deployment is none of the controller's.
            return
        if why is not None:
            self._strangers.note(kind, document, why)
            return
        # What was taken stays where it is until it goes: a Workload is seen to change after its Job went, and whoever
        # takes the owner reference off a child makes an orphan of it and no stranger.
        owner = self._owners.get(uid) or self._find_owner(kind, document)
        if owner is None:
            for parent in list_parents(kind, document):
                self._orphans[parent][uid] = (kind, document)
            return
        is_new = uid not in self._owners
        self._owners[uid] = owner
        family = self._families.setdefault(owner, Family())
        if kind == "Event":
            family.attribute_event(document)
        members = family.select(kind)
        before = members.get(uid)
        members[uid] = document
        if not is_own and (before is None or is_changed(before, document, ("version",))):
            self._wake(owner)
        if is_new:
            self.adopt(uid)

    def adopt(self, parent: str) -> None:
        """Take the objects that waited for what they belong to."""
        for kind, document in self._orphans.pop(parent, {}).values():
            if document["metadata"]["uid"] not in self._owners:
                self.put(kind, document)

    def drop(self, kind: str, document: Document) -> None:
        """Forget an object that is gone."""
        uid = document["metadata"]["uid"]
        owner = self._owners.pop(uid, None)
        if owner is None:
            for parent in list_parents(kind, trim({"kind": kind, **document})):
                if self._orphans.get(parent, {}).pop(uid, None) and not self._orphans[parent]:
                    del self._orphans[parent]
            return
        family = self._families[owner]
        family.select(kind).pop(uid, None)
        if family.is_empty:
            del self._families[owner]
        self._wake(owner)

    def forget_waiting(self, kind: str) -> None:
        """Forget the objects of one kind that wait for their owners, before a list of all of them is taken."""
        for waiting in self._orphans.values():
            for uid in [uid for uid, (other, _) in waiting.items() if other == kind]:
                del waiting[uid]

    def _find_owner(self, kind: str, document: Document) -> str | None:
        """Return the uid of the week job: by label, or by the child that the object belongs to.

        Its week job is there and lies in the same namespace: elsewhere people label what they make as they like.
        """
        uid = get_week_job_uid(document)
        key = self._get_key(uid)
        if kind != "Event" and key is not None and key[0] == document["metadata"]["namespace"]:
            return uid
        return next((self._owners[uid] for uid in list_parents(kind, document) if uid in self._owners), None)
