"""A controller on a real API server, and functions that act as Kueue, the kubelet and the garbage collector.

Nothing here runs pods: a test writes what those would write. The whole of it runs in the tests of the bare cluster.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import gzip
import time
import warnings

import pytest
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from practicum_cluster.api import ApiError
from practicum_controller.client import KubernetesCluster
from practicum_controller.controller import Controller, get_now
from practicum_controller.database import Database
from practicum_controller.history import History
from practicum_controller.settings import Settings
from practicum_core import labels
from practicum_core.metrics import Metric
from practicum_core.reports import StepReport

GROUP = "/apis/practicum.dev/v1alpha1"
KUEUE = {
    "localqueues": ("LocalQueue", True),
    "clusterqueues": ("ClusterQueue", False),
    "resourceflavors": ("ResourceFlavor", False),
    "workloadpriorityclasses": ("WorkloadPriorityClass", False),
    "workloads": ("Workload", True),
}
RAY = {"rayjobs": "RayJob", "rayclusters": "RayCluster"}
METRICS = {
    "snapshot": [Metric(name="unwaived_leaks", value=0)],
    "evaluate": [Metric(name="num_rows", value=60), Metric(name="exact_match_interval_width", value=0.1)],
}
PAGE = base64.b64encode(gzip.compress(b"<html>evidence</html>")).decode()


def build_definition(group, version, plural, kind, *, is_namespaced):
    """A kind without a schema, standing for an operator that is not here."""
    loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": loose}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced" if is_namespaced else "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served | {"subresources": {"status": {}}}],
        },
    }


def install_operators(plane):
    """Make the kinds of Kueue and KubeRay known, and wait until they are."""
    for plural, (kind, is_namespaced) in KUEUE.items():
        plane.api.apply(build_definition("kueue.x-k8s.io", "v1beta2", plural, kind, is_namespaced=is_namespaced))
    for plural, kind in RAY.items():
        plane.api.apply(build_definition("ray.io", "v1", plural, kind, is_namespaced=True))
    deadline_s = time.monotonic() + 20
    wanted = [f"/apis/kueue.x-k8s.io/v1beta2/{plural}" for plural in KUEUE]
    wanted += [f"/apis/ray.io/v1/{plural}" for plural in RAY]
    while wanted and time.monotonic() < deadline_s:
        wanted = [path for path in wanted if plane.api.send("GET", path)[0] != 200]
        time.sleep(0.05)
    assert not wanted


class Stand:
    """A controller on the API server, and the hands that play the rest of the cluster."""

    patience_s = 20.0

    def __init__(self, server, folder, **settings):
        self.server = server
        self.history = History(Database(f"sqlite:///{folder}/history.sqlite"))
        self.settings = Settings(leader_election=False, **({"queue_poll_s": 3600, "workers": 4} | settings))
        self.authority = "authority"
        self.current = None

    async def connect(self):
        settings = Configuration()
        await config.load_kube_config(str(self.server.kubeconfig), client_configuration=settings)
        self.cluster = KubernetesCluster(ApiClient(settings))

    @contextlib.asynccontextmanager
    async def controller(self, cluster=None):
        """Run a controller; when the block ends it is gone, whatever it was at."""
        made = Controller(self.cluster, cluster or self.cluster, self.history, self.settings, lambda: self.authority)
        self.current = made
        tasks = [asyncio.create_task(made.watch()), asyncio.create_task(made.work())]
        try:
            await made.wait_until_synced()
            yield made
        finally:
            self.current = None
            for task in tasks:
                task.cancel()
            ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
            # A controller never ends by itself.
            assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

    def apply(self, document):
        return self.server.api.apply(document)

    def make_course(self, name, students, **spec):
        self.apply(
            {
                "apiVersion": "practicum.dev/v1alpha1",
                "kind": "Course",
                "metadata": {"name": name},
                "spec": {"students": [{"name": one} for one in students], **spec},
            }
        )

    def make_week_job(self, namespace, name="week-01", **spec):
        document = {
            "apiVersion": "practicum.dev/v1alpha1",
            "kind": "WeekJob",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"unit": "experiments", "profile": "quick", **spec},
        }
        return self.apply(document)

    def get(self, namespace, name="week-01"):
        return self.server.api.find(f"{GROUP}/namespaces/{namespace}/weekjobs/{name}")

    def get_status(self, namespace, name="week-01"):
        return (self.get(namespace, name) or {}).get("status") or {}

    def list_jobs(self, namespace, kind="jobs"):
        group, name = ("batch/v1", "Job") if kind == "jobs" else ("ray.io/v1", "RayJob")
        items = self.server.api.get(f"/apis/{group}/namespaces/{namespace}/{kind}")["items"]
        return [{"apiVersion": group, "kind": name} | item for item in items]

    def find_job(self, namespace, step):
        for kind in ("jobs", "rayjobs"):
            for job in self.list_jobs(namespace, kind):
                if job["metadata"]["labels"][labels.STEP] == step:
                    return job
        return None

    def run_pod(self, job):
        """Admit a job and run its pod, as Kueue and the kubelet would."""
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        root = self.server.api.get_path(job)
        self.server.api.patch(root, {"spec": {"suspend": False}})
        if job["kind"] == "RayJob":
            self.server.api.patch(
                f"{root}/status", {"status": {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}}
            )
        template = (
            job["spec"]["template"]
            if job["kind"] == "Job"
            else job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
        )
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-0", "namespace": namespace}}
        pod["metadata"]["labels"] = template["metadata"]["labels"]
        if job["kind"] == "Job":
            pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] = job["metadata"]["uid"]
        pod["spec"] = template["spec"] | {"volumes": []}
        for container in pod["spec"]["containers"]:
            container["volumeMounts"] = []
        try:
            self.server.api.create(pod)
        except ApiError as error:
            # It is there already when the controller was killed after this.
            if error.status != 409:
                raise
        state = {"name": "stage", "image": "x", "imageID": "", "ready": True, "restartCount": 0}
        state["state"] = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
        status = {"status": {"phase": "Running", "containerStatuses": [state]}}
        self.server.api.patch(f"/api/v1/namespaces/{namespace}/pods/{name}-0/status", status)

    def end_pod(self, namespace, name, phase="Succeeded"):
        """End a pod, as the kubelet would."""
        self.server.api.patch(f"/api/v1/namespaces/{namespace}/pods/{name}-0/status", {"status": {"phase": phase}})

    def collect_garbage(self, namespace):
        """Delete pods whose job is gone, as the garbage collector and the kubelet would."""
        jobs = {job["metadata"]["name"] for kind in ("jobs", "rayjobs") for job in self.list_jobs(namespace, kind)}
        for pod in self.server.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]:
            name = pod["metadata"]["name"]
            if name.removesuffix("-0") not in jobs:
                path = f"/api/v1/namespaces/{namespace}/pods/{name}"
                self.server.api.request("DELETE", path, {"gracePeriodSeconds": 0})

    async def report(self, uid, step, attempt=1, outcome="succeeded", **rest):
        """Report as the agent would: until a controller takes it, which writes it into the history first."""
        await until(lambda: self.current, "a controller that takes a report")
        page = PAGE if step == "report" and outcome == "succeeded" else None
        figures = METRICS.get(step, []) if outcome == "succeeded" else []
        report = StepReport(
            uid=uid, step=step, attempt=attempt, outcome=outcome, metrics=figures, evidence_html=page, **rest
        )
        self.history.save_report(report, get_now())
        self.current.take_report(report)

    async def live(self, namespace, steps, name="week-01"):
        """Play the cluster until the week job ended."""
        uid = self.get(namespace, name)["metadata"]["uid"]

        def is_over():
            return self.get_status(namespace, name).get("phase") == "Succeeded"

        for step in steps:
            if is_over():
                return
            job = await until(lambda step=step: self.find_job(namespace, step), f"a job of {step}", self.patience_s)
            self.run_pod(job)
            await self.report(uid, step)
            self.end_pod(namespace, job["metadata"]["name"])
        await until(is_over, "the end", self.patience_s)


def read_end(stand, student):
    """What a life left behind, without what differs between two lives: times and uids."""
    week_job = stand.get(student)
    status = {
        key: value for key, value in week_job["status"].items() if not key.endswith("Time") and key != "activeSeconds"
    }
    for one in status["conditions"]:
        del one["lastTransitionTime"]
    jobs = stand.list_jobs(student)
    assert {job["metadata"]["ownerReferences"][0]["uid"] for job in jobs} == {week_job["metadata"]["uid"]}
    maps = stand.server.api.get(f"/api/v1/namespaces/{student}/configmaps")["items"]
    return {
        "status": status,
        "jobs": sorted(job["metadata"]["name"] for job in jobs),
        "labels": sorted(job["metadata"]["labels"][labels.STEP] for job in jobs),
        "maps": sorted(one["metadata"]["name"] for one in maps),
        "reports": sorted(stand.history.load_reports()[week_job["metadata"]["uid"]]),
        "history": [(one.name, one.phase) for one in stand.history.list_week_jobs(student)],
    }


async def until(look, what, timeout_s=20.0, pause_s=0.03):
    """Look until there is something to see, and return it."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = look()
        if found:
            return found
        await asyncio.sleep(pause_s)
    pytest.fail(f"never: {what}")
    return None


def run(stand, body, timeout_s=120):
    """Run a test's coroutine with a connected stand."""

    async def connected():
        await stand.connect()
        try:
            await asyncio.wait_for(body(), timeout_s)
        finally:
            await stand.cluster.close()

    # asyncio leaves a connection that is cancelled in its handshake, as a kill does, to the garbage collector; its
    # warning would fail whichever test runs then.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(connected())
        gc.collect()
