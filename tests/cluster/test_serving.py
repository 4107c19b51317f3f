"""Served models on a real cluster: engine and gateway of a student in pods, by `kubectl apply`.

The tests' fake engine stands in the place of vLLM; ``PRACTICUM_E2E_ENGINE=vllm`` has them serve SmolLM2 with vLLM.
"""

from __future__ import annotations

import pytest

from practicum_cluster.api import wait_until
from serving import ask, install_serving, make_key, uses_vllm

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(1200)]
READY_S = 300 if uses_vllm() else 120
SIZE = {"cpu": "900m", "memory": "5Gi"} if uses_vllm() else {"cpu": "200m", "memory": "4Gi"}
MAY_WRITE = ("auth", "can-i", "patch")
SERVICE = {
    "unit": "service",
    "set": {"serve.max_model_len": 512, "serve.kv_cache_gib": 0.5, "serve.drain_s": 5},
    "resources": SIZE,
    "serving": {"keep": True},
}


@pytest.fixture(scope="module")
def serving(school):
    if not school.is_own:
        pytest.skip("this cluster is somebody else's: images of the tests are not brought into its nodes")
    install_serving(school)
    return school


def test_a_service_answers_its_student_alone(serving, tmp_path):
    secret = make_key(serving, "student-01", tmp_path)
    serving.apply("student-01", "service", **SERVICE)
    wait_until(lambda: serving.read_status("student-01", "service").get("phase") == "Serving", "service", READY_S, 1)
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
    told = serving.try_as("student-02", "get", "weekjobs,pods,inferenceservices", "--namespace", "student-01")
    assert told.count("forbidden") == 3, told
    assert "yes" in serving.try_as("student-01", *MAY_WRITE, "configmaps/practicum-gateway-keys", "-n", "student-01")
    assert "exit 1" in serving.try_as("student-01", *MAY_WRITE, "configmaps/week-01-evidence", "-n", "student-01")
    serving.client.kubectl("delete", "weekjob", "service", "--namespace", "student-01")
    left = "/api/v1/namespaces/student-01/pods?labelSelector=practicum.dev/week-job=service"
    wait_until(lambda: not serving.api.get(left)["items"], "the end of its pods", 60)
