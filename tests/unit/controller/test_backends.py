"""The objects that run steps: names, queue, resources, what a pod may do."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from practicum_controller.backends import ChildRequest, choose_backend
from practicum_controller.backends.backend import Sight, Standing
from practicum_controller.backends.fit import find_unfit
from practicum_controller.backends.request import Meter
from practicum_controller.settings import Settings
from practicum_core import labels, reports
from practicum_core.course import CourseSpec, GpuSharing
from practicum_core.curriculum import UNITS, VARIANTS, list_declared_stages
from practicum_core.lifetimes import list_coexisting
from practicum_core.plan import StepObject
from practicum_core.quantities import read_quantity
from practicum_core.resolve import resolve_steps
from practicum_core.weekjob import Metadata, WeekJob, WeekJobSpec

ROOT = Path(__file__).parents[3]
UID = "0a1b2c3d-0000-0000-0000-000000000000"


def build_request(step="sft", attempt=1, course=None, settings=None, **spec):
    weekjob = WeekJob(
        metadata=Metadata(name="week-03", namespace="student-01"),
        spec=WeekJobSpec.model_validate({"unit": "sft", "profile": "quick", **spec}),
    )
    found = next(one for one in resolve_steps(weekjob) if one.name == step)
    made = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    item = StepObject(found, attempt)
    return ChildRequest(weekjob, UID, made, item, "llm", course or CourseSpec(), settings or Settings())


def build_child(request):
    (child,) = choose_backend(request).build(request)
    return child


def get_template(child):
    if child["kind"] == "RayJob":
        return child["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
    return child["spec"]["template"]


@pytest.mark.parametrize("step", ["model", "snapshot", "sft", "inference", "evaluate", "report"])
def test_every_child_waits_in_the_students_queue_and_is_owned(step):
    child = build_child(build_request(step))
    assert child["spec"]["suspend"] is True
    assert child["metadata"]["name"] == f"week-03-{step}-1"
    assert child["metadata"]["labels"][labels.QUEUE_NAME] == "llm-student-01"
    assert child["metadata"]["ownerReferences"][0]["uid"] == UID
    assert child["kind"] == ("RayJob" if step == "sft" else "Job")


@pytest.mark.parametrize("step", ["model", "sft"])
def test_a_pod_is_restricted_and_told_its_step(step):
    pod = get_template(build_child(build_request(step)))["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    told = {one["name"]: one["value"] for one in container["env"]}
    assert reports.PodStep.model_validate_json(told[reports.STEP_VARIABLE]).step == step
    assert container["resources"]["limits"] == container["resources"]["requests"]


def test_a_stage_that_passes_on_what_others_compute_asks_for_little():
    spec = {"unit": "service", "resources": {"cpu": "3", "memory": "12Gi"}}
    engine, gateway = (build_request(step, **spec).build_resources() for step in ("serve", "gateway"))
    assert engine["requests"] == engine["limits"] == {"cpu": "3", "memory": "12Gi"}
    assert gateway["requests"] == {"cpu": "200m", "memory": "512Mi"}
    assert gateway["limits"] == {"cpu": "1", "memory": "512Mi"}


def test_only_stages_that_compute_on_gpus_ask_for_slices():
    course = CourseSpec(gpu=GpuSharing(sharing="time-sliced"))
    spec = {"resources": {"gpu": {"slices": 2}}}
    asked = {}
    for step in ("model", "sft", "evaluate", "report"):
        container = get_template(build_child(build_request(step, course=course, **spec)))["spec"]["containers"][0]
        asked[step] = container["resources"]["limits"].get("nvidia.com/gpu.shared")
    assert asked == {"model": None, "sft": "2", "evaluate": "2", "report": None}


def test_ray_is_told_its_gpus_since_it_does_not_know_shared_ones():
    child = build_child(build_request(resources={"gpu": {"slices": 1}, "workers": 3, "cpu": "2"}))
    cluster = child["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-gpus"] == "1"
    assert cluster["workerGroupSpecs"][0]["replicas"] == 2
    assert cluster["workerGroupSpecs"][0]["rayStartParams"] == {"num-gpus": "1", "num-cpus": "2"}


@pytest.mark.parametrize(("step", "held"), [("sft", "6"), ("evaluate", "2"), ("report", "0")])
def test_a_child_is_charged_for_the_slices_of_all_its_pods(step, held):
    child = build_child(build_request(step, resources={"gpu": {"slices": 2}, "workers": 3}))
    assert child["metadata"]["labels"][labels.SLICES] == held


def test_one_worker_needs_a_head_alone():
    assert "workerGroupSpecs" not in build_child(build_request())["spec"]["rayClusterSpec"]


def test_the_flat_engine_runs_in_a_plain_pod():
    assert build_child(build_request(set={"sft.engine": "flat"}))["kind"] == "Job"


def list_pod_groups(child):
    """Return each pod template of a child with how many pods are made of it."""
    if child["kind"] != "RayJob":
        return [(child["spec"]["template"], child["spec"].get("parallelism", child["spec"].get("replicas", 1)))]
    cluster = child["spec"]["rayClusterSpec"]
    groups = [(cluster["headGroupSpec"]["template"], 1)]
    return [*groups, *((one["template"], one["replicas"]) for one in cluster.get("workerGroupSpecs", ()))]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("engine", ["ray", "flat"])
@pytest.mark.parametrize("step", ["model", "sft", "evaluate"])
def test_what_is_counted_is_what_is_made(step, engine, workers):
    resources = {"gpu": {"slices": 2}, "cpu": "500m", "memory": "1Gi", "workers": workers}
    options = {"sft.engine": engine} if engine == "flat" else {}
    request = build_request(step, resources=resources, set=options)
    child = build_child(request)
    made = {"cpu": 0, "memory": 0, "nvidia.com/gpu": 0, "pods": 0}
    for template, count in list_pod_groups(child):
        made["pods"] += count
        for container in template["spec"]["containers"]:
            for name, amount in container["resources"]["requests"].items():
                made[name] += count * read_quantity(amount)
    needs = choose_backend(request).get_needs(request)
    assert made["pods"] == needs.num_pods
    assert made["cpu"] == needs.num_pods * read_quantity(needs.cpu)
    assert made["memory"] == needs.num_pods * read_quantity(needs.memory)
    assert made["nvidia.com/gpu"] == needs.num_pods * needs.slices == int(child["metadata"]["labels"][labels.SLICES])


def test_priority_is_the_courses():
    child = build_child(build_request(priority_class_name="high"))
    assert child["metadata"]["labels"][labels.PRIORITY_CLASS] == "llm-high"


@pytest.mark.parametrize(
    "spec",
    [
        {"set": {"sft.max_steps": 3}},
        {"image": "registry.example/mine"},
        {"resources": {"memory": "9Gi"}},
        {"priorityClassName": "high"},
    ],
)
def test_what_the_student_changes_of_a_step_makes_its_child_another(spec):
    child = build_child(build_request())
    assert build_request().has_made(child, is_started=False)
    assert not build_request(**spec).has_made(child, is_started=True)


@pytest.mark.parametrize(
    "spec",
    [
        {"activeDeadlineSeconds": 9},
        {"preRunningDeadlineSeconds": 9},
        {"ttlSecondsAfterFinished": 9},
        {"backoffLimit": 2},
        {"suspend": True},
    ],
)
def test_what_shapes_no_pod_leaves_the_child_as_it_is(spec):
    child = build_child(build_request())
    assert build_request(**spec).has_made(child, is_started=False)


@pytest.mark.parametrize(
    ("course", "settings"),
    [
        ({"images": {"train": "registry.example/train:2"}}, {}),
        ({"queue": {"nodeLabels": {"pool": "class"}}}, {}),
        ({"stageResources": {"memory": "9Gi"}}, {}),
        ({}, {"images": {"train": "registry.example/train:2"}}),
        ({}, {"image_pull_policy": "Always"}),
        ({}, {"ingest_url": "https://elsewhere.svc:8443"}),
    ],
)
def test_what_the_teacher_changes_reaches_who_waits_and_not_who_runs(course, settings):
    child = build_child(build_request())
    changed = build_request(course=CourseSpec.model_validate(course), settings=Settings(**settings))
    assert not changed.has_made(child, is_started=False)
    assert changed.has_made(child, is_started=True)


def test_names_of_children_fit_whatever_the_week_job_is_called():
    request = build_request()
    long = request.weekjob.model_copy(update={"metadata": Metadata(name="w" * 40, namespace="student-01")})
    names = {
        ChildRequest(
            long, UID, request.created_at, StepObject(request.item.step, attempt), "llm", CourseSpec(), Settings()
        ).name
        for attempt in range(1, 12)
    }
    assert len(names) == 11
    assert all(len(name) <= 47 for name in names)


def build_together(quota, **spec):
    requests = [
        build_request(step, course=CourseSpec.model_validate({"quota": quota}), **spec) for step in ("sft", "evaluate")
    ]
    return find_unfit(requests)


def test_what_fits_alone_and_not_together_is_held():
    spec = {"resources": {"gpu": {"slices": 1}, "cpu": "2", "memory": "4Gi"}}
    holds = build_together({"cpu": "3", "slices": 2}, **spec)
    assert {step: hold.reason for step, hold in holds.items()} == {"sft": "QuotaExceeded", "evaluate": "QuotaExceeded"}
    assert holds["sft"].message.startswith("cpu: 1 x 2 + 1 x 2 are asked for and one student may hold 3;")
    assert build_together({"cpu": "4", "memory": "8Gi", "slices": 2, "pods": 2}, **spec) == {}
    assert "pods: 1 x 1 + 1 x 1" in build_together({"slices": 2, "pods": 1}, **spec)["evaluate"].message


WEEKS = [
    (weeks, name)
    for weeks, names in VARIANTS.items()
    for name in names
    if not {step.stage for step in UNITS[name].steps} & set(list_declared_stages())
]


@pytest.mark.parametrize(("variant", "unit"), WEEKS)
def test_a_student_may_run_every_week_in_the_class_of_the_manifests(variant, unit):
    text = (ROOT / f"manifests/course-{variant}/course.yaml").read_text(encoding="utf-8")
    course = CourseSpec.model_validate(yaml.safe_load(text)["spec"])
    spec = WeekJobSpec.model_validate({"unit": unit, "variant": variant})
    weekjob = WeekJob(metadata=Metadata(name="week", namespace="student-01"), spec=spec)
    made = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    for group in list_coexisting(resolve_steps(weekjob), keeps_servers=False):
        steps = [StepObject(step, 1) for step in group]
        assert find_unfit([ChildRequest(weekjob, UID, made, one, "llm", course, Settings()) for one in steps]) == {}


def test_an_environment_without_an_image_is_refused_by_its_name():
    request = build_request(settings=Settings(images={"base": "practicum-base:latest"}))
    hold = find_unfit([request])["sft"]
    assert hold.reason == "ConfigInvalid"
    assert "no image is set for the environment 'train' of the step 'sft'; a teacher sets it" in hold.message
    assert "spec.images.train" in hold.message
    # A child that waits keeps its place: there is nothing to make another from.
    assert request.has_made(build_child(build_request()), is_started=False)


@pytest.mark.parametrize(("step", "slices", "is_void"), [("sft", 0, True), ("sft", 1, False), ("model", 1, True)])
def test_a_pod_that_asked_for_no_gpu_sees_none(step, slices, is_void):
    """A CUDA image on a node whose default runtime is NVIDIA's would see every GPU."""
    template = get_template(build_child(build_request(step, resources={"gpu": {"slices": slices}})))
    told = {one["name"]: one["value"] for one in template["spec"]["containers"][0]["env"]}
    assert (told.get("NVIDIA_VISIBLE_DEVICES") == "void") == is_void


