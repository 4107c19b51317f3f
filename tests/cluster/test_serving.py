"""Served models on a real cluster: engine and gateway of a student in pods, by `kubectl apply`.

The tests' fake engine stands in the place of vLLM; ``PRACTICUM_E2E_ENGINE=vllm`` has them serve SmolLM2 with vLLM.
Those with KServe and KEDA run where ``PRACTICUM_E2E_SERVING=1`` is set.
"""

from __future__ import annotations

import json
import logging
import os
import time

import pytest
import yaml

from practicum_cluster.api import wait_until
from school import ROOT, is_ready
from serving import SHORT_LOAD_TEST, ask, end_load, install_kserve, make_key, measure_load, start_load, uses_vllm

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(2400)]
LOGGER = logging.getLogger(__name__)
IS_WHOLE = bool(os.environ.get("PRACTICUM_E2E_SERVING"))
READY_S = 300 if uses_vllm() else 120
SIZE = {"cpu": "900m", "memory": "6Gi"} if uses_vllm() else {"cpu": "200m", "memory": "4Gi"}
WEEK_7 = {"cpu": "600m", "memory": "6Gi"} if uses_vllm() else {"cpu": "400m", "memory": "4Gi"}
MAY_WRITE = ("auth", "can-i", "patch")
SERVICE = {
    "unit": "service",
    "set": {"serve.max_model_len": 512, "serve.kv_cache_gib": 0.5, "serve.drain_s": 5},
    "resources": SIZE,
    "serving": {"keep": True},
}


def wait_serving(serving, name, timeout_s):
    wait_until(lambda: serving.read_status("student-01", name).get("phase") == "Serving", name, timeout_s, 1)


def test_a_service_answers_its_student_alone(serving, tmp_path):
    secret = make_key(serving, "student-01", tmp_path)
    serving.apply("student-01", "service", **SERVICE)
    wait_serving(serving, "service", READY_S)
    url, engine = (serving.read_stage("student-01", "service", step)["endpoint"] for step in ("gateway", "serve"))
    status, answer = ask(serving, "student-01", "asker", url, secret)
    assert status == 200, answer
    assert answer["usage"]["completion_tokens"] > 0
    assert [ask(serving, "student-01", f"asker-{n}", url, key)[0] for n, key in enumerate((None, "sk-wrong"))] == [
        401,
        401,
    ]
    # The neighbour has the key, and reaches neither the gateway nor the engine behind it.
    assert [ask(serving, "student-02", "asker", each, secret, 3)[0] for each in (url, engine)] == [0, 0]
    told = serving.try_as("student-02", "get", "weekjobs,pods,deployments", "--namespace", "student-01")
    assert told.count("forbidden") == 3, told
    assert "yes" in serving.try_as("student-01", *MAY_WRITE, "configmaps/practicum-gateway-keys", "-n", "student-01")
    assert "exit 1" in serving.try_as("student-01", *MAY_WRITE, "configmaps/week-01-evidence", "-n", "student-01")
    serving.client.kubectl("delete", "weekjob", "service", "--namespace", "student-01")
    left = "/api/v1/namespaces/student-01/pods?labelSelector=practicum.dev/week-job=service"
    wait_until(lambda: not serving.api.get(left)["items"], "the end of its pods", 60)


RAY = SERVICE | {
    "serving": {"engine": "rayserve", "minReplicas": 1, "maxReplicas": 2, "requestsPerReplica": 2, "keep": True},
    "resources": {"cpu": "600m", "memory": "6Gi"},
}


def list_ready_workers(serving):
    """Return the worker pods of Ray that have a replica, and so take requests."""
    pods = serving.api.get("/api/v1/namespaces/student-01/pods?labelSelector=ray.io/node-type=worker")["items"]
    return [pod for pod in pods if is_ready(pod)]


def test_a_ray_service_answers_and_scales(serving, tmp_path):
    if not uses_vllm():
        pytest.skip("Ray Serve runs around vLLM itself, which takes minutes: set PRACTICUM_E2E_ENGINE=vllm")
    secret = make_key(serving, "student-01", tmp_path)
    serving.apply("student-01", "rays", **RAY)
    wait_serving(serving, "rays", 500)
    url = serving.read_stage("student-01", "rays", "gateway")["endpoint"]
    status, answer = ask(serving, "student-01", "asker", url, secret)
    assert status == 200, answer
    assert ask(serving, "student-02", "asker", url, secret, 3)[0] == 0
    assert list_ready_workers(serving) == []
    start_load(serving, "student-01", "load", url, secret, clients=8, seconds=240)
    wait_until(lambda: list_ready_workers(serving), "a second replica", 240, 1)
    told = end_load(serving, "student-01", "load", 400)
    assert told.keys() == {"ok"}, told
    wait_until(lambda: not list_ready_workers(serving), "one replica again", 120, 1)
    serving.client.kubectl("delete", "weekjob", "rays", "--namespace", "student-01")


