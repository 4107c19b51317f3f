"""Leader election: of several replicas one works, the one that holds the Lease; the others stand by.

The election is the official client's. The leader's pod carries a label that the ingest's Service selects, so that
reports reach the replica that works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from enum import StrEnum

from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection

from practicum_controller import metrics
from practicum_controller.client import Cluster, Document, KubernetesCluster
from practicum_controller.kinds import LEASES, PODS, Resource
from practicum_controller.lease import DURATION_S, LEASE, LeaseLock
from practicum_controller.settings import Settings
from practicum_core import labels
from practicum_core.errors import PlatformError, Reason

LOGGER = logging.getLogger(__name__)
LEADER = f"{labels.DOMAIN}/leader"
_RENEW_S, _RETRY_S = 10, 2
_RESIGN_S = 5


class Standing(StrEnum):
    """What a replica is doing."""

    STARTING = "starting"
    """It does not know the cluster yet."""
    STANDBY = "standby"
    """It knows the cluster and waits to lead."""
    LEADING = "leading"
    """It works, and takes reports."""


class Candidate:
    """A replica that works when it leads.

    Args:
        cluster: Where the Lease lies.
        settings: The controller's settings; without leader election it leads at once.
        prepare: Returns when the replica knows the cluster.
        work: What the leader does, without end.
    """

    def __init__(
        self,
        cluster: KubernetesCluster,
        settings: Settings,
        prepare: Callable[[], Awaitable[None]],
        work: Callable[[], Awaitable[None]],
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._prepare = prepare
        self._work = work
        self._identity = f"{settings.pod_name or socket.gethostname()}-{os.getpid()}"
        self.standing = Standing.STARTING
        self._lock = LeaseLock(settings.namespace, self._identity, cluster)

    def is_leading(self) -> bool:
        """Whether the replica leads and its Lease has not run out, as it may in a process that stood still."""
        is_valid = not self._settings.leader_election or self._lock.get_age_s() < DURATION_S
        return self.standing is Standing.LEADING and is_valid

    async def run(self) -> None:
        """Prepare, wait to lead, and work.

        Raises:
            PlatformError: The Lease was lost: another one may work by now, so the process must start afresh.
        """
        if self._settings.leader_election:
            # A container that was started again keeps its pod's labels.
            await self._mark(is_leader=False)
        await self._prepare()
        self.standing = Standing.STANDBY
        if not self._settings.leader_election:
            await self._lead()
            return
        # What it would run on a win is run here, so that its faults are seen.
        election = LeaderElection(Config(self._lock, DURATION_S, _RENEW_S, _RETRY_S, self._lead, self._lead))
        await election.acquire()
        await self._mark(is_leader=True)
        await self._lead_while(election.renew_loop())

    async def _lead_while(self, renewing: Awaitable[None]) -> None:
        tasks = [asyncio.ensure_future(self._lead()), asyncio.ensure_future(renewing)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
            raise PlatformError(Reason.UPSTREAM_UNAVAILABLE, "lost the lease: another replica may lead by now")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _lead(self) -> None:
        self.standing = Standing.LEADING
        metrics.IS_LEADER.set(1)
        LOGGER.info("%s leads", self._identity)
        await self._work()

    async def resign(self) -> None:
        """Hand the Lease back, so that another replica leads at once and not when it runs out."""
        was_leading, self.standing = self.standing is Standing.LEADING, Standing.STARTING
        if not (was_leading and self._settings.leader_election):
            return
        with contextlib.suppress(PlatformError, TimeoutError):
            async with asyncio.timeout(_RESIGN_S):
                await self._mark(is_leader=False)
                await self._release()

    async def _release(self) -> None:
        namespace = self._settings.namespace
        lease = await self._cluster.read(LEASES.build_path(namespace, LEASE))
        if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
            version = {"resourceVersion": lease["metadata"]["resourceVersion"]}
            await self._cluster.patch(LEASES, namespace, LEASE, {"metadata": version, "spec": {"holderIdentity": None}})

    async def _mark(self, *, is_leader: bool) -> None:
        if not self._settings.pod_name:
            return
        body = {"metadata": {"labels": {LEADER: "true" if is_leader else None}}}
        await self._cluster.patch(PODS, self._settings.namespace, self._settings.pod_name, body)


class LedCluster:
    """A cluster that the leader alone may change: what one that lost its Lease still has in hand is not written.

    Args:
        cluster: Where changes are made.
        is_leading: Whether this replica leads; asked at every change.
    """

    def __init__(self, cluster: Cluster, is_leading: Callable[[], bool]) -> None:
        self._cluster = cluster
        self._is_leading = is_leading

    async def apply(self, resource: Resource, document: Document) -> Document:
        """See :meth:`Cluster.apply`."""
        return await self._get_own().apply(resource, document)

    async def make(self, resource: Resource, document: Document) -> Document:
        """See :meth:`Cluster.make`."""
        return await self._get_own().make(resource, document)

    async def delete(self, resource: Resource, namespace: str | None, name: str, uid: str | None = None) -> None:
        """See :meth:`Cluster.delete`."""
        await self._get_own().delete(resource, namespace, name, uid)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, document: Document, *, subresource: str = ""
    ) -> Document | None:
        """See :meth:`Cluster.patch`."""
        return await self._get_own().patch(resource, namespace, name, document, subresource=subresource)

    async def read(self, path: str) -> Document | None:
        """See :meth:`Cluster.read`."""
        return await self._cluster.read(path)

    def _get_own(self) -> Cluster:
        if not self._is_leading():
            raise PlatformError(Reason.UPSTREAM_UNAVAILABLE, "nothing was changed: another replica may lead by now")
        return self._cluster
