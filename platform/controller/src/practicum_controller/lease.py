"""The Lease that replicas of the controller compete for, as the lock of the official client's leader election."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import math
import time
from collections.abc import Awaitable
from http import HTTPStatus

from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.baselock import BaseLock

from practicum_controller.client import Document, KubernetesCluster
from practicum_controller.kinds import LEASES
from practicum_core.errors import PlatformError

LOGGER = logging.getLogger(__name__)
LEASE = "practicum-controller"
DURATION_S = 15
_CALL_S = 4
"""An unanswered call ends well before the lease does, so that the renewal's own deadline is looked at."""


class LeaseLock(BaseLock):
    """The Lease that the election is about, as plain documents.

    An API server that is away for a while is a failed try, and not the end of the election. The official client's lock
    (37.0.2) cannot create a Lease, since its own model refuses the argument ``pretty=True``, and it ends the election
    when the connection fails.

    Args:
        namespace: Where the Lease lies.
        identity: Who asks to hold it.
        cluster: Where it is read and written.
    """

    def __init__(self, namespace: str, identity: str, cluster: KubernetesCluster) -> None:
        super().__init__(LEASE, namespace, identity)
        self._cluster = cluster
        self._lease: Document = {}
        self._held_at_s = -math.inf

    def get_age_s(self) -> float:
        """Return the seconds since the Lease was last written, counted from before the call."""
        return time.monotonic() - self._held_at_s

    async def get(self, name: str, namespace: str) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception]:
        """Return the election's record; without a Lease, or an answer, the fault that the election looks at."""
        try:
            async with asyncio.timeout(_CALL_S):
                lease = await self._cluster.read(LEASES.build_path(namespace, name))
        except (PlatformError, TimeoutError) as error:
            return False, ApiException(status=0, reason=str(error))
        if lease is None:
            absence = {"code": HTTPStatus.NOT_FOUND}
            return False, ApiException(status=HTTPStatus.NOT_FOUND, body=json.dumps(absence))
        self._lease = lease
        spec = lease.get("spec") or {}
        duration_s = spec.get("leaseDurationSeconds")
        return True, LeaderElectionRecord(
            spec.get("holderIdentity"),
            None if duration_s is None else str(duration_s),
            spec.get("acquireTime"),
            spec.get("renewTime"),
        )

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Create the Lease; return whether it is held now."""
        metadata = {"name": name, "namespace": namespace}
        lease = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata}
        self._lease = {}
        lease["spec"] = self._build_spec(election_record)
        return await self._write(self._cluster.create(LEASES.build_path(namespace), lease))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Take or renew the Lease that was read, unless it has changed since; return whether it is held now."""
        version = {"resourceVersion": self._lease["metadata"]["resourceVersion"]}
        body = {"metadata": version, "spec": self._build_spec(updated_record)}
        return await self._write(self._cluster.patch(LEASES, namespace, name, body))

    def _build_spec(self, record: LeaderElectionRecord) -> Document:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        before = self._lease.get("spec") or {}
        acquired_at = before.get("acquireTime") if before.get("holderIdentity") == self.identity else None
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(record.lease_duration or DURATION_S),
            "acquireTime": acquired_at or now,
            "renewTime": now,
        }

    async def _write(self, writing: Awaitable[Document | None]) -> bool:
        begun_at_s = time.monotonic()
        try:
            async with asyncio.timeout(_CALL_S):
                is_held = await writing is not None
        except (PlatformError, TimeoutError) as error:
            LOGGER.warning("the lease was not written: %s", error)
            return False
        self._held_at_s = begun_at_s if is_held else self._held_at_s
        return is_held