OF_VLLM = {
    "serve.max_num_seqs": 4,
    "loadtest.rates": [0.5, 10.0],
    "loadtest.rate_s": 20,
    "loadtest.warmup_s": 4,
    "loadtest.settle_s": 60,
    "loadtest.max_tokens": 16,
    "loadtest.slo_ttft_s": 5,
}


@pytest.mark.skipif(not IS_WHOLE, reason="week 7 takes one to two minutes in pods: set PRACTICUM_E2E_SERVING=1")
def test_week_7_finds_a_bottleneck_in_pods_by_its_manifest(serving):
    week = yaml.safe_load((ROOT / "manifests/course-10/week-07.yaml").read_text(encoding="utf-8"))
    options = {"set": SHORT_LOAD_TEST | (OF_VLLM if uses_vllm() else {})}
    serving.api.apply(week | {"spec": week["spec"] | {"profile": "quick", "resources": WEEK_7} | options}, "student-01")
    end = serving.wait_end("student-01", "week-07", 1200 if uses_vllm() else 180)
    assert end["phase"] == "Succeeded", end
    assert {gate["name"]: gate["passed"] for gate in end["gates"]} == {
        "client_kept_up": True,
        "stated_rate_kept": True,
        "none_failed_below_knee": True,
        "bottleneck_named": True,
    }
    assert "First bottleneck: the engine's queue" in serving.read_page("student-01", "week-07").replace("&#39;", "'")


UPSTREAMS = "upstreams.json"
SCALED = SERVICE | {
    "set": SERVICE["set"] | {"gateway.upstreams_file": f"/workspace/{UPSTREAMS}"},
    "serving": {"engine": "kserve", "minReplicas": 0, "maxReplicas": 2, "requestsPerReplica": 4, "keep": True},
    # Two of them, the gateway and the operators ask for 1.8 of a node's two cores together.
    "resources": {"cpu": "450m", "memory": "6Gi"} if uses_vllm() else SIZE,
}
COURSE = "/apis/practicum.dev/v1alpha1/courses/llm-10"
CLIENTS = 12


def read_serve(serving, name="scaled"):
    return serving.read_stage("student-01", name, "serve")


def list_engines(serving, name="scaled"):
    """Return the names of the pods that serve, the ready ones."""
    marks = f"labelSelector=practicum.dev/week-job={name},practicum.dev/step=serve"
    pods = serving.api.get(f"/api/v1/namespaces/student-01/pods?{marks}")["items"]
    return [pod["metadata"]["name"] for pod in pods if is_ready(pod)]


def write_upstreams(serving, **services):
    """Write the table of engines that the gateway of ``scaled`` follows, by name, each with its share."""
    names = {"engine": "scaled-serve-1", "canary": "canary-serve-1"}
    rows = [
        {"name": name, "url": f"http://{names[name]}.student-01.svc:8000", "discover": True, **shares}
        for name, shares in services.items()
    ]
    serving.write_workspace("student-01", UPSTREAMS, json.dumps({"upstreams": rows}))


def wait_engines(serving, number, timeout_s):
    wait_until(lambda: len(list_engines(serving)) == number, f"{number} engines", timeout_s, 0.5)


def count_running(serving):
    """Return how many requests the engines compute, as the gateway tells KEDA."""
    page = "/api/v1/namespaces/student-01/services/scaled-serve-1-load:http/proxy/scaling/engine"
    return serving.api.get(page)["engine_running"]


@pytest.fixture(scope="module")
def scaled(serving, tmp_path_factory):
    """A service of student-01 on KServe, told to wait while there was none, with a key and the gateway's address."""
    if not IS_WHOLE:
        pytest.skip("KServe and KEDA take minutes to build and six to be tested: set PRACTICUM_E2E_SERVING=1")
    # Two of vLLM start at the same time, which takes minutes even so.
    room = "8" if uses_vllm() else "500m"
    serving.api.patch(COURSE, {"spec": {"serving": {"idleSeconds": 15}, "queue": {"cpu": room}}})
    secret = make_key(serving, "student-01", tmp_path_factory.mktemp("key"))
    write_upstreams(serving, engine={})
    serving.apply("student-01", "scaled", **SCALED)
    if not serving.api.find("/apis/serving.kserve.io/v1beta1"):
        wait_until(
            lambda: "no KServe and no KEDA" in read_serve(serving)["message"], "a week that says what it lacks", 30
        )
    install_kserve(serving)
    wait_until(
        lambda: serving.read_status("student-01", "scaled").get("phase") == "Serving", "service", READY_S + 90, 1
    )
    yield secret, serving.read_stage("student-01", "scaled", "gateway")["endpoint"]
    serving.client.kubectl("delete", "weekjob", "scaled", "--namespace", "student-01")
    serving.api.patch(COURSE, {"spec": {"serving": None, "queue": {"cpu": "8"}}})