def test_the_version_of_ray_is_that_of_the_lock():
    lock = (ROOT / "requirements" / "train.txt").read_text(encoding="utf-8")
    assert re.search(r"^ray(\[.*\])?==(\S+)", lock, re.MULTILINE)[2] == Settings().ray_version


SERVED = {"unit": "service", "serving": {"engine": "kserve", "minReplicas": 0, "maxReplicas": 2}}


def build_served(**spec):
    request = replace(build_request("serve", **{**SERVED, **spec}), meter=Meter("gateway", 8080, "/scaling/engine"))
    return choose_backend(request).build(request)


def test_an_inference_service_is_queued_owned_and_scaled_by_what_the_gateway_counts():
    service, address, meter, scaled = build_served()
    assert (service["kind"], service["metadata"]["labels"][labels.QUEUE_NAME]) == ("InferenceService", "llm-student-01")
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert {one["metadata"]["ownerReferences"][0]["uid"] for one in (service, address, meter, scaled)} == {UID}
    predictor = service["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 2)
    assert predictor["automountServiceAccountToken"] is False
    told = {one["name"] for one in predictor["model"]["env"]}
    assert {reports.STEP_VARIABLE, "PRACTICUM_REPLICA"} <= told
    assert "storageUri" not in predictor["model"]
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["cooldownPeriod"]) == (0, 600)
    [trigger] = scaled["spec"]["triggers"]
    name = meter["metadata"]["name"]
    assert trigger["metadata"]["url"] == f"http://{name}.student-01.svc:8080/scaling/engine"
    assert address["spec"]["clusterIP"] == "None"
    # Kueue queues what bears the label of a queue: an address takes no place.
    assert all(labels.QUEUE_NAME not in one["metadata"]["labels"] for one in (address, meter, scaled))


