"""The controller's parts put together: what is watched, who works on what was woken, when to look again."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from practicum_controller import metrics
from practicum_controller.accounts import Accounts
from practicum_controller.children import Children
from practicum_controller.client import Cluster, KubernetesCluster
from practicum_controller.course.homes import get_cluster_queue_name
from practicum_controller.course.reconcile import CourseReconciler
from practicum_controller.endings import Endings
from practicum_controller.families import Key
from practicum_controller.history import History
from practicum_controller.kinds import (
    COURSES,
    DEPLOYMENTS,
    EVENTS,
    INFERENCE_SERVICES,
    JOBS,
    NAMESPACES,
    PODS,
    RAY_CLUSTERS,
    RAY_JOBS,
    RAY_SERVICES,
    SCALED_OBJECTS,
    SERVICES,
    WEEK_JOBS,
    WORKLOADS,
)
from practicum_controller.observe import Observer
from practicum_controller.places import Places
from practicum_controller.publisher import Publisher
from practicum_controller.queue import WorkQueue
from practicum_controller.reconcile import Reconciler
from practicum_controller.reflector import Reflector
from practicum_controller.reports import Reports
from practicum_controller.settings import Settings
from practicum_controller.store import Store
from practicum_controller.supervisor import keep_running
from practicum_core import labels
from practicum_core.errors import PracticumError
from practicum_core.reports import StepReport

LOGGER = logging.getLogger(__name__)
K = TypeVar("K", bound=Hashable)
_REFUSALS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("Job", "RayJob", "RayCluster"),
            frozenset({"FailedCreate", "FailedToCreateHeadPod", "FailedToCreateWorkerPod"}),
        ),
        "Pod": frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"}),
    }
)
"""Kind -> what keeps such an object from running; what else is wrong with a pod stands in its status."""
_FREQUENT = ("FailedScheduling", "BackOff", "Failed", "Unhealthy")
_WARNINGS = ",".join(["type=Warning,involvedObject.kind!=WeekJob", *(f"reason!={reason}" for reason in _FREQUENT)])
"""The server sends no other events; above all not those that the controller itself writes."""
_COURSE_WORKERS = 2
_MAX_PENDING = 1000


def get_now() -> dt.datetime:
    """Return the present time in UTC."""
    return dt.datetime.now(dt.UTC)


class Controller:
    """The watches, queues and workers of the controller; ``__main__`` adds leader election, ingest and metrics.

    Args:
        watched: The cluster as it is watched.
        cluster: Where changes are made; the same but in tests that break calls.
        history: What outlives the process.
        settings: The controller's settings.
        read_authority: Returns the certificate authority of the ingest, PEM, as it is now.
    """

    def __init__(
        self,
        watched: KubernetesCluster,
        cluster: Cluster,
        history: History,
        settings: Settings,
        read_authority: Callable[[], str],
    ) -> None:
        self.settings = settings
        self.week_jobs: WorkQueue[Key] = WorkQueue(time.monotonic)
        self.courses: WorkQueue[str] = WorkQueue(time.monotonic)
        self.store = Store(self.week_jobs.add, self.courses.add)
        self._watched = watched
        self._history = history
        self._reports, self._places = Reports(history), Places(history)
        self._accounts = Accounts(history)
        self._children = Children(self.store, cluster, settings, self._is_absent)
        observer = Observer(self.store, self._reports, self._places, self._accounts)
        endings = Endings(cluster, self._children, self._reports)
        publisher = Publisher(self.store, cluster, self._reports, self._places, self._accounts, endings)
        deadline_s = settings.pre_running_deadline_s
        self._reconciler = Reconciler(observer, self._children, publisher, deadline_s, get_now)
        self._course_reconciler = CourseReconciler(
            self.store, cluster, self._accounts, settings, read_authority, get_now
        )
        self._reflectors = self._build_reflectors()

    def _build_reflectors(self) -> list[Reflector]:
        everything: dict[str, str] = {}
        managed = {"labelSelector": labels.WEEK_JOB_UID}
        watched = (
            (NAMESPACES, {"labelSelector": labels.COURSE}),
            (COURSES, everything),
            (JOBS, managed),
            (RAY_JOBS, managed),
            (DEPLOYMENTS, managed),
            (SERVICES, managed),
            (INFERENCE_SERVICES, managed),
            (RAY_SERVICES, managed),
            (SCALED_OBJECTS, managed),
            (RAY_CLUSTERS, managed),
            (PODS, managed),
            (WORKLOADS, everything),
            (WEEK_JOBS, everything),
        )
        events = Reflector(self._watched, self.store, EVENTS, {"fieldSelector": _WARNINGS}, accept=_is_refusal)
        return [*(Reflector(self._watched, self.store, *one) for one in watched), events]

    def _is_absent(self, kind: str) -> bool:
        return any(one.is_absent for one in self._reflectors if one.kind == kind)

    def take_report(self, report: StepReport) -> None:
        """Take a report that the history has, and wake its week job."""
        self._reports.take(report, get_now())
        key = self.store.get_key(report.uid)
        if key is not None:
            self.week_jobs.add(key)

    def find_pod(self, namespace: str, name: str, uid: str) -> dict[str, Any] | None:
        """Return a stage's pod."""
        return self.store.find_pod(namespace, name, uid)

    async def watch(self) -> None:
        """Keep the copy of the cluster current until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(keep_running(f"watch {reflector.kind}", reflector.run))

    async def wait_until_synced(self) -> None:
        """Wait until everything was listed once."""
        await asyncio.gather(*(reflector.is_synced.wait() for reflector in self._reflectors))

    async def work(self) -> None:
        """Work on what is woken until cancelled. Only one controller of a cluster may."""
        await self._reports.load()
        await self._accounts.load(get_now())
        await self.wait_until_synced()
        await self._tidy()
        for key in list(self.store.week_jobs):
            self.week_jobs.add(key)
        for name in list(self.store.courses):
            self.courses.add(name)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.settings.workers):
                group.create_task(_work_on(self.week_jobs, self._reconciler.reconcile))
            for _ in range(_COURSE_WORKERS):
                group.create_task(_work_on(self.courses, self._course_reconciler.reconcile))
            group.create_task(keep_running("queues", self._poll_queues))
            group.create_task(keep_running("sweep", self._sweep))

    async def _poll_queues(self) -> None:
        while True:
            await asyncio.sleep(self.settings.queue_poll_s)
            waiting: set[str] = set()
            for course in list(self.store.courses):
                with contextlib.suppress(PracticumError):
                    positions = await self._read_positions(course)
                    waiting |= positions.keys()
                    for uid in await self._places.set_places(course, positions, self.store.list_gpu_children()):
                        self.store.wake_owner(uid)
            self._places.keep_waiting(waiting)

    async def _read_positions(self, course: str) -> dict[str, int]:
        """Return the places of the course's pending children by uid, from Kueue's visibility API."""
        queue = get_cluster_queue_name(course)
        path = f"/apis/visibility.kueue.x-k8s.io/v1beta2/clusterqueues/{queue}/pendingworkloads?limit={_MAX_PENDING}"
        page = await self._watched.read(path) or {}
        return {
            owner["uid"]: item["positionInClusterQueue"]
            for item in page.get("items", ())
            for owner in item["metadata"].get("ownerReferences", ())
        }

    async def _sweep(self) -> None:
        """Look at everything again now and then."""
        while True:
            await asyncio.sleep(self.settings.resync_s)
            await self._tidy()
            await self._children.delete_orphans()
            for key in self.store.list_open():
                self.week_jobs.add(key)
            for name in list(self.store.courses):
                self.courses.add(name)

    async def _tidy(self) -> None:
        """Close the accounts of what is gone, and drop what is too old."""
        try:
            children, now = self.store.list_child_uids(), get_now()
            self._places.forget_missing(children)
            await self._accounts.close_missing(children, now)
            self._accounts.forget_old(now)
            await self._reports.forget_missing(self.store.list_uids(), now)
            kept = dt.timedelta(days=self.settings.history_days)
            await asyncio.to_thread(self._history.prune, now - kept)
        except PracticumError as error:
            LOGGER.warning("the history was not tidied: %s", error.detail)


def _is_refusal(event: dict[str, Any]) -> bool:
    kind = (event.get("involvedObject") or {}).get("kind")
    return event.get("reason") in _REFUSALS.get(str(kind), ())


async def _work_on(queue: WorkQueue[K], reconcile: Callable[[K], Awaitable[float | None]]) -> None:
    while True:
        key = await queue.take()
        is_fault = False
        try:
            with metrics.time_reconcile():
                delay_s = await reconcile(key)
            if delay_s is not None:
                queue.add_later(key, delay_s)
        except PracticumError as error:
            is_fault = True
            metrics.count_fault(error.reason)
            LOGGER.warning("%s: %s", key, error.detail)
        except Exception:
            is_fault = True
            metrics.count_fault("Internal")
            LOGGER.exception("%s: a fault of the controller itself", key)
        finally:
            queue.done(key, is_fault=is_fault)
