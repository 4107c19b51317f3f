"""Faults of servers in pods, through a small API of Kubernetes: which are found, what is done, and its way back."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import ssl
import subprocess
import sys
import time

import aiohttp
import psutil
import pytest
from aiohttp import web

from agent_stand import build_step
from chaos_stand import PARENT
from practicum_cluster.certificates import Authority
from practicum_core.errors import ConfigError, PlatformError
from practicum_core.layout import RunLayout
from practicum_core.reports import STEP_VARIABLE
from practicum_jobs.chaos import cluster_api
from practicum_jobs.chaos.actions import act
from practicum_jobs.chaos.cluster_api import ClusterAccess, ClusterApi, find_access
from practicum_jobs.chaos.pods import PodServers
from practicum_jobs.chaos.world import Addresses, World
from practicum_runtime import faults_in_pod

UID = "0b1f5c52-6a3e-4a55-9a53-2f0f5b7c1d11"
EXEC = "/api/v1/namespaces/student-01/pods/{name}/exec"


class Kubernetes:
    """Pods of week jobs; what runs in one of them runs in this process, on the children of ``first``."""

    def __init__(self, first):
        faults_in_pod._FIRST = first
        self.pods = [build_pod("serve-a"), build_pod("serve-b", ready=True), build_pod("gateway-c", step="gateway")]
        self.deleted = []
        self.asked = []

    async def list_pods(self, request):
        self.asked.append((request.headers["authorization"], request.query["labelSelector"]))
        marks = dict(part.split("=") for part in request.query["labelSelector"].split(","))
        found = [one for one in self.pods if marks.items() <= one["metadata"]["labels"].items()]
        return web.json_response({"items": found})

    async def delete(self, request):
        name, options = request.match_info["name"], await request.json()
        pod = next(one for one in self.pods if one["metadata"]["name"] == name)
        if pod["metadata"]["uid"] != options["preconditions"]["uid"]:
            return web.json_response({"message": "another one of this name"}, status=409)
        self.deleted.append((name, options["gracePeriodSeconds"]))
        self.pods = [one for one in self.pods if one is not pod] + [build_pod("serve-new")]
        return web.json_response({})

    async def exec(self, request):
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        *program, name = request.query.getall("command")[:4]
        assert [*program, request.query["container"]] == ["python", "-m", "practicum_runtime.faults_in_pod", "stage"]
        printed = io.StringIO()
        status = {"status": "Success"}
        try:
            with contextlib.redirect_stdout(printed):
                faults_in_pod.main([name, *request.query.getall("command")[4:]])
        except KeyError as error:
            status = {"status": "Failure", "message": str(error)}
            await socket.send_bytes(b"\2no such action: " + name.encode())
        await socket.send_bytes(b"\1" + printed.getvalue().encode())
        await socket.send_bytes(b"\3" + json.dumps(status).encode())
        await socket.close()
        return socket


def build_pod(name, step="serve", *, ready=False):
    marks = {"practicum.dev/week-job-uid": UID, "practicum.dev/step": step}
    return {
        "metadata": {"name": name, "uid": f"uid-of-{name}", "labels": marks},
        "spec": {"containers": [{"name": "stage"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"restartCount": 0}],
        },
    }


@contextlib.asynccontextmanager
async def serve(kubernetes, folder):
    """Serve the API over TLS; gives what a pod of the week job has for it, and connections."""
    authority = Authority(folder)
    authority.ensure()
    made = authority.issue("server", "server", names=("127.0.0.1",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    (folder / "token").write_text("secret")
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/student-01/pods", kubernetes.list_pods)
    app.router.add_delete("/api/v1/namespaces/student-01/pods/{name}", kubernetes.delete)
    app.router.add_get(EXEC, kubernetes.exec)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        url = f"https://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:
            access = ClusterAccess(url, "student-01", UID, folder / "token", authority.certificate)
            yield ClusterApi(access, session)
    finally:
        await runner.cleanup()


@pytest.fixture
def server(monkeypatch):
    """A process with one child, of which the first stands for a container's first process."""
    monkeypatch.setattr(faults_in_pod, "_FIRST", 1)
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as process:
        child = psutil.Process(int(process.stdout.readline()))
        yield process.pid, child
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
        process.kill()


def act_on_pods(tmp_path, first, work):
    """Await ``work`` with the API and the world of a service in pods."""
    kubernetes = Kubernetes(first)

    async def run():
        async with serve(kubernetes, tmp_path) as api:
            world = World(PodServers(api, RunLayout(tmp_path)), None, Addresses("http://127.0.0.1:9"))
            return await work(world, kubernetes)

    return asyncio.run(run())


def wait_for_status(process, status):
    deadline_s = time.monotonic() + 10
    while process.status() != status:
        assert time.monotonic() < deadline_s, process.status()
        time.sleep(0.02)