def test_a_model_of_the_workspace_is_mounted_by_kserve():
    uri = "pvc://workspace/models/mine"
    service, *_ = build_served(model={"uri": uri})
    model = service["spec"]["predictor"]["model"]
    assert model["storageUri"] == uri
    assert {"name": "PRACTICUM_MODEL_MOUNT", "value": "/mnt/models"} in model["env"]


def test_a_fixed_number_of_replicas_needs_no_autoscaler():
    kinds = [one["kind"] for one in build_served(serving={"engine": "kserve"})]
    assert kinds == ["InferenceService", "Service"]
    request = build_request("serve", **SERVED)
    # Nobody counts the load: one replica stays.
    assert [one["kind"] for one in choose_backend(request).build(request)] == kinds


def test_only_servers_of_models_run_on_kserve():
    request = build_request("gateway", **SERVED)
    assert choose_backend(request).build(request)[0]["kind"] == "Deployment"


def show(conditions=(), pods=()):
    marks = {labels.STEP: "serve", labels.ATTEMPT: "1"}
    main = {"kind": "InferenceService", "metadata": {"name": "x", "uid": "u", "labels": marks}}
    return Sight(main | {"status": {"conditions": list(conditions)}}, list(pods))


def test_the_state_of_an_inference_service():
    backend = choose_backend(build_request("serve", **SERVED))
    assert "has not taken it up" in backend.read_state(show()).message
    faulty = {"type": "PredictorReady", "status": "False", "reason": "NoRuntime", "message": "no runtime found"}
    assert "no runtime found" in backend.read_state(show([faulty])).message
    ready = {"type": "Ready", "status": "True"}
    idle = backend.read_state(show([ready]))
    assert (idle.standing, "scaled to zero" in idle.message) == (Standing.READY, True)
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    pods = [
        {"metadata": {"name": name, "uid": name}, "status": {"phase": "Pending", "conditions": [one]}}
        for name, one in (("a", ready), ("b", gated))
    ]
    state = backend.read_state(show([ready], pods))
    assert (state.standing, state.message) == (
        Standing.READY,
        "1 of 2 replicas are ready; the next waits: waits for Kueue to take note of it",
    )