def test_a_service_scales_from_zero_to_two_and_back_without_losing_a_request(serving, scaled):
    secret, url = scaled
    wait_engines(serving, 0, 90)
    wait_until(lambda: "scaled to zero" in read_serve(serving)["message"], "a step that says so", 30)
    assert read_serve(serving)["phase"] == "Serving"
    started_s = time.monotonic()
    start_load(serving, "student-01", "load", url, secret, clients=CLIENTS, seconds=300 if uses_vllm() else 45)
    wait_until(lambda: list_engines(serving), "a first engine", READY_S, 0.5)
    LOGGER.info("a first engine %.0f s after the load began", time.monotonic() - started_s)
    if not uses_vllm():
        # The class has no room for a second one until the teacher makes it.
        parts = ("1 of 2 replicas are ready; the next waits", "insufficient unused quota for cpu")
        wait_until(lambda: all(part in read_serve(serving)["message"] for part in parts), "a wait with its reason", 60)
        serving.api.patch(COURSE, {"spec": {"queue": {"cpu": "8"}}})
    wait_engines(serving, 2, READY_S)
    LOGGER.info("two engines %.0f s after the load began", time.monotonic() - started_s)
    told, p99_s = measure_load(serving, "student-01", "load", 400)
    assert told.keys() == {"ok"}, told
    assert told["ok"] > CLIENTS
    LOGGER.info("%s, p99 %.1f s", told, p99_s)
    wait_engines(serving, 0, 120)
    LOGGER.info("none %.0f s after the load began", time.monotonic() - started_s)


def test_an_update_loses_no_request_and_a_killed_engine_its_own_streams_alone(serving, scaled):
    secret, url = scaled
    # The new pod of an update takes room beside the old one.
    serving.api.patch(COURSE, {"spec": {"queue": {"cpu": "8"}}})
    start_load(serving, "student-01", "load", url, secret, clients=2, seconds=150 if uses_vllm() else 45)
    [before] = wait_until(lambda: count_running(serving) > 0 and list_engines(serving), "streams", READY_S, 0.5)
    # As KServe's own users change a service: a new pod is made and ready before the old one goes.
    path = "/apis/serving.kserve.io/v1beta1/namespaces/student-01/inferenceservices/scaled-serve-1"
    serving.api.patch(path, {"spec": {"predictor": {"annotations": {"practicum.dev/changed": "yes"}}}})
    wait_until(lambda: list_engines(serving) not in ([], [before]), "the new pod", READY_S, 0.5)
    wait_until(lambda: before not in list_engines(serving) and list_engines(serving), "the old pod's end", 60, 0.5)
    assert end_load(serving, "student-01", "load", 300).keys() == {"ok"}

    start_load(serving, "student-01", "load", url, secret, clients=4, seconds=20, tokens=200)
    [name] = wait_until(lambda: count_running(serving) == 4 and list_engines(serving), "four streams", READY_S, 0.5)
    serving.client.kubectl("delete", "pod", name, "--namespace", "student-01", "--force", "--grace-period=0")
    told = end_load(serving, "student-01", "load", 300)
    lost = {said: number for said, number in told.items() if said != "ok"}
    assert sum(lost.values()) <= 4, told
    assert set(lost) <= {"stream upstream_broke_off"}, told


def test_a_canary_gets_its_share_and_goes_without_a_failed_request(serving, scaled):
    secret, url = scaled
    serving.api.patch(COURSE, {"spec": {"queue": {"cpu": "8"}}})
    canary = SCALED | {"serving": {"engine": "kserve", "keep": True}, "set": SERVICE["set"]}
    serving.apply("student-01", "canary", **canary)
    wait_serving(serving, "canary", READY_S)
    [name] = list_engines(serving, "canary")
    start_load(serving, "student-01", "load", url, secret, clients=3, seconds=45, tokens=10)
    wait_until(lambda: count_running(serving) > 0, "streams", READY_S, 0.5)
    write_upstreams(serving, engine={}, canary={"canary_share": 0.3})
    wait_until(lambda: count_answers(serving, name) > 15, "answers of the canary", 60, 0.5)
    write_upstreams(serving, engine={}, canary={"weight": 0})
    share = count_answers(serving, name)
    serving.client.kubectl("delete", "weekjob", "canary", "--namespace", "student-01")
    write_upstreams(serving, engine={})
    told = end_load(serving, "student-01", "load", 300)
    assert told.keys() == {"ok"}, told
    assert 15 < share < 0.5 * told["ok"]


def count_answers(serving, pod):
    """Return how many requests an engine answered, by its own count."""
    page = serving.api.send("GET", f"/api/v1/namespaces/student-01/pods/{pod}:8000/proxy/metrics")[1]
    counts = [line.rpartition(" ")[2] for line in page.splitlines() if line.startswith("vllm:request_success_total")]
    return sum(map(float, counts))
