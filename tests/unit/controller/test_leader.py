"""Who may change the cluster: a leader whose Lease has not run out."""

from __future__ import annotations

import asyncio
import types

import pytest

from practicum_controller import lease
from practicum_controller.kinds import WEEK_JOBS
from practicum_controller.leader import Candidate, LedCluster, Standing
from practicum_controller.settings import Settings
from practicum_core.errors import PlatformError


class FakeCluster:
    """A cluster that counts its changes."""

    def __init__(self):
        self.client = object()
        self.calls = []

    async def patch(self, resource, namespace, name, document, *, subresource=""):
        self.calls.append((resource.plural, name, subresource))


async def answer(is_taken):
    return {} if is_taken else None


def write_status(cluster, candidate):
    led = LedCluster(cluster, candidate.is_leading)
    asyncio.run(led.patch(WEEK_JOBS, "student-01", "week-03", {"status": {}}, subresource="status"))


@pytest.mark.parametrize(("is_taken", "age_s", "may_write"), [(True, 14, True), (True, 16, False), (False, 0, False)])
def test_a_status_is_written_while_the_lease_holds(monkeypatch, is_taken, age_s, may_write):
    clock = types.SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr(lease, "time", clock)
    cluster = FakeCluster()
    candidate = Candidate(cluster, Settings(), None, None)
    asyncio.run(candidate._lock._write(answer(is_taken)))
    candidate.standing = Standing.LEADING
    clock.monotonic = lambda: 100.0 + age_s
    if may_write:
        write_status(cluster, candidate)
    else:
        with pytest.raises(PlatformError, match="another replica may lead"):
            write_status(cluster, candidate)
    assert cluster.calls == [("weekjobs", "week-03", "status")] * may_write


@pytest.mark.parametrize(("standing", "is_leading"), [(Standing.LEADING, True), (Standing.STANDBY, False)])
def test_a_replica_alone_needs_no_lease(standing, is_leading):
    candidate = Candidate(FakeCluster(), Settings(leader_election=False), None, None)
    candidate.standing = standing
    assert candidate.is_leading() is is_leading
