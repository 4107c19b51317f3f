"""The Lease as the election's lock: what is read, what is written, and what a silent API server means."""

from __future__ import annotations

import asyncio
import json

import pytest
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord

from practicum_controller.client import ApiFault
from practicum_controller.lease import DURATION_S, LEASE, LeaseLock

NAMESPACE = "practicum-system"
OWN, OTHER = "controller-a-1", "controller-b-1"
ACQUIRED = "2026-01-02T03:04:05.000000Z"
SILENCE = ApiFault(0, "ClientConnectorError", "GET")


def build_lease(holder=OWN, version="7"):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": DURATION_S, "acquireTime": ACQUIRED, "renewTime": "x"}
    return {"metadata": {"name": LEASE, "resourceVersion": version}, "spec": spec}


class FakeCluster:
    """An API server that has one Lease, or none, and may be silent."""

    def __init__(self, lease=None, fault=None):
        self.lease, self.fault, self.written = lease, fault, []

    async def read(self, path):
        assert path == f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}"
        if self.fault is not None:
            raise self.fault
        return self.lease

    async def create(self, path, document):
        return await self.patch(path, NAMESPACE, LEASE, document)

    async def patch(self, _resource, _namespace, _name, document):
        if self.fault is not None:
            raise self.fault
        self.written.append(document)
        return document


def build_lock(cluster):
    return LeaseLock(NAMESPACE, OWN, cluster)


def take(lock, *, is_new=False):
    """Read the Lease and take it, as the election does; return whether it is held."""

    async def taking():
        await lock.get(LEASE, NAMESPACE)
        write = lock.create if is_new else lock.update
        return await write(LEASE, NAMESPACE, LeaderElectionRecord(OWN, str(DURATION_S), "now", "now"))

    return asyncio.run(taking())


def test_the_record_is_what_the_lease_says():
    is_there, record = asyncio.run(build_lock(FakeCluster(build_lease(OTHER))).get(LEASE, NAMESPACE))
    assert is_there
    assert vars(record) == {
        "holder_identity": OTHER,
        "lease_duration": str(DURATION_S),
        "acquire_time": ACQUIRED,
        "renew_time": "x",
    }


@pytest.mark.parametrize(("fault", "code"), [(None, 404), (SILENCE, None)])
def test_only_a_lease_that_is_missing_may_be_created(fault, code):
    """The election reads the code from the answer's text; silence has none, and is tried again."""
    is_there, answer = asyncio.run(build_lock(FakeCluster(fault=fault)).get(LEASE, NAMESPACE))
    assert not is_there
    assert (json.loads(answer.body)["code"] if answer.body else None) == code


def test_a_new_lease_names_its_holder():
    cluster = FakeCluster()
    lock = build_lock(cluster)
    assert take(lock, is_new=True)
    spec = cluster.written[0]["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == (OWN, DURATION_S)
    assert spec["acquireTime"] == spec["renewTime"]
    assert spec["renewTime"].endswith("Z")
    assert lock.get_age_s() < DURATION_S


@pytest.mark.parametrize(("holder", "is_renewal"), [(OWN, True), (OTHER, False), (None, False)])
def test_a_renewal_keeps_since_when_it_is_held_and_is_bound_to_what_was_read(holder, is_renewal):
    cluster = FakeCluster(build_lease(holder))
    assert take(build_lock(cluster))
    written = cluster.written[0]
    assert written["metadata"] == {"resourceVersion": "7"}
    assert (written["spec"]["acquireTime"] == ACQUIRED) is is_renewal


@pytest.mark.parametrize("fault", [ApiFault(409, "the object has been modified", "PATCH"), SILENCE])
def test_a_lease_that_another_took_meanwhile_is_not_held(fault):
    cluster = FakeCluster(build_lease())
    lock = build_lock(cluster)

    async def lose():
        await lock.get(LEASE, NAMESPACE)
        cluster.fault = fault
        return await lock.update(LEASE, NAMESPACE, LeaderElectionRecord(OWN, str(DURATION_S), "now", "now"))

    assert asyncio.run(lose()) is False
    assert lock.get_age_s() > DURATION_S
