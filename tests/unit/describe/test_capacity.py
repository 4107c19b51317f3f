"""The capacity of a deployment: from a load test of the same model on the same engine, and from no other."""

from __future__ import annotations

import json

import pytest
import yaml

from practicum_core.layout import RunLayout
from practicum_core.stages.load_results import ClientCheck, Estimate
from practicum_core.stages.loadtest import LoadtestRecord, Objective
from practicum_jobs.describe.capacity import find_capacity, list_engines

SERVED = "20260102t030405-0a1b2c"


def write_run(root, unit, run_id, model="builtin:smollm2-135m", sha256="", **serve):
    run = RunLayout(root / unit / run_id)
    run.root.mkdir(parents=True)
    settings = {"serve.model": model, **{f"serve.{name}": value for name, value in serve.items()}}
    spec = {"unit": unit, "set": {} if unit == "load-test" else settings}
    document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob", "metadata": {"name": "x"}, "spec": spec}
    run.weekjob.write_text(yaml.safe_dump(document))
    if sha256:
        built = {"reference": model, "unit": "sft", "run_id": SERVED, "path": "x", "sha256": sha256}
        run.lineage_lock.write_text(json.dumps({"built_on": [built]}))
    return run


def write_load_test(run, url="http://127.0.0.1:1", started_at="2026-01-02T03:10:00.000+00:00", rate=4.0):
    record = LoadtestRecord(
        stage="loadtest", step="loadtest", started_at=started_at, finished_at="", duration_s=1, url=url, model="m",
        endpoint="chat", load="poisson", schedule_sha256="", prompts_sha256="", num_clients=1, levels=[],
        objective=Objective(ttft_s=1), knee_rate=Estimate(value=rate, low=rate, high=rate),
        client_check=ClientCheck(is_ok=True, dispatch_p50_s=0, dispatch_p99_s=0, max_cpu_share=0),
    )  # fmt: skip
    path = run.stage("loadtest").record
    path.parent.mkdir(parents=True)
    path.write_text(record.model_dump_json())


@pytest.mark.parametrize(
    ("served", "tested", "is_found"),
    [
        ({}, {}, True),
        ({}, {"engine": "llama_cpp"}, False),
        ({}, {"quantization": "fp8"}, False),
        ({"model": "latest:sft/merged", "sha256": "aa"}, {"model": "pointer:best", "sha256": "aa"}, True),
        ({"model": "latest:sft/merged", "sha256": "aa"}, {"model": "latest:sft/merged", "sha256": "bb"}, False),
        ({"model": "/models/a"}, {"model": "/models/a"}, False),
    ],
)
def test_a_load_test_counts_where_its_run_served_the_same_content_on_the_same_engine(
    tmp_path, served, tested, is_found
):
    run = write_run(tmp_path, "service", SERVED, **served)
    write_load_test(write_run(tmp_path, "serving", "20260101t030405-0a1b2c", **tested))
    assert (find_capacity(tmp_path, run, []) is not None) == is_found


def test_a_load_test_of_the_service_itself_counts_and_one_of_what_had_its_address_before_does_not(tmp_path):
    run = write_run(tmp_path, "service", SERVED, model="/models/a")
    assert list_engines(run) == frozenset()
    url = "http://localhost:8080/v1"
    write_load_test(write_run(tmp_path, "load-test", "20260102t031000-0a1b2c"), url)
    earlier = write_run(tmp_path, "load-test", "20260101t031000-0a1b2c")
    write_load_test(earlier, url, "2026-01-01T03:10:00.000+00:00", rate=9.0)
    assert find_capacity(tmp_path, run, ["http://127.0.0.1:8080"]).rate == 4.0
    assert find_capacity(tmp_path, run, ["http://127.0.0.1:8081"]) is None
