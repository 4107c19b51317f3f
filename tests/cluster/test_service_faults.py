"""What users of a served model get while its engine, the network, the node or the platform breaks, on a real cluster.

The tests' fake engine serves behind the gateway, whose ladder is on and whose limits are in Redis; the controller's
history is in PostgreSQL. They run where ``PRACTICUM_E2E_SERVING=1`` is set.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from postgres_server import require_postgres
from practicum_cluster.api import wait_until
from practicum_cluster.node import CTR
from redis_server import require_redis
from school import PLATFORM
from service_pods import build_postgres, build_redis, build_server_image, remove_server, start_server
from serving import make_key, measure_load, start_load

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(900)]
NAME = "steady"
GATEWAY = f"/api/v1/namespaces/student-01/services/{NAME}-gateway-1:http/proxy"
LOGGER = logging.getLogger(__name__)
BOUND_S = 30
"""Longer than the gateway lets a request wait: ``request_timeout_s`` with a margin for a busy machine."""
SHARED_BOUND_S = 6
"""Longer than the gateway waits for Redis, which is 2 s, with a margin for a busy machine."""
LADDER = {
    "gateway.ladder": True,
    "gateway.knowledge": "builtin:tickets",
    "gateway.request_timeout_s": 25,
    "gateway.queue_timeout_s": 10,
    "gateway.breaker_min_requests": 4,
    "gateway.ladder_first_token_s": 4,
    "gateway.ladder_up_s": 3,
    "gateway.ladder_settle_s": 10,
    "gateway.probe_timeout_s": 3,
}
SERVICE = {
    "unit": "service",
    "set": LADDER | {"serve.drain_s": 2, "gateway.redis_url": "redis://redis:6379/0"},
    "resources": {"cpu": "200m", "memory": "4Gi"},
    "serving": {"keep": True},
}
AUDIT = {
    "unit": "data",
    "data": {"uri": "builtin:tickets-flawed"},
    "resources": {"cpu": "500m", "memory": "2Gi"},
}
FILTER = "inet practicum-test"
"""The table of packet filters that cut the engine off; others of the node have tables of their own."""
KEPT = re.compile(r"ok|degraded \w+|50[234] \w+|stream upstream_\w+")
"""Answers of a rung, and errors of the API's shape; all else is a lost request."""


