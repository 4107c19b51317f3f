"""Several pods of one step: a folder each, one lineage, and one record of all."""

from __future__ import annotations

import pytest

from agent_stand import build_step
from practicum_core.errors import DataError
from practicum_core.lineage import read_lineage
from practicum_core.metrics import Metric
from practicum_core.stages.serve import ServeRecord
from practicum_core.step_files import read_record
from practicum_jobs.agent.assignment import check_assignment
from practicum_jobs.agent.replica import enter_replica, join_replicas
from run_folder import write_finished_run

EARLIER, LATER = "20250102t030405-0a1b2c", "20250103t030405-0a1b2d"


@pytest.fixture
def experiments(tmp_path):
    folder = tmp_path / "experiments"
    folder.mkdir()
    return folder


def assign(experiments, model, **config):
    step = build_step("serve", unit="service", model={"uri": model}, serving={"engine": "kserve"}, set=config)
    return check_assignment(step, experiments)


def write_model(experiments, run):
    merged = write_finished_run(experiments / "sft" / run, "sft").stage("sft").artifacts / "merged"
    merged.mkdir(parents=True)
    (merged / "config.json").write_text(run)


def write_record(assignment, num_requests, started_at):
    layout = assignment.run.stage("serve")
    layout.root.mkdir(parents=True, exist_ok=True)
    counts = {"num_requests": num_requests, "prompt_tokens": 10, "completion_tokens": 5}
    times = {"started_at": started_at, "finished_at": "2026-01-02T03:05:00.000+00:00", "duration_s": 1}
    about = {"model": "m", "model_path": "/m", "served_names": ["m"], "dtype": "bfloat16", "max_model_tokens": 512}
    metrics = [Metric(name="ready_s", value=30, unit="s"), Metric(name="num_requests", value=num_requests)]
    record = ServeRecord(stage="serve", step="serve", **times, **about, **counts, metrics=metrics)
    layout.record.write_text(record.model_dump_json())


def test_a_later_replica_serves_the_model_that_the_first_one_found(experiments):
    write_model(experiments, EARLIER)
    assignment = assign(experiments, "latest:sft/merged")
    first = enter_replica(assignment, {"PRACTICUM_REPLICA": "pod-1"})
    write_model(experiments, LATER)
    second = enter_replica(assignment, {"PRACTICUM_REPLICA": "pod-2"})
    assert first.run.root.parent == second.run.root.parent == assignment.run.stage("serve").root / "replicas"
    found = [read_lineage(one.run).built_on[0].run for one in (first, second)]
    assert found == [f"sft/{EARLIER}"] * 2


def test_the_record_of_a_step_is_that_of_all_its_replicas(experiments):
    assignment = assign(experiments, "builtin:smollm2-135m")
    assert join_replicas(assignment) is None
    for name, number, second in (("pod-1", 3, 4), ("pod-2", 4, 30)):
        own = enter_replica(assignment, {"PRACTICUM_REPLICA": name})
        write_record(own, number, f"2026-01-02T03:04:{second:02}.000+00:00")
        seen = join_replicas(assignment)
    record = read_record(assignment.run, "serve")
    assert (record.num_requests, record.prompt_tokens, record.duration_s) == (7, 20, 56.0)
    assert {one.name: one.value for one in seen.metrics} == {"ready_s": 30, "num_requests": 7}


def test_files_of_the_run_and_a_mounted_model_are_named_by_their_paths(experiments):
    assignment = assign(experiments, "builtin:smollm2-135m", **{"serve.model": "run:stages/model"})
    named = enter_replica(assignment, {"PRACTICUM_REPLICA": "pod-1"}).config.model
    assert named == f"file://{assignment.run.root}/stages/model"
    variables = {"PRACTICUM_REPLICA": "pod-1", "PRACTICUM_MODEL_MOUNT": "/mnt/models"}
    assert enter_replica(assignment, variables).config.model == "file:///mnt/models"


@pytest.mark.parametrize("name", ["", "../pod", "a/b", "Pod"])
def test_a_name_that_is_no_pods_is_refused(experiments, name):
    with pytest.raises(DataError, match="no name of a pod"):
        enter_replica(assign(experiments, "builtin:smollm2-135m"), {"PRACTICUM_REPLICA": name})