def build_ray_service(**serving):
    request = build_request("serve", unit="service", serving={"engine": "rayserve", **serving})
    with_meter = replace(request, meter=Meter("gateway", 8080, "/scaling/engine"))
    return choose_backend(with_meter).build(with_meter), choose_backend(with_meter).get_needs(with_meter)


def test_a_ray_service_has_a_pod_for_each_replica_that_it_may_have():
    (service, address), needs = build_ray_service(minReplicas=1, maxReplicas=3, requestsPerReplica=5)
    assert (service["kind"], service["metadata"]["labels"][labels.QUEUE_NAME]) == ("RayService", "llm-student-01")
    cluster = service["spec"]["rayClusterConfig"]
    assert (cluster["suspend"], cluster["workerGroupSpecs"][0]["replicas"], needs.num_pods) == (True, 2, 3)
    config = json.loads(service["spec"]["serveConfigV2"])
    [application] = config["applications"]
    assert application["args"] == {"fewest": 1, "most": 3, "requests_per_replica": 5, "num_gpus": 0}
    module, _, function = application["import_path"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    # Each pod has a proxy, of which KubeRay labels those that answer.
    assert address["spec"]["selector"]["ray.io/serve"] == "true"
    assert address["spec"]["ports"][0]["targetPort"] == "serve"
    # KubeRay finds the dashboard by the name of its port at the head.
    ports = cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["ports"]
    assert {one["name"]: one["containerPort"] for one in ports}["dashboard"] == 8265
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        [container] = group["template"]["spec"]["containers"]
        assert container["ports"][0]["containerPort"] == config["http_options"]["port"]
        assert "httpGet" in container["livenessProbe"]
    # A worker without a replica has no proxy: it gets no requests.
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/healthz", "port": 8000}
    assert container["readinessProbe"]["failureThreshold"] == 1


def test_the_state_of_a_ray_service():
    backend = choose_backend(build_request("serve", unit="service", serving={"engine": "rayserve"}))
    main = {"kind": "RayService", "metadata": {"name": "x", "uid": "u", "labels": {}}, "spec": {"suspend": True}}
    assert backend.read_state(Sight(main)).standing is Standing.WAITING
    main |= {"spec": {"suspend": False}, "status": {"conditions": []}}
    ready = {"type": "Ready", "status": "True"}
    pod = {"metadata": {"name": "p", "uid": "p"}, "status": {"phase": "Running", "conditions": [ready]}}
    assert "loads the model" in backend.read_state(Sight(main, [pod])).message
    main["status"]["conditions"].append(ready)
    assert backend.read_state(Sight(main, [pod])).standing is Standing.READY