class Service:
    """A served model of student-01, and what breaks around it."""

    def __init__(self, serving, folder):
        self.school = serving
        # A key without limits is not counted in Redis.
        self.secret = make_key(serving, "student-01", folder, "--tokens-per-minute", "1000000")
        serving.apply("student-01", NAME, **SERVICE)
        wait_until(lambda: serving.read_status("student-01", NAME).get("phase") == "Serving", "the service", 120, 1)
        self.url = serving.read_stage("student-01", NAME, "gateway")["endpoint"]
        self._frozen = ""
        self._num_losses = 0

    def read_ladder(self):
        return self.school.api.get(f"{GATEWAY}/ladder")

    def read_metric(self, name):
        _, text = self.school.api.send("GET", f"{GATEWAY}/metrics")
        return float(re.search(rf"^practicum_gateway_{name} (\S+)$", text, re.MULTILINE).group(1))

    def find_pod(self, namespace, name):
        return self.school.api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def find_engine(self):
        marks = f"labelSelector=practicum.dev/week-job={NAME},practicum.dev/step=serve"
        pods = self.school.api.get(f"/api/v1/namespaces/student-01/pods?{marks}")["items"]
        return next(pod for pod in pods if not pod["metadata"].get("deletionTimestamp"))

    def kill_engine(self):
        name = self.find_engine()["metadata"]["name"]
        self.school.client.kubectl("delete", "pod", name, "-n", "student-01", "--force", "--grace-period=0")

    def freeze(self, pod):
        """Let a pod hang: the kernel accepts connections for it, and nothing answers them."""
        [container] = pod["status"]["containerStatuses"]
        self._frozen = container["containerID"].rpartition("/")[2]
        self.school.cluster.sandbox.enter([*CTR, "tasks", "pause", self._frozen])

    def thaw(self):
        self.school.cluster.sandbox.enter([*CTR, "tasks", "resume", self._frozen])

    def drop_packets(self, which=""):
        """Drop packets between the engine and all other pods; the kubelet's probes come from the node itself."""
        address = self.find_engine()["status"]["podIP"]
        chain = f"{FILTER} cut"
        rules = [f"add rule {chain} ip {end} {address} {which} drop" for end in ("saddr", "daddr")]
        hook = f"add chain {chain} {{ type filter hook forward priority filter; }}"
        self.school.cluster.sandbox.enter(["nft", "; ".join((f"add table {FILTER}", hook, *rules))])

    def pass_packets(self):
        self.school.cluster.sandbox.enter(["nft", f"delete table {FILTER}"])

    def prepare_redis(self):
        require_redis()
        wait_until(lambda: self.read_metric("limits_shared") == 1, "limits in Redis", 60, 0.5)
        self._num_losses = self.read_metric("redis_losses_total")

    def remove_redis(self):
        self.school.client.kubectl("delete", "pod", "redis", "-n", "student-01", "--force", "--grace-period=0")

    def check_redis(self):
        before = self._num_losses
        self.prepare_redis()
        LOGGER.info("Redis was lost %d times", self._num_losses - before)
        assert self._num_losses > before

    def freeze_history(self):
        self.freeze(self.find_pod(PLATFORM, "postgres"))
        self.school.apply("student-02", "unrecorded", **AUDIT)

    def check_recorded(self):
        end = self.school.wait_end("student-02", "unrecorded", 180)
        assert (end["phase"], end["gatesPassed"]) == ("Succeeded", "4/4"), end
        assert "audit" in self.school.read_page("student-02", "unrecorded")
        self.school.client.kubectl("delete", "weekjob", "unrecorded", "--namespace", "student-02")

    def drain_node(self):
        options = (
            "--pod-selector=practicum.dev/step=serve",
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--force",
        )
        self.school.client.kubectl("drain", self.find_engine()["spec"]["nodeName"], *options, "--timeout=60s")

    def open_node(self):
        [node] = self.school.api.get("/api/v1/nodes")["items"]
        self.school.client.kubectl("uncordon", node["metadata"]["name"])

    def scale_controller(self, number):
        name = "deployment/practicum-controller"
        self.school.client.kubectl("scale", name, f"--replicas={number}", "--namespace", PLATFORM)

    def stop(self, daemon):
        self.school.cluster.act("stop", daemon)

    def run(self, daemon):
        self.school.cluster.act("run", daemon)
        wait_until(lambda: self.school.find_quietly("/api/v1/namespaces/default"), "the API server's return", 60)


@contextlib.contextmanager
def run_server(school, namespace, program):
    """Run a server in a pod, where this machine has its program; gives whether it has."""
    if program is None:
        yield False
        return
    school.cluster.ship(build_server_image(program))
    start_server(school, namespace, program)
    try:
        yield True
    finally:
        remove_server(school, namespace, program)


@contextlib.contextmanager
def keep_history(school):
    """Have the controller write its history into PostgreSQL, where this machine has it, and into SQLite afterwards."""
    with run_server(school, PLATFORM, build_postgres()) as is_there:
        if not is_there:
            yield
            return
        url = f"postgresql://practicum@postgres.{PLATFORM}.svc:5432/postgres"
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "history"}, "stringData": {"url": url}}
        school.api.apply(secret, PLATFORM)
        school.install("--reuse-values", "--set", "database.existingSecret=history")
        try:
            yield
        finally:
            school.install("--reuse-values", "--set", "database.existingSecret=")


@pytest.fixture(scope="module")
def service(serving, tmp_path_factory):
    if not os.environ.get("PRACTICUM_E2E_SERVING"):
        pytest.skip("faults of a service take a quarter of an hour: set PRACTICUM_E2E_SERVING=1")
    with keep_history(serving), run_server(serving, "student-01", build_redis()):
        made = Service(serving, tmp_path_factory.mktemp("key"))
        yield made
        serving.client.kubectl("delete", "weekjob", NAME, "--namespace", "student-01")


