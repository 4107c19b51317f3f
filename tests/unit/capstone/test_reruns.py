"""A repeated step beside the step of a week, where both have other names for the same."""

from __future__ import annotations

import json

import yaml

from practicum_core.agreement import Agreement
from practicum_core.evidence import Evidence
from practicum_core.layout import RunLayout
from practicum_core.lineage import BuiltOn, Lineage
from practicum_core.stages import STAGES
from practicum_jobs.capstone.reruns import Tolerances, check_reruns
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


def check(week, now):
    return check_reruns(["again=evaluate/evaluate"], [week], now, Tolerances(0.02, 2.0))


def test_another_name_of_the_step_and_of_the_same_model_is_no_difference(tmp_path):
    week = write_week(tmp_path, "evaluate", "evaluate", LATEST)
    (found,), failures = check(week, write_week(tmp_path, "capstone", "again", BY_ID))
    assert (found.agreement, found.differences, failures) == (Agreement.EQUAL, [], [])


def test_another_model_under_the_same_reference_is_one(tmp_path):
    week = write_week(tmp_path, "evaluate", "evaluate", LATEST)
    (found,), failures = check(week, write_week(tmp_path, "capstone", "again", LATEST, sha256="b" * 64))
    assert found.agreement == Agreement.DIFFERENT
    assert [one.kind for one in failures] == ["options_differ"]
