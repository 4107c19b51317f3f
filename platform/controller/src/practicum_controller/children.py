"""The children of a week job: missing ones are made, wanted ones kept, stale and unwanted ones deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from practicum_controller.accounts import Accounts
from practicum_controller.backends import ChildRequest, choose_backend
from practicum_controller.backends.backend import Document
from practicum_controller.client import ApiFault, Cluster
from practicum_controller.kinds import WEEK_JOBS, get_resource
from practicum_controller.planner import Desired
from practicum_controller.scene import Child, Scene
from practicum_controller.store import Store
from practicum_core import labels
from practicum_core.errors import Reason
from practicum_core.phases import Phase
from practicum_core.plan import Hold

LOGGER = logging.getLogger(__name__)


@dataclass
class Applied:
    """What became of the changes. ``refusals`` names the steps of which the API server took none, and what it said."""

    has_made: bool = False
    refusals: dict[str, Hold] = field(default_factory=dict)
    fault: ApiFault | None = None

    def note_fault(self, step: str, fault: ApiFault) -> None:
        """Take note that the API server refused a change, or did not answer."""
        said = "refuses it" if fault.is_refusal else "does not take it now, and is asked again"
        reason = Reason.POD_REFUSED if fault.is_refusal else Reason.UPSTREAM_UNAVAILABLE
        self.refusals[step] = Hold(reason, f"the cluster {said}: {fault.detail}")
        self.fault = self.fault or fault


class Children:
    """Makes and deletes children.

    Args:
        store: What the cluster looks like: children are in it as soon as they are made.
        cluster: Where changes are made.
        accounts: What ran is charged before it is changed.
    """

    def __init__(self, store: Store, cluster: Cluster, accounts: Accounts) -> None:
        self._store = store
        self._cluster = cluster
        self._accounts = accounts

    async def apply_children(self, scene: Scene, desired: Desired) -> Applied:
        """Bring the children of a week job to what is desired. A fault at one child does not stop the others."""
        applied = Applied()
        if scene.is_being_deleted:
            # The garbage collector deletes them once the week job is gone, which a foreign finalizer may put off.
            await self.delete(scene.children)
            return applied
        if scene.fault is None:
            await self._accounts.charge(scene)
        if desired.is_frozen:
            return applied
        missing = dict(desired.children)
        for child in scene.children:
            request = desired.children.get(child.step)
            is_wanted = request is not None and child.name == request.name
            if child.is_being_deleted or is_wanted:
                missing.pop(child.step, None)
            if not child.is_being_deleted and not _is_kept(child, request if is_wanted else None, scene):
                try:
                    await self.delete([child])
                except ApiFault as fault:
                    applied.note_fault(child.step, fault)
        for step, request in missing.items():
            try:
                await self._make(request, scene)
                applied.has_made = True
            except ApiFault as fault:
                applied.note_fault(step, fault)
        return applied

    async def delete(self, children: Iterable[Child]) -> None:
        """Delete children that are not being deleted already."""
        for child in children:
            for document in child.objects:
                await self._delete_object(document)

    async def delete_orphans(self) -> None:
        """Delete what belonged to week jobs that are gone, as after a deletion that was told to leave children."""
        for document in self._store.list_orphans():
            try:
                await self._delete_object(document)
            except ApiFault as fault:
                LOGGER.warning("an orphan was not deleted: %s", fault.detail)

    async def _delete_object(self, document: Document) -> None:
        metadata = document["metadata"]
        if not metadata.get("deletionTimestamp"):
            resource = get_resource(document)
            await self._cluster.delete(resource, metadata["namespace"], metadata["name"], metadata["uid"])

    async def _make(self, request: ChildRequest, scene: Scene) -> None:
        if request.slices:
            await self._ensure_finalizer(scene)
        for document in choose_backend(request).build(request):
            made = await self._cluster.make(get_resource(document), document)
            if made.get("metadata", {}).get("uid"):
                self._store.put(made["kind"], made, is_own=True)

    async def _ensure_finalizer(self, scene: Scene) -> None:
        """Hold a week job that uses GPU time until its account is closed."""
        metadata = scene.document["metadata"]
        held = metadata.get("finalizers", [])
        if labels.FINALIZER in held:
            return
        body = {"metadata": {"uid": metadata["uid"], "finalizers": [*held, labels.FINALIZER]}}
        await self._cluster.patch(WEEK_JOBS, metadata["namespace"], metadata["name"], body)


def _is_kept(child: Child, request: ChildRequest | None, scene: Scene) -> bool:
    """Whether a child stays as it is: one that is wanted and not stale, or one that is over and kept for its log."""
    seen = scene.steps.get(child.step)
    if request is None:
        return seen is None or seen.phase.is_terminal or seen.attempt != child.attempt
    if seen is None or seen.phase not in (Phase.QUEUED, Phase.INITIALIZING):
        return True
    # A Ray cluster runs before its stage does.
    return request.has_made(child.main, is_started=child.has_running_pods)