def nothing(_):
    return None


@dataclass(frozen=True)
class Fault:
    """What breaks, how it is undone, and what users may see of it.

    ``prepare`` comes before the load and ``check`` after it. Of what ``is_unnoticed``, users get answers of the model
    alone. ``bound_s`` is above the 99th percentile of how long they wait.
    """

    begin: Callable[[Service], None]
    end: Callable[[Service], None] = nothing
    is_unnoticed: bool = False
    bound_s: float = BOUND_S
    prepare: Callable[[Service], None] = nothing
    check: Callable[[Service], None] = nothing


FAULTS = {
    "the engine's pod is killed": Fault(Service.kill_engine),
    "the engine hangs": Fault(lambda one: one.freeze(one.find_engine()), Service.thaw),
    "the network to the engine is cut": Fault(Service.drop_packets, Service.pass_packets),
    "the network to the engine loses packets": Fault(
        lambda one: one.drop_packets("numgen random mod 100 < 20"), Service.pass_packets
    ),
    "the node is drained": Fault(Service.drain_node, Service.open_node),
    "the controller is down": Fault(
        lambda one: one.scale_controller(0), lambda one: one.scale_controller(1), is_unnoticed=True
    ),
    "the API server is down": Fault(
        lambda one: one.stop("kube-apiserver"), lambda one: one.run("kube-apiserver"), is_unnoticed=True
    ),
    "the store is down": Fault(lambda one: one.stop("etcd"), lambda one: one.run("etcd"), is_unnoticed=True),
    "the history's database hangs": Fault(
        Service.freeze_history,
        Service.thaw,
        is_unnoticed=True,
        prepare=lambda _: require_postgres(),
        check=Service.check_recorded,
    ),
    "Redis hangs": Fault(
        lambda one: one.freeze(one.find_pod("student-01", "redis")),
        Service.thaw,
        is_unnoticed=True,
        bound_s=SHARED_BOUND_S,
        prepare=Service.prepare_redis,
        check=Service.check_redis,
    ),
    "Redis is gone": Fault(
        Service.remove_redis,
        lambda one: start_server(one.school, "student-01", build_redis()),
        is_unnoticed=True,
        bound_s=SHARED_BOUND_S,
        prepare=Service.prepare_redis,
        check=Service.check_redis,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_request_is_lost_while(service, name):
    fault = FAULTS[name]
    fault.prepare(service)
    wait_until(lambda: service.read_ladder()["rung"] == "full", "the best rung", 90, 0.5)
    before = len(service.read_ladder()["changes"])
    load = {"clients": 3, "seconds": 45, "tokens": 10, "pause_s": 0.3}
    told = ("student-01", "steady-load", service.url, service.secret)
    # Kueue's webhook, which looks at each pod, restarts where the API server was away.
    wait_until(lambda: start_load(service.school, *told, **load) or True, "the load's pod", 90, 1)
    service.school.wait_pod("student-01", "steady-load", "Running")
    time.sleep(8)
    fault.begin(service)
    time.sleep(12)
    fault.end(service)
    told, p99_s = measure_load(service.school, "student-01", "steady-load", 120)
    wait_until(lambda: service.read_ladder()["rung"] == "full", "the way back up", 90, 0.5)
    changes = [(one["before"], one["after"]) for one in service.read_ladder()["changes"][before:]]
    LOGGER.info("%s: %s, p99 %.2f s, %s", name, told, p99_s, changes)
    assert [said for said in told if not KEPT.fullmatch(said)] == [], told
    assert p99_s < fault.bound_s
    assert told["ok"] > 10
    if fault.is_unnoticed:
        assert (told.keys(), changes) == ({"ok"}, [])
    # No flapping: it goes down, and comes back to each rung once at most.
    assert len(set(changes)) == len(changes)
    fault.check(service)
