"""What an execution may differ in from its record, and what that is called."""

from __future__ import annotations

import json
import re

import pytest

from practicum_cli.control import check_control, recheck_control
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.runs import read_run
from practicum_cli.verification import build_weekjob_of_record, compare_runs
from practicum_core.agreement import Agreement
from practicum_core.errors import ConfigError, Reason
from practicum_core.resolve import resolve_steps

DATA_LOCK = {"uri": "builtin:tickets", "splits": {"test": {"sha256": "a" * 64, "num_rows": 1, "size_bytes": 1}}}


@pytest.fixture
def pair(finish_run):
    return finish_run(), finish_run()


def change(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def compare(pair, tolerance=1e-3):
    first, second = pair
    return compare_runs(read_run(first), read_run(second), tolerance)


def test_equal_runs_are_bit_equal(pair):
    result = compare(pair)
    assert result.agreement is Agreement.EQUAL
    assert len(result.findings) > 5
    assert result.changed == ()


@pytest.mark.parametrize(
    ("value", "agreement"), [(0.1, Agreement.EQUAL), (0.1005, Agreement.CLOSE), (0.12, Agreement.DIFFERENT)]
)
def test_metrics(pair, value, agreement):
    metrics = [{"name": "num_rows", "value": 60}, {"name": "exact_match_interval_width", "value": value}]
    change(pair[1] / "stages/evaluate/record.json", metrics=metrics)
    assert compare(pair).agreement is agreement


def test_a_metric_that_is_gone_differs(pair):
    change(pair[1] / "stages/evaluate/record.json", metrics=[])
    assert compare(pair).agreement is Agreement.DIFFERENT


def test_seconds_and_throughput_are_not_compared(pair):
    for number, path in enumerate(pair):
        metrics = [
            {"name": "start_s", "value": number, "unit": "s"},
            {"name": "t", "value": number, "unit": "tokens/s"},
        ]
        change(path / "stages/model/record.json", metrics=metrics)
    result = compare(pair)
    assert (result.agreement, result.num_machine_figures) == (Agreement.EQUAL, 2)


def test_the_size_of_the_pack_is_not_compared(pair):
    for number, path in enumerate(pair):
        metrics = [{"name": "html_bytes", "value": 1000 + number, "unit": "bytes"}]
        change(path / "stages/report/record.json", metrics=metrics)
    assert compare(pair).agreement is Agreement.EQUAL


def test_other_answers_with_the_same_score_are_not_bit_equal(pair):
    change(pair[1] / "stages/evaluate/record.json", predictions_sha256="1" * 64)
    for path, answer in zip(pair, ("yes", "no"), strict=True):
        (path / "stages/evaluate/samples.jsonl").write_text(
            json.dumps({"id": "1", "answer": answer, "time_s": 1}) + "\n"
        )
    result = compare(pair)
    assert result.agreement is Agreement.CLOSE
    named = {finding.name for finding in result.findings if finding.agreement is not Agreement.EQUAL}
    assert named == {"predictions_sha256", "samples"}


def test_samples_differing_in_time_or_in_kept_answers_alone_are_equal(pair):
    for number, path in enumerate(pair):
        sample = {"id": "1", "time_s": number, "base_cached": bool(number)}
        (path / "stages/evaluate/samples.jsonl").write_text(json.dumps(sample) + "\n")
    assert compare(pair).agreement is Agreement.EQUAL


def test_other_data_is_named(pair):
    for path, digit in zip(pair, "ab", strict=True):
        lock = json.loads(json.dumps(DATA_LOCK).replace("a" * 64, digit * 64))
        (path / "data.lock.json").write_text(json.dumps(lock))
    result = compare(pair)
    assert result.agreement is Agreement.DIFFERENT
    assert result.changed[0].startswith("data.test: sha256:aaaa")


def test_a_record_executes_with_its_own_options_whatever_the_defaults_are_now(finish_run):
    path = finish_run()
    config = path / "stages/evaluate/config.yaml"
    config.write_text(re.sub(r"batch_size: \d+", "batch_size: 5", config.read_text()))
    weekjob = build_weekjob_of_record(read_run(path))
    assert weekjob.spec.set == {"evaluate.batch_size": 5, "evaluate.reuse_answers": False}
    assert next(step for step in resolve_steps(weekjob) if step.name == "evaluate").config.batch_size == 5


def test_a_comparison_is_held_again_when_the_data_is_known(pair, workplace):
    control, run = pair
    weekjob = build_weekjobs(("week-01",), RunRequest(profile="quick", model="model", seed=8))[0]
    named, fair = check_control(weekjob, control.name, workplace / "experiments")
    assert named.spec.control == f"experiments/{control.name}"
    assert (fair.comparison.factor, fair.comparison.control_value, fair.comparison.value) == ("seed", "7", "8")
    fair.write(run)
    recheck_control(run)
    assert json.loads((run / "control.json").read_text())["factor"] is None
    (control / "data.lock.json").write_text(json.dumps(DATA_LOCK))
    changed = json.dumps(DATA_LOCK).replace("a" * 64, "b" * 64).replace("builtin:tickets", "builtin:other")
    (run / "data.lock.json").write_text(changed)
    recheck_control(run)
    assert json.loads((run / "control.json").read_text())["factor"] == "data.test"
    environment = json.loads((run / "environment.json").read_text())
    environment["code"]["source_sha256"] = "f" * 64
    (run / "environment.json").write_text(json.dumps(environment))
    with pytest.raises(ConfigError) as caught:
        recheck_control(run)
    assert caught.value.reason is Reason.COMPARISON_UNFAIR
    assert "data.test" in caught.value.detail
    assert "code" in caught.value.detail


def test_a_verification_takes_no_answers_of_earlier_runs_and_does_not_call_that_a_change(finish_run):
    run = finish_run()
    weekjob = build_weekjob_of_record(read_run(run))
    (config,) = [step.config for step in resolve_steps(weekjob) if step.name == "evaluate"]
    assert config.reuse_answers is False
    executed = finish_run(overrides=("evaluate.reuse_answers=false",))
    result = compare_runs(read_run(run), read_run(executed), 1e-3)
    assert result.changed == ()