def test_a_hang_stops_what_the_first_process_started_until_it_is_taken_back(tmp_path, server):
    first, child = server

    async def work(world, kubernetes):
        undo = await act("hang", world, {"step": "serve"})
        wait_for_status(child, psutil.STATUS_STOPPED)
        assert psutil.Process(first).status() != psutil.STATUS_STOPPED
        assert undo.by_hand.startswith("kubectl exec -n student-01 serve-b -c stage -- python -m practicum_runtime")
        await undo.run()
        wait_for_status(child, psutil.STATUS_SLEEPING)
        # Its own week job's pods alone, each time with the token that the file has now.
        assert kubernetes.asked[0] == (
            "Bearer secret",
            f"practicum.dev/week-job-uid={UID},practicum.dev/step=serve",
        )

    act_on_pods(tmp_path, first, work)


def test_files_cannot_grow_until_it_is_taken_back(tmp_path, server):
    first, child = server

    async def work(world, _):
        before = child.rlimit(psutil.RLIMIT_FSIZE)
        undo = await act("fill_disk", world, {"step": "serve"})
        assert child.rlimit(psutil.RLIMIT_FSIZE) == (0, before[1])
        await undo.run()
        assert child.rlimit(psutil.RLIMIT_FSIZE) == before

    act_on_pods(tmp_path, first, work)


def test_memory_runs_out_for_the_largest_process_alone(tmp_path, server, monkeypatch):
    monkeypatch.setattr("practicum_jobs.chaos.pods._END_S", 0.1)
    first, child = server

    async def work(world, _):
        undo = await act("run_out_of_memory", world, {"step": "serve"})
        await undo.run()

    act_on_pods(tmp_path, first, work)
    wait_for_status(child, psutil.STATUS_ZOMBIE)


def test_a_killed_pod_is_deleted_at_once_and_another_one_is_awaited(tmp_path, server):
    async def work(world, kubernetes):
        undo = await act("kill", world, {"step": "serve"})
        assert kubernetes.deleted == [("serve-b", 0)]
        await undo.run()

    act_on_pods(tmp_path, server[0], work)


def test_what_was_done_in_a_pod_that_is_gone_is_gone_with_it(tmp_path, server):
    first, child = server

    async def work(world, kubernetes):
        undo = await act("hang", world, {"step": "serve"})
        kubernetes.pods = []
        await undo.run()
        assert child.status() == psutil.STATUS_STOPPED

    act_on_pods(tmp_path, first, work)


def test_surroundings_are_broken_by_a_file_in_the_volume_that_the_pods_share(tmp_path, server):
    layout = RunLayout(tmp_path).stage("gateway")
    layout.root.mkdir(parents=True)
    layout.config.write_text("faults: true")

    async def work(world, _):
        undo = await act("break_surroundings", world, {"step": "gateway", "clock_jump_s": 5, "for_s": 1})
        assert any(layout.root.glob("*fault*"))
        await undo.run()
        assert not any(layout.root.glob("*fault*"))

    act_on_pods(tmp_path, server[0], work)


def test_what_cannot_be_done_is_said(tmp_path, server, monkeypatch):
    async def work(world, kubernetes):
        with pytest.raises(ConfigError, match="no pod of 'trainer' runs in this week job"):
            await act("kill", world, {"step": "trainer"})
        api = world.servers._api
        [pod, *_] = await api.list_pods("serve")
        with pytest.raises(PlatformError, match="failed: no such action: nothing"):
            await api.run(pod, ("python", "-m", "practicum_runtime.faults_in_pod", "nothing"))
        kubernetes.pods = [build_pod("serve-b") | {"metadata": {**kubernetes.pods[1]["metadata"], "uid": "new"}}]
        with pytest.raises(PlatformError, match="409 another one of this name"):
            await api.delete_pod(pod)
        monkeypatch.setattr(cluster_api, "_TIMEOUT_S", 0.2)
        with pytest.raises(PlatformError, match=r"the cluster's API: GET http://127\.0\.0\.1:9"):
            await api._ask("GET", "http://127.0.0.1:9/")

    act_on_pods(tmp_path, server[0], work)


def test_only_a_pod_with_the_account_of_chaos_has_access(tmp_path, monkeypatch):
    environ = {
        STEP_VARIABLE: build_step().model_dump_json(),
        "KUBERNETES_SERVICE_HOST": "fd00::1",
        "KUBERNETES_SERVICE_PORT": "6443",
    }
    assert find_access(environ) is None
    (tmp_path / "token").write_text("secret")
    monkeypatch.setattr(cluster_api, "CLUSTER_TOKEN_PATH", str(tmp_path / "token"))
    assert find_access({}) is None
    assert find_access(environ).url == "https://[fd00::1]:6443"
