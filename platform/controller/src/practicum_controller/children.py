"""The children of a week job: missing ones are made, wanted ones kept, stale and unwanted ones deleted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from practicum_controller.backends import ChildRequest, choose_backend
from practicum_controller.backends.backend import Document
from practicum_controller.backends.fit import find_unfit
from practicum_controller.backends.request import Meter
from practicum_controller.backends.server_pods import build_server_url
from practicum_controller.client import ApiFault, Cluster
from practicum_controller.kinds import KINDS, OPERATORS, WEEK_JOBS
from practicum_controller.planner import Desired
from practicum_controller.scene import Child, Scene
from practicum_controller.settings import Settings
from practicum_controller.store import Store
from practicum_core import labels
from practicum_core.errors import Reason
from practicum_core.observed import Hold
from practicum_core.phases import Phase
from practicum_core.plan import StepObject

LOGGER = logging.getLogger(__name__)


@dataclass
class Applied:
    """What became of the changes. ``refusals`` says by step why a child was not made, or not deleted.

    ``fault`` is the first that the API server answered.
    """

    has_made: bool = False
    refusals: dict[str, Hold] = field(default_factory=dict)
    fault: ApiFault | None = None

    @property
    def is_news(self) -> bool:
        """Whether the week job is to be looked at again before its status is written."""
        return self.has_made or bool(self.refusals)


class Children:
    """Makes and deletes children.

    Args:
        store: What the cluster looks like: children are in it as soon as they are made.
        cluster: Where changes are made.
        settings: The controller's settings.
        is_absent: Whether the cluster does not know a kind of objects.
    """

    def __init__(
        self, store: Store, cluster: Cluster, settings: Settings, is_absent: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._is_absent = is_absent
        self._store = store
        self._cluster = cluster
        self._settings = settings

    async def apply_children(self, scene: Scene, desired: Desired) -> Applied:
        """Bring the children of a week job to what is desired. A fault at one child does not stop the others."""
        applied = Applied()
        if scene.is_being_deleted:
            # The garbage collector deletes them once the week job is gone, which a foreign finalizer may put off.
            await self.delete(scene.children)
            return applied
        if desired.is_frozen:
            return applied
        wanted = self._build_requests(scene, desired.items)
        missing = dict(wanted)
        for child in scene.children:
            request = wanted.get(child.step)
            is_wanted = request is not None and child.name == request.name
            if child.is_being_deleted or is_wanted:
                missing.pop(child.step, None)
            if not child.is_being_deleted and not _is_kept(child, request if is_wanted else None, scene):
                await self._attempt_deletion(child, applied)
        unfit = self._find_unfit(scene, desired, missing) or self._find_lacking(missing)
        applied.refusals |= unfit
        for step, request in missing.items():
            if step not in unfit:
                await self._attempt_making(step, request, scene, applied)
        return applied

    def _find_unfit(self, scene: Scene, desired: Desired, missing: Mapping[str, ChildRequest]) -> Mapping[str, Hold]:
        """Say which children would never run: for themselves, or beside those that will exist while they do."""
        unfit: dict[str, Hold] = {}
        for group in desired.groups:
            names = {step.name for step in group} & missing.keys()
            if names:
                items = [StepObject(step, 1) for step in group]
                found = find_unfit(self._build_requests(scene, items).values())
                unfit |= {step: hold for step, hold in found.items() if step in names}
        return unfit

    def _find_lacking(self, missing: Mapping[str, ChildRequest]) -> Mapping[str, Hold]:
        """Say which children wait for an operator that the cluster does not have."""
        lacking: dict[str, Hold] = {}
        for step, request in missing.items():
            kinds = [document["kind"] for document in choose_backend(request).build(request)]
            names = [OPERATORS[kind] for kind in kinds if kind in OPERATORS and self._is_absent(kind)]
            if names:
                text = f"this cluster has no {' and no '.join(names)}: ask the teacher to install it"
                lacking[step] = Hold(Reason.UPSTREAM_UNAVAILABLE, text)
        return lacking

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

    def _build_requests(self, scene: Scene, items: Sequence[StepObject]) -> Mapping[str, ChildRequest]:
        """Build what children are made from; a step that needs a server is told its address."""
        if scene.roster is None or scene.weekjob is None:
            return {}
        course = scene.roster.course
        shared = (scene.weekjob, scene.uid, scene.created_at)
        named = (course.metadata.name, course.spec, self._settings)
        requests = {
            item.step.name: ChildRequest(*shared, item, *named, meter=_find_meter(scene, item.step.name))
            for item in items
        }
        urls = {name: build_server_url(one) for name, one in requests.items() if one.item.step.spec.is_server}
        return {
            name: replace(one, endpoints={step: urls[step] for step in one.item.step.needs if step in urls})
            for name, one in requests.items()
        }

    async def _attempt_deletion(self, child: Child, applied: Applied) -> None:
        try:
            await self.delete([child])
        except ApiFault as fault:
            _note_fault(applied, child.step, fault)

    async def _attempt_making(self, step: str, request: ChildRequest, scene: Scene, applied: Applied) -> None:
        try:
            if request.slices:
                await self._ensure_finalizer(scene)
            for document in choose_backend(request).build(request):
                made = await self._cluster.make(KINDS[document["kind"]], document)
                if made.get("metadata", {}).get("uid"):
                    self._store.put(made["kind"], made, is_own=True)
        except ApiFault as fault:
            _note_fault(applied, step, fault)
        else:
            applied.has_made = True

    async def _ensure_finalizer(self, scene: Scene) -> None:
        """Hold a week job that uses GPU time until its account is closed."""
        metadata = scene.document["metadata"]
        held = metadata.get("finalizers", [])
        if labels.FINALIZER in held:
            return
        body = {"metadata": {"uid": metadata["uid"], "finalizers": [*held, labels.FINALIZER]}}
        held_now = await self._cluster.patch(WEEK_JOBS, metadata["namespace"], metadata["name"], body)
        if held_now is not None:
            self._store.put("WeekJob", held_now, is_own=True)

    async def _delete_object(self, document: Document) -> None:
        metadata = document["metadata"]
        if not metadata.get("deletionTimestamp"):
            resource = KINDS[document["kind"]]
            await self._cluster.delete(resource, metadata["namespace"], metadata["name"], metadata["uid"])


def _find_meter(scene: Scene, step: str) -> Meter | None:
    """Return where the load of a step's server is counted: at a server of the unit that stands before it."""
    for other in scene.unit.steps if scene.unit else ():
        path = other.spec.find_meter(other.config, step) if other.spec.find_meter else None
        if path is not None and other.spec.endpoint is not None:
            return Meter(other.name, other.spec.endpoint.port, path)
    return None


def _note_fault(applied: Applied, step: str, fault: ApiFault) -> None:
    """Take note that the API server refused a change, or did not answer."""
    said = "refuses it" if fault.is_refusal else "does not take it now, and is asked again"
    reason = Reason.POD_REFUSED if fault.is_refusal else Reason.UPSTREAM_UNAVAILABLE
    applied.refusals[step] = Hold(reason, f"the cluster {said}: {fault.detail}")
    applied.fault = applied.fault or fault


def _is_kept(child: Child, request: ChildRequest | None, scene: Scene) -> bool:
    """Whether a child stays as it is: one that is wanted and not stale, or one that is over and kept for its log."""
    seen = scene.steps.get(child.step)
    if request is None and child.is_server:
        return False
    if request is None:
        return seen is None or seen.phase.is_terminal or seen.attempt != child.attempt
    if seen is None or seen.phase not in (Phase.QUEUED, Phase.INITIALIZING):
        return True
    # A Ray cluster runs before its stage does.
    return request.has_made(child.main, is_started=child.has_running_pods)
