"""What people are told of a week job: its status, an event at each transition, its evidence page."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from practicum_controller.accounts import Accounts
from practicum_controller.client import ApiFault, Cluster
from practicum_controller.documents import build_status_patch
from practicum_controller.endings import Endings
from practicum_controller.kinds import CONFIG_MAPS, EVENTS, WEEK_JOBS
from practicum_controller.places import Places
from practicum_controller.planner import Desired
from practicum_controller.reports import Reports
from practicum_controller.scene import Scene
from practicum_controller.store import Store
from practicum_core.labels import MANAGER
from practicum_core.phases import Phase
from practicum_core.weekjob import WeekJobStatus

LOGGER = logging.getLogger(__name__)
Document = dict[str, Any]
_CHECK_S = 10.0
"""Seconds after which a week job is looked at again whose pods are being started, for which there is a deadline."""
_HELD_S = 60.0
_MAX_BUDGET_LOOK_S = 60.0
_AFTER_END_S = 1.0
"""Times in a status are whole seconds, so the end of a time is looked for a second after it."""
_NOT_KEPT = "; its evidence page is not kept yet: "
MAX_PAGES_BYTES = 2_000_000
"""Size of all evidence pages of a namespace, in base64: 2,000 students fill half of the 8 GiB that suit etcd."""
_MAX_EVENT_MESSAGE = 1000


class Publisher:
    """Writes down what became of week jobs.

    Args:
        store: What the cluster looks like: a status is in it as soon as it is written.
        cluster: Where changes are made.
        reports: Where evidence pages come from.
        places: Where it is kept how long children waited.
        accounts: What is charged for what runs.
        endings: What is done at the end of a week job.
    """

    def __init__(
        self, store: Store, cluster: Cluster, reports: Reports, places: Places, accounts: Accounts, endings: Endings
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._reports = reports
        self._places = places
        self._accounts = accounts
        self._endings = endings

    async def publish_status(self, scene: Scene, desired: Desired) -> float | None:
        """Write what is desired of the status, charge what runs, and bring to its end what ended.

        Returns:
            Seconds after which to look again even though nothing changes; ``None`` for not before something does.
        """
        status = desired.status or scene.previous or WeekJobStatus()
        is_ending = status.phase.is_terminal and not scene.is_being_deleted
        if is_ending and (desired.status is not None or _NOT_KEPT in status.message):
            status = await self._keep_evidence(scene, status)
        if status is not scene.previous and not scene.is_being_deleted:
            await self._write(scene, status)
        await self._places.record_admissions(scene)
        budget_left_s = await self._accounts.charge(scene)
        if self._accounts.is_settled(scene):
            await self._endings.release_settled(scene, status)
        end_s = await self._endings.conclude(scene, status)
        # Another week job of the student may use the budget up faster.
        limits_s = (desired.deadline_in_s, None if budget_left_s is None else min(budget_left_s, _MAX_BUDGET_LOOK_S))
        look_s = _get_next_look(scene, status, limits_s)
        return min((delay_s for delay_s in (look_s, end_s) if delay_s is not None), default=None)

    async def reopen(self, scene: Scene) -> None:
        """Forget the end of a week job that is to run with another specification."""
        await self._reports.reopen(scene.uid)
        await self._write(scene, WeekJobStatus())

    async def _keep_evidence(self, scene: Scene, status: WeekJobStatus) -> WeekJobStatus:
        """Keep the evidence page in a ConfigMap; where the cluster takes none, say so: the week ends all the same."""
        page = await self._reports.read_evidence(scene.uid)
        if page is None:
            return status
        said = status.message.partition(_NOT_KEPT)[0]
        try:
            kept_bytes = await self._measure_pages(scene)
            if kept_bytes + len(page) > MAX_PAGES_BYTES:
                full = (
                    f"; its evidence page is in the workspace alone: kept pages of this namespace have {kept_bytes} "
                    f"bytes, of {MAX_PAGES_BYTES} at most; delete week jobs whose pages you have fetched"
                )
                return status.model_copy(update={"message": f"{said}{full}"})
            await self._cluster.apply(CONFIG_MAPS, build_evidence(scene.document, page))
        except ApiFault as fault:
            return status.model_copy(update={"message": f"{said}{_NOT_KEPT}{fault.detail}"})
        name = get_evidence_name(scene.document["metadata"]["name"])
        return status.model_copy(update={"message": said, "evidence": f"configmap/{name}"})

    async def _measure_pages(self, scene: Scene) -> int:
        """Return the size of the pages that are kept in the namespace, but for the week job's own."""
        own = get_evidence_name(scene.document["metadata"]["name"])
        path = CONFIG_MAPS.build_path(scene.namespace)
        found = await self._cluster.read(f"{path}?labelSelector=app.kubernetes.io/managed-by%3D{MANAGER}") or {}
        pages = [one.get("binaryData", {}) for one in found.get("items", ()) if one["metadata"]["name"] != own]
        return sum(len(text) for page in pages for text in page.values())

    async def _write(self, scene: Scene, status: WeekJobStatus) -> None:
        event = build_event(scene, status)
        patch = build_status_patch(scene.document.get("status") or {}, status)
        if patch is None:
            return
        metadata = scene.document["metadata"]
        if event is not None:
            try:
                await self._cluster.make(EVENTS, event)
            except ApiFault as fault:
                LOGGER.warning("%s: the event was not written: %s", metadata["uid"], fault.detail)
        # The API server refuses a status that was decided on an older state of the week job: it is looked at again.
        seen = {"uid": metadata["uid"], "resourceVersion": str(scene.document["version"])}
        body = {"metadata": seen, "status": patch}
        written = await self._cluster.patch(
            WEEK_JOBS, metadata["namespace"], metadata["name"], body, subresource="status"
        )
        if written is not None:
            self._store.put("WeekJob", written, is_own=True)


