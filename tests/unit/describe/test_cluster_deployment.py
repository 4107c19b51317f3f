"""The deployment of a week job on a cluster: pods as the controller makes them are read back as a description."""

from __future__ import annotations

import datetime as dt

from practicum_controller.backends import ChildRequest, choose_backend
from practicum_controller.settings import Settings
from practicum_core.cluster_deployment import describe_week_job
from practicum_core.course import CourseSpec
from practicum_core.deployment import LANGUAGES, write_document
from practicum_core.gates import GateResult
from practicum_core.phases import Phase
from practicum_core.plan import StepObject
from practicum_core.resolve import resolve_steps
from practicum_core.weekjob import Metadata, StageStatus, WeekJob, WeekJobSpec, WeekJobStatus

SPEC = {"unit": "serving", "profile": "quick"}
WEEKJOB = WeekJob(metadata=Metadata(name="week-07", namespace="student-01"), spec=WeekJobSpec.model_validate(SPEC))
URL = "http://week-07-gateway-1.student-01.svc:8080"


def build_pod(step, *, is_ready=True, restarts=0):
    """Build the pod that a Deployment of the controller makes."""
    found = next(one for one in resolve_steps(WEEKJOB) if one.name == step)
    made = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    request = ChildRequest(WEEKJOB, "0a1b2c3d", made, StepObject(found, 1), "llm", CourseSpec(), Settings())
    deployment = next(one for one in choose_backend(request).build(request) if one["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    ready = {"type": "Ready", "status": str(is_ready)}
    status = {"conditions": [ready], "containerStatuses": [{"restartCount": restarts}]}
    return {"metadata": {"name": f"{step}-x", **template["metadata"]}, "spec": template["spec"], "status": status}


def describe(pods, **status):
    stages = [StageStatus(name="gateway", phase=Phase.SERVING, endpoint=URL)]
    found = WeekJobStatus(phase=Phase.RUNNING, stages=stages, **status)
    return describe_week_job(WEEKJOB, found, pods, "2026-01-02T03:04:05+00:00", "https://cluster:6443")


def test_pods_say_images_resources_probes_and_readiness():
    described = describe([build_pod("serve", is_ready=False, restarts=2), build_pod("gateway")])
    serve, gateway = described.components
    assert (serve.is_ready, gateway.is_ready) == (False, True)
    assert (gateway.url, gateway.ready_path, gateway.live_path, gateway.startup_s) == (URL, "/readyz", "/healthz", 60.0)
    assert serve.startup_s == 900.0
    assert all("practicum-" in image for one in described.components for image in one.versions.values())
    assert gateway.limits[0].value.startswith("200m")
    assert [one.en for one in described.weaknesses] == [
        "serve runs in one pod: while that is replaced, nothing of it answers",
        "serve was started again 2 times",
        "gateway runs in one pod: while that is replaced, nothing of it answers",
    ]


def test_what_no_pod_says_is_said_to_be_unknown_and_a_failed_gate_is_a_weakness():
    described = describe([], gates=[GateResult(name="bottleneck_named", passed=False, threshold=1)])
    assert [one.state.en for one in described.components] == ["no pod runs"] * 2
    assert described.weaknesses[0].en.startswith("a gate was not passed: A rate above the knee was tried")
    for language in LANGUAGES:
        text = write_document(described, language)
        assert text.count("证据包" if language == "zh" else "evidence pack") == 3
        assert "student-01/week-07" in text


def test_a_pod_that_is_being_deleted_is_none_of_the_deployment():
    gone = build_pod("gateway")
    gone["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    assert not describe([gone]).components[1].is_ready
