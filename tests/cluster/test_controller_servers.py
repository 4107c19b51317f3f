"""Servers of a week job on a real API server, by a unit that no file of the product knows."""

from __future__ import annotations

import json
import uuid

import pytest

from controller_stand import METRICS, Stand, run, until
from made_up.register import register
from practicum_core import labels
from practicum_core.crd import WEEK_JOB, build_crd
from practicum_core.metrics import Metric

pytestmark = pytest.mark.cluster
NAME = "greetings"
ROOMY = {"quota": {"cpu": "8", "memory": "16Gi", "pods": 8}, "stageResources": {"cpu": "1", "memory": "1Gi"}}


class ServerStand(Stand):
    """A stand whose hands know Deployments and their pods, too."""

    def find(self, namespace, kind, group="api/v1"):
        items = self.server.api.get(f"/{group}/namespaces/{namespace}/{kind}")["items"]
        return items[0] if items else None

    def find_deployment(self, namespace):
        return self.find(namespace, "deployments", "apis/apps/v1")

    def make_server_pod(self, deployment, name="greeter-0", *, is_gated=False):
        """Make a pod of a Deployment, as its controller and Kueue's webhook would."""
        namespace, template = deployment["metadata"]["namespace"], deployment["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}}
        pod["metadata"]["labels"] = template["metadata"]["labels"]
        pod["spec"] = template["spec"] | {"volumes": []}
        for container in pod["spec"]["containers"]:
            container["volumeMounts"] = []
        self.server.api.create(pod)
        if is_gated:
            condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
            self.set_pod_status(namespace, name, phase="Pending", conditions=[condition])

    def set_pod_status(self, namespace, name, **status):
        self.server.api.patch(f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": status})

    def show_server(self, namespace, name="greeter-0", *, is_ready, restarts=0):
        """Say that the server's container runs, as the kubelet would."""
        state = {"name": "stage", "image": "x", "imageID": "", "ready": is_ready, "restartCount": restarts}
        state["state"] = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
        conditions = [{"type": "Ready", "status": "True" if is_ready else "False"}]
        self.set_pod_status(namespace, name, phase="Running", containerStatuses=[state], conditions=conditions)

    def delete_pod(self, namespace, name="greeter-0"):
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        self.server.api.request("DELETE", path, {"gracePeriodSeconds": 0})

    def get_stage(self, namespace, step):
        stages = self.get_status(namespace, NAME).get("stages", [])
        return next((stage for stage in stages if stage["name"] == step), {})


@pytest.fixture(autouse=True)
def _made_up_stages(monkeypatch):
    register(monkeypatch)


@pytest.fixture
def stand(server, tmp_path):
    server.api.apply(build_crd(WEEK_JOB))
    return ServerStand(server, tmp_path)


async def start(stand, controller, student, course_spec=None, **spec):
    stand.make_course(f"llm-{uuid.uuid4().hex[:6]}", [student], **(course_spec or ROOMY))
    await until(lambda: controller.store.get_course(student), "the course")
    account = f"/api/v1/namespaces/{student}/serviceaccounts/practicum-stage"
    await until(lambda: stand.server.api.find(account), "the student's home")
    made = stand.make_week_job(student, NAME, unit=NAME, **spec)
    return made["metadata"]["uid"]


async def serve(stand, student):
    """Play the cluster until the server is ready."""
    deployment = await until(lambda: stand.find_deployment(student), "a Deployment")
    stand.make_server_pod(deployment)
    stand.show_server(student, is_ready=True)
    await until(lambda: stand.get_stage(student, "greeter").get("phase") == "Serving", "a server that is ready")
    return deployment


async def greet(stand, student, uid):
    job = await until(lambda: stand.find_job(student, "caller"), "the caller's job")
    stand.run_pod(job)
    await stand.report(uid, "caller")
    stand.end_pod(student, job["metadata"]["name"])


def read_endpoints(job):
    [container] = job["spec"]["template"]["spec"]["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    return json.loads(variables["PRACTICUM_ENDPOINTS"])


async def wait_until_shown(stand, student, url):
    await until(lambda: stand.get_stage(student, "greeter").get("phase") == "Serving", "a status that says so")
    assert stand.get_stage(student, "greeter")["endpoint"] == url
    conditions = {one["type"]: one["status"] for one in stand.get_status(student, NAME)["conditions"]}
    assert (conditions["Serving"], conditions["Running"]) == ("True", "True")


async def lose_a_pod(stand, student, deployment, job):
    """Take the server's pod away, and make another, while its user runs: the user stays."""
    stand.delete_pod(student)
    stand.make_server_pod(deployment, "greeter-1")
    stand.show_server(student, "greeter-1", is_ready=True, restarts=1)
    await until(lambda: stand.get_stage(student, "caller").get("phase") == "Running", "the caller")
    assert stand.find_job(student, "caller")["metadata"]["uid"] == job["metadata"]["uid"]


def test_a_server_lives_beside_its_user_and_goes_before_the_evidence(stand, student, monkeypatch):
    monkeypatch.setitem(METRICS, "caller", [Metric(name="num_greetings", value=5)])

    async def body():
        async with stand.controller() as controller:
            uid = await start(stand, controller, student)
            deployment = await until(lambda: stand.find_deployment(student), "a Deployment")
            service = await until(lambda: stand.find(student, "services"), "a Service")
            url = f"http://{service['metadata']['name']}.{student}.svc:8000"
            assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
            assert f"-{student}-" in deployment["metadata"]["labels"][labels.QUEUE_NAME]
            for one in (deployment, service):
                assert one["metadata"]["ownerReferences"][0]["uid"] == uid
            container = deployment["spec"]["template"]["spec"]["containers"][0]
            assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http", "scheme": "HTTP"}

            stand.make_server_pod(deployment, is_gated=True)
            await until(lambda: stand.get_status(student, NAME).get("phase") == "Queued", "the queue")
            stand.show_server(student, is_ready=False)
            await until(lambda: "not ready" in stand.get_status(student, NAME).get("message", ""), "a server starting")
            assert stand.find_job(student, "caller") is None
            stand.show_server(student, is_ready=True)
            job = await until(lambda: stand.find_job(student, "caller"), "the caller's job")
            assert read_endpoints(job) == {"greeter": url}
            await wait_until_shown(stand, student, url)

            stand.run_pod(job)
            await lose_a_pod(stand, student, deployment, job)
            await stand.report(uid, "caller")
            stand.end_pod(student, job["metadata"]["name"])
            await until(lambda: stand.find_deployment(student) is None, "the Deployment's end")
            # The controller deletes one object after the other.
            await until(lambda: stand.find(student, "services") is None, "the Service's end")
            # The pod may write its record yet: the evidence waits for it.
            await until(lambda: "pod greeter-1 ends" in stand.get_status(student, NAME)["message"], "a last word")
            assert stand.find_job(student, "report") is None
            stand.delete_pod(student, "greeter-1")
            await stand.live(student, ["report"], NAME)
            status = stand.get_status(student, NAME)
            assert (status["reason"], status["gatesPassed"]) == ("GatesPassed", "1/1")
            assert [stage["phase"] for stage in status["stages"]] == ["Succeeded"] * 3

    run(stand, body)


def test_a_kept_server_stays_until_the_week_job_is_suspended(stand, student, monkeypatch):
    monkeypatch.setitem(METRICS, "caller", [Metric(name="num_greetings", value=5)])

    async def body():
        async with stand.controller() as controller:
            uid = await start(stand, controller, student, serving={"keep": True})
            await serve(stand, student)
            await greet(stand, student, uid)
            report = await until(lambda: stand.find_job(student, "report"), "the report's job")
            stand.run_pod(report)
            await stand.report(uid, "report")
            await until(lambda: stand.get_status(student, NAME).get("phase") == "Serving", "the phase Serving")
            assert stand.find_deployment(student) is not None
        # Another controller finds it as it was.
        async with stand.controller():
            await until(lambda: stand.get_status(student, NAME).get("phase") == "Serving", "the phase Serving")
            stand.make_week_job(student, NAME, unit=NAME, serving={"keep": True}, suspend=True)
            await until(lambda: stand.find_deployment(student) is None, "the Deployment's end")
            stand.delete_pod(student)
            await until(lambda: stand.get_status(student, NAME).get("phase") == "Succeeded", "the end")

    run(stand, body)


def test_a_server_that_dies_too_often_fails_the_week(stand, student):
    async def body():
        async with stand.controller() as controller:
            await start(stand, controller, student, serving={"maxRestarts": 2})
            await serve(stand, student)
            stand.show_server(student, is_ready=False, restarts=3)
            await until(lambda: stand.find_deployment(student) is None, "the Deployment's end")
            stand.delete_pod(student)
            stand.collect_garbage(student)
            await until(lambda: stand.get_status(student, NAME).get("phase") == "Failed", "the end")
            assert "greeter" in stand.get_status(student, NAME)["message"]

    run(stand, body)


def test_a_week_says_which_operators_its_cluster_lacks(stand, student):
    async def body():
        async with stand.controller() as controller:
            stand.make_course(f"llm-{uuid.uuid4().hex[:6]}", [student], **ROOMY)
            await until(lambda: controller.store.get_course(student), "the course")
            serving = {"engine": "kserve", "minReplicas": 0, "maxReplicas": 2, "keep": True}
            stand.make_week_job(student, "service", unit="service", serving=serving)
            said = "serve: this cluster has no KServe and no KEDA: ask the teacher to install it"
            await until(lambda: stand.get_status(student, "service").get("message") == said, "a status that says so")
            assert stand.get_status(student, "service")["reason"] == "UpstreamUnavailable"
            assert stand.find(student, "services") is None

    run(stand, body)


def test_server_and_user_are_refused_together_before_the_first_is_made(stand, student):
    narrow = ROOMY | {"quota": {"cpu": "1500m", "memory": "16Gi", "pods": 8}}

    async def body():
        async with stand.controller() as controller:
            await start(stand, controller, student, narrow)
            await until(lambda: stand.get_status(student, NAME).get("reason") == "QuotaExceeded", "a refusal")
            message = stand.get_status(student, NAME)["message"]
            assert "cpu: 1 x 1 + 1 x 1 are asked for and one student may hold 1500m" in message
            assert stand.find_deployment(student) is None

    run(stand, body)