def _get_next_look(scene: Scene, status: WeekJobStatus, limits_s: Iterable[float | None]) -> float | None:
    """Return after how many seconds the status may be another although nothing happened.

    Args:
        scene: The week job as it is.
        status: What is written of it.
        limits_s: Seconds until what runs passes its deadline or uses the budget up.
    """
    if scene.is_being_deleted:
        return None
    if status.phase is Phase.QUEUED or _NOT_KEPT in status.message:
        return _HELD_S
    if status.phase.is_terminal:
        return None
    ends_s = [max(limit_s, 0.0) + _AFTER_END_S for limit_s in limits_s if limit_s is not None]
    return min([*ends_s, *([_CHECK_S] if status.phase is Phase.INITIALIZING else [])], default=None)


def build_event(scene: Scene, status: WeekJobStatus) -> Document | None:
    """Return the Kubernetes Event of a transition; ``None`` where phase and reason are those of before.

    Its name is a content hash, so a repeated event is a no-op.
    """
    previous, metadata, now = scene.previous, scene.document["metadata"], scene.now
    if previous is not None and (previous.phase, previous.reason) == (status.phase, status.reason):
        return None
    attempts = "".join(str(stage.attempt) for stage in status.stages)
    told = f"{metadata['uid']}|{status.phase}|{status.reason}|{status.stage}|{attempts}"
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{hashlib.sha256(told.encode()).hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": "practicum.dev/v1alpha1",
            "kind": "WeekJob",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": "Warning" if status.phase is Phase.FAILED else "Normal",
        "reason": str(status.reason or status.phase),
        "message": status.message[:_MAX_EVENT_MESSAGE],
        "source": {"component": MANAGER},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


def build_evidence(document: Mapping[str, Any], page: str) -> Document:
    """Return the ConfigMap that holds a week job's evidence page, gzip in base64."""
    metadata = document["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": get_evidence_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {"app.kubernetes.io/managed-by": MANAGER},
            "ownerReferences": [
                {
                    "apiVersion": "practicum.dev/v1alpha1",
                    "kind": "WeekJob",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                }
            ],
        },
        "binaryData": {"index.html.gz": page},
    }


def get_evidence_name(weekjob: str) -> str:
    """Return the name of the ConfigMap with the evidence page."""
    return f"{weekjob}-evidence"
