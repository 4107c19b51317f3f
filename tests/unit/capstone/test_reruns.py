"""A repeated step beside the step of a week, where both have other names for the same."""

from __future__ import annotations

import json

import pytest
import yaml

from practicum_core.agreement import Agreement
from practicum_core.evidence import Evidence
from practicum_core.layout import RunLayout
from practicum_core.lineage import BuiltOn, Lineage
from practicum_core.metrics import Metric
from practicum_core.stages import STAGES
from practicum_jobs.capstone.reruns import Tolerances, check_reruns, is_surely_beyond
from practicum_jobs.capstone.weeks import Week
from run_folder import NOW, fill

LATEST, BY_ID = "latest:sft/merged", "run:20260102t030405-0a1b2c/merged"


def write_week(root, unit, step, candidate, sha256="a" * 64):
    layout = RunLayout(root / unit / "20260102t030406-0a1b2c")
    layout.stage(step).root.mkdir(parents=True)
    given = {"stage": "evaluate", "step": step, "started_at": NOW, "finished_at": NOW, "candidate": candidate}
    record = json.loads(fill(STAGES["evaluate"].record, given).model_dump_json())
    layout.stage(step).record.write_text(json.dumps(record))
    config = STAGES["evaluate"].config(candidate=candidate)
    layout.stage(step).config.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    one = BuiltOn(reference=candidate, unit="sft", run_id="20260102t030405-0a1b2c", path="merged", sha256=sha256)
    evidence = Evidence(unit=unit, run=layout.root.name, verdict="passed", gates=[], metrics=[])
    return Week(layout, evidence, None, None, None, Lineage(built_on=[one]))


def write_load_test(root, unit, step):
    layout = RunLayout(root / unit / "20260102t030406-0a1b2c")
    layout.stage(step).root.mkdir(parents=True)
    given = {"stage": "loadtest", "step": step, "started_at": NOW, "finished_at": NOW}
    layout.stage(step).record.write_text(fill(STAGES["loadtest"].record, given).model_dump_json())
    layout.stage(step).config.write_text(yaml.safe_dump({"base_url": "http://127.0.0.1:1"}))
    evidence = Evidence(unit=unit, run=layout.root.name, verdict="passed", gates=[], metrics=[])
    return Week(layout, evidence, None, None, None, Lineage(built_on=[]))


def check(week, now, reruns=("again=evaluate/evaluate",)):
    return check_reruns(list(reruns), [week], now, Tolerances(0.02, 2.0))


def test_a_load_test_whose_speeds_alone_are_compared_is_not_called_equal(tmp_path):
    week = write_load_test(tmp_path, "serving", "loadtest")
    (found,), failures = check(week, write_load_test(tmp_path, "capstone", "again"), ["again=serving/loadtest"])
    assert (found.agreement, found.num_compared, failures) == (Agreement.CLOSE, 0, [])


def test_another_name_of_the_step_and_of_the_same_model_is_no_difference(tmp_path):
    week = write_week(tmp_path, "evaluate", "evaluate", LATEST)
    (found,), failures = check(week, write_week(tmp_path, "capstone", "again", BY_ID))
    assert (found.agreement, found.differences, failures) == (Agreement.EQUAL, [], [])


def test_another_model_under_the_same_reference_is_one(tmp_path):
    week = write_week(tmp_path, "evaluate", "evaluate", LATEST)
    (found,), failures = check(week, write_week(tmp_path, "capstone", "again", LATEST, sha256="b" * 64))
    assert found.agreement == Agreement.DIFFERENT
    assert [one.kind for one in failures] == ["options_differ"]


@pytest.mark.parametrize(
    ("recorded", "repeated", "differs"),
    [
        ((1.0, None, None), (2.1, None, None), True),
        ((1.0, None, None), (1.9, None, None), False),
        ((0.94, 0.38, None), (0.40, 0.29, None), False),  # 24 latencies bound their 95th percentile from below only
        ((0.94, 0.38, None), (0.18, 0.17, 0.185), True),
        ((3.4, None, 4.0), (1.0, None, None), False),  # a knee that may lie anywhere below 4
        ((3.4, 2.9, 4.0), (1.0, None, None), True),
    ],
)
def test_figures_of_a_machine_differ_where_their_intervals_leave_no_doubt(recorded, repeated, differs):
    one, other = (Metric(name="ttft", value=value, low=low, high=high) for value, low, high in (recorded, repeated))
    assert is_surely_beyond(one, other, 2.0) is differs
    assert is_surely_beyond(other, one, 2.0) is differs
