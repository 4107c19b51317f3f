"""The controller against a real API server: the life of a week job, reasons, restarts, courses.

Nothing here runs pods: the test plays Kueue and the kubelet by writing what they would write. The whole of it runs in
the tests of the bare cluster.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import time
import uuid

import pytest
from kubernetes_asyncio import config
from kubernetes_asyncio.client import ApiClient, Configuration

from practicum_cluster.api import ApiError
from practicum_controller.client import KubernetesCluster
from practicum_controller.controller import Controller, get_now
from practicum_controller.database import Database
from practicum_controller.history import History
from practicum_controller.settings import Settings
from practicum_core import labels
from practicum_core.curriculum import get_unit
from practicum_core.metrics import Metric
from practicum_core.reports import StepReport

pytestmark = pytest.mark.cluster
GROUP = "/apis/practicum.dev/v1alpha1"
KUEUE = {
    "localqueues": ("LocalQueue", True),
    "clusterqueues": ("ClusterQueue", False),
    "resourceflavors": ("ResourceFlavor", False),
    "workloadpriorityclasses": ("WorkloadPriorityClass", False),
    "workloads": ("Workload", True),
}
STEPS = [step.name for step in get_unit("experiments").steps]
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


@pytest.fixture(scope="module")
def server(api_server):
    for plural, (kind, is_namespaced) in KUEUE.items():
        definition = build_definition("kueue.x-k8s.io", "v1beta2", plural, kind, is_namespaced=is_namespaced)
        api_server.api.apply(definition)
    api_server.api.apply(build_definition("ray.io", "v1", "rayjobs", "RayJob", is_namespaced=True))
    time.sleep(1)
    return api_server


class Broken(Exception):  # noqa: N818 - what happened to the controller, not an error of its own
    """The controller was killed here."""


class FaultyCluster:
    """Ends the controller at its N-th change, before or after the change was made."""

    def __init__(self, cluster, at, *, is_after):
        self._cluster, self._at, self._is_after = cluster, at, is_after
        self.calls = 0

    def __getattr__(self, name):
        call = getattr(self._cluster, name)
        if name not in {"apply", "patch", "delete"}:
            return call

        async def tripping(*arguments, **options):
            self.calls += 1
            is_now = self.calls == self._at
            if is_now and not self._is_after:
                raise Broken
            answer = await call(*arguments, **options)
            if is_now:
                raise Broken
            return answer

        return tripping


class Bench:
    """A controller on the API server, and the hands that play the rest of the cluster."""

    def __init__(self, server, folder):
        self.server = server
        self.history = History(Database(f"sqlite:///{folder}/history.sqlite"))
        self.settings = Settings(leader_election=False, queue_poll_s=3600, workers=4)
        self.written = 0

    async def connect(self):
        settings = Configuration()
        await config.load_kube_config(str(self.server.kubeconfig), client_configuration=settings)
        self.cluster = KubernetesCluster(ApiClient(settings))

    @contextlib.asynccontextmanager
    async def controller(self, cluster=None):
        made = Controller(self.cluster, cluster or self.cluster, self.history, self.settings, "authority")
        tasks = [asyncio.create_task(made.watch()), asyncio.create_task(made.work())]
        try:
            await made.wait_until_synced()
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

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

    def list_jobs(self, namespace):
        return self.server.api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]

    def run_pod(self, job):
        """Admit a job and run its pod, as Kueue and the kubelet would."""
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        self.server.api.patch(path, {"spec": {"suspend": False}})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-0", "namespace": namespace}}
        pod["metadata"]["labels"] = job["spec"]["template"]["metadata"]["labels"]
        pod["spec"] = job["spec"]["template"]["spec"] | {"volumes": []}
        for container in pod["spec"]["containers"]:
            container["volumeMounts"] = []
        with contextlib.suppress(ApiError):
            # It is there already when the controller was killed after this.
            self.server.api.create(pod)
        state = {"name": "stage", "image": "x", "imageID": "", "ready": True, "restartCount": 0}
        state["state"] = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
        status = {"status": {"phase": "Running", "containerStatuses": [state]}}
        self.server.api.patch(f"/api/v1/namespaces/{namespace}/pods/{name}-0/status", status)

    def report(self, controller, uid, step, attempt=1, outcome="succeeded", **rest):
        page = PAGE if step == "report" and outcome == "succeeded" else None
        figures = METRICS.get(step, []) if outcome == "succeeded" else []
        report = StepReport(
            uid=uid, step=step, attempt=attempt, outcome=outcome, metrics=figures, evidence_html=page, **rest
        )
        self.history.save_report(report, get_now())
        controller.take_report(report)


async def until(look, what, timeout_s=20):
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = look()
        if found:
            return found
        await asyncio.sleep(0.05)
    pytest.fail(f"never: {what}")
    return None


def get_phase(week_job):
    return (week_job or {}).get("status", {}).get("phase")


@pytest.fixture
def bench(server, tmp_path):
    return Bench(server, tmp_path)


@pytest.fixture
def student():
    return f"student-{uuid.uuid4().hex[:6]}"


def run(bench, body):
    async def connected():
        await bench.connect()
        try:
            await asyncio.wait_for(body(), 120)
        finally:
            await bench.cluster.close()

    asyncio.run(connected())


async def live(bench, controller, namespace, name="week-01"):
    """Play the cluster until the week job ended."""
    uid = bench.get(namespace, name)["metadata"]["uid"]
    for step in STEPS:

        def find(step=step):
            jobs = bench.list_jobs(namespace)
            return next((job for job in jobs if job["metadata"]["labels"][labels.STEP] == step), None)

        if get_phase(bench.get(namespace, name)) == "Succeeded":
            return
        job = await until(find, f"a job of {step}")
        bench.run_pod(job)
        bench.report(controller, uid, step)
    await until(lambda: get_phase(bench.get(namespace, name)) == "Succeeded", "the end")


def test_a_week_job_lives_from_apply_to_evidence(bench, student):
    async def body():
        async with bench.controller() as controller:
            bench.make_course("llm", [student])
            await until(lambda: bench.server.api.find(f"/api/v1/namespaces/{student}"), "a namespace")
            await until(lambda: controller.store.get_course(student), "the course")
            bench.make_week_job(student)
            await until(lambda: get_phase(bench.get(student)) == "Queued", "the queue")
            await live(bench, controller, student)
            status = bench.get(student)["status"]
            assert (status["reason"], status["gatesPassed"], status["progress"]) == ("GatesPassed", "3/3", "100%")
            assert status["evidence"] == "configmap/week-01-evidence"
            kept = bench.server.api.get(f"/api/v1/namespaces/{student}/configmaps/week-01-evidence")
            assert kept["binaryData"]["index.html.gz"] == PAGE
            events = bench.server.api.get(f"/api/v1/namespaces/{student}/events")["items"]
            told = {event["reason"] for event in events if event["involvedObject"]["kind"] == "WeekJob"}
            assert {"Queued", "GatesPassed"} <= told

    run(bench, body)


def test_a_restart_writes_nothing_that_did_not_change(bench, student):
    async def body():
        async with bench.controller() as controller:
            bench.make_course("llm", [student])
            await until(lambda: controller.store.get_course(student), "the course")
            bench.make_week_job(student)
            await until(lambda: get_phase(bench.get(student)) == "Queued", "the queue")
            await until(lambda: not len(controller.week_jobs), "an idle controller")
        before = bench.get(student)["metadata"]["resourceVersion"]
        counting = FaultyCluster(bench.cluster, -1, is_after=False)
        async with bench.controller(counting) as controller:
            await asyncio.sleep(1)
            await until(lambda: not len(controller.week_jobs), "an idle controller")
        assert bench.get(student)["metadata"]["resourceVersion"] == before

    run(bench, body)


def test_reasons_reach_the_student(bench, student):
    async def body():
        async with bench.controller() as controller:
            bench.make_week_job("default", "no-course")
            waits = await until(lambda: (bench.get("default", "no-course") or {}).get("status"), "a status")
            assert (waits["phase"], waits["reason"]) == ("Queued", "CourseMissing")
            bench.make_course("llm", [student])
            await until(lambda: controller.store.get_course(student), "the course")
            bench.make_week_job(student, "bad", set={"evaluate.limt": 3})
            bad = await until(lambda: bench.get(student, "bad").get("status"), "a status")
            assert (bad["phase"], bad["reason"]) == ("Failed", "ConfigInvalid")
            assert "did you mean 'limit'?" in bad["message"]
            bench.make_course("llm", [student], suspend=True)
            await until(lambda: controller.store.courses["llm"]["spec"].get("suspend"), "the pause")
            bench.make_week_job(student, "paused")
            paused = await until(lambda: bench.get(student, "paused").get("status"), "a status")
            assert paused["reason"] == "CourseSuspended"
            bench.make_course("llm", [student], suspend=False)
            await until(lambda: bench.get(student, "paused")["status"]["reason"] == "Queued", "going on", 30)

    run(bench, body)
