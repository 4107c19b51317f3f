"""Grades of a class: points by a rubric, lateness, and cheaters, each named for what was done."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import yaml

from practicum_cli.class_folders import read_handed_in
from practicum_core.atomic import write_json_atomic
from practicum_core.layout import RunLayout
from practicum_core.metrics import Metric
from practicum_core.stages.report import ReportConfig
from practicum_core.step_files import read_record
from practicum_jobs import report
from practicum_jobs.context import StageContext
from run_folder import NOW, write_finished_run

NUM_STUDENTS = 40
EDITED, COPIED, FAKED, RESEALED = "student-05", "student-11", "student-17", "student-23"
COPIED_FROM = "student-12"


def write_run(folder, number, accuracy):
    """Write a finished run of week 1 with its evidence, as a student's machine leaves it."""
    run = write_finished_run(folder / "experiments" / f"20260102t0304{number:02d}-0a1b2c", "experiments")
    set_record(run, "model", fetch_s=number)
    set_record(run, "snapshot", unwaived_leaks=0, seconds=number)
    set_record(run, "evaluate", num_rows=60, exact_match=accuracy, exact_match_interval_width=0.2, pace=number / 7)
    build_evidence(run)
    return run


def set_record(run, step, **metrics):
    record = read_record(run, step)
    given = [Metric(name=name, value=value) for name, value in metrics.items()]
    write_json_atomic(run.stage(step).record, record.model_copy(update={"metrics": given}).model_dump(mode="json"))


def build_evidence(run):
    record = report.run(ReportConfig(), StageContext(run.root, "report", "report"))
    write_json_atomic(run.stage("report").record, record.model_dump(mode="json") | {"finished_at": NOW})


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def school(tmp_path):
    """A class of 40, four of whom cheat in four ways, and the week jobs as the controller has them."""
    root = tmp_path / "class"
    week_jobs = []
    for number in range(1, NUM_STUDENTS + 1):
        name = f"student-{number:02d}"
        run = write_run(root / name / "experiments", number, number / 100)
        metrics = json.loads(run.evidence_json.read_text())["metrics"]
        status = {"metrics": [{"name": f"{m['stage']}.{m['name']}", "value": str(m["value"])} for m in metrics]}
        job = {"kind": "WeekJob", "metadata": {"namespace": name}, "spec": {"unit": "experiments"}, "status": status}
        week_jobs.append(job)
    path = tmp_path / "weekjobs.json"
    path.write_text(json.dumps({"items": week_jobs}))
    get = {name: RunLayout(next((root / name / "experiments/experiments").iterdir())) for name in list_names()}
    edit(get[EDITED].stage("evaluate").record, "0.05", "0.95")
    shutil.rmtree(get[COPIED].root)
    shutil.copytree(get[COPIED_FROM].root, get[COPIED].root.with_name(get[COPIED_FROM].root.name))
    edit(get[FAKED].evidence_json, "0.17", "0.97")
    set_record(get[RESEALED], "evaluate", num_rows=60, exact_match=0.99, exact_match_interval_width=0.2)
    build_evidence(get[RESEALED])
    return root


def list_names():
    return [f"student-{number:02d}" for number in range(1, NUM_STUDENTS + 1)]


def read_problems(folder):
    lines = json.loads((folder / "grades.json").read_text())
    return {line["student"]: line["problems"] for line in lines if line["unit"] == "experiments" and line["problems"]}


def test_each_cheater_is_named_for_what_was_done_and_nobody_else(school, tmp_path, command):
    out = tmp_path / "grades"
    code, said, _ = command("grade", str(school), "--weekjobs", str(tmp_path / "weekjobs.json"), "--output", str(out))
    problems = read_problems(out)
    assert code == 1
    assert sorted(problems) == sorted([EDITED, COPIED, COPIED_FROM, FAKED, RESEALED])
    assert "stages/evaluate/record.json" in problems[EDITED]
    assert f"equal to those of {COPIED_FROM}" in problems[COPIED]
    assert f"equal to those of {COPIED}" in problems[COPIED_FROM]
    assert "evaluate.exact_match 0.97, recorded 0.17" in problems[FAKED]
    assert "the controller recorded other figures: evaluate.exact_match 0.99" in problems[RESEALED]
    assert all(name in said for name in problems)


def test_without_the_cluster_a_whole_forgery_is_not_seen_and_the_rest_is(school, tmp_path, command):
    out = tmp_path / "grades"
    command("grade", str(school), "--output", str(out))
    assert sorted(read_problems(out)) == sorted([EDITED, COPIED, COPIED_FROM, FAKED])


def test_points_follow_the_rubric_and_lateness(tmp_path, command):
    write_run(tmp_path / "class/student-01/experiments", 1, 0.9)
    write_run(tmp_path / "class/student-02", 2, 0.1)
    metric = {"step": "evaluate", "metric": "exact_match", "threshold": 0.5, "points": 4}
    rules = {"weeks": {"week-01": {"gates": {"no_leakage": 3}, "metrics": [metric]}}, "late_share_per_day": 0.25}
    (tmp_path / "rubric.yaml").write_text(yaml.safe_dump(rules))
    arguments = ["grade", str(tmp_path / "class"), "--rubric", str(tmp_path / "rubric.yaml"), "--output", str(tmp_path)]
    assert command(*arguments)[0] == 0
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text().splitlines()))
    found = {row["student"]: (row["points"], row["of"], row["gates"]) for row in rows if row["week"] == "week-01"}
    assert found == {"student-01": ("9.0", "9.0", "3/3"), "student-02": ("5.0", "9.0", "3/3")}
    rules["weeks"]["week-01"]["due"] = "2026-01-01T03:00:00+00:00"
    (tmp_path / "rubric.yaml").write_text(yaml.safe_dump(rules))
    command(*arguments)
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text().splitlines()))
    late = next(row for row in rows if (row["student"], row["week"]) == ("student-01", "week-01"))
    assert (late["points"], late["days late"]) == ("4.5", "2")
    assert (tmp_path / "grades.html").read_text().count("student-02") >= 1


def test_seconds_in_which_several_steps_ran_count_once(tmp_path):
    run = write_run(tmp_path / "class/student-01", 1, 0.9)
    times = {"model": (5, 30.0), "snapshot": (10, 20.0), "evaluate": (40, 10.0), "report": (49, 2.0)}
    for step, (second, duration_s) in times.items():
        changes = {"started_at": f"2026-01-02T03:04:{second:02d}.000+00:00", "duration_s": duration_s}
        changed = read_record(run, step).model_copy(update=changes)
        write_json_atomic(run.stage(step).record, changed.model_dump(mode="json"))
    handed_in = read_handed_in("student-01", tmp_path / "class/student-01", "experiments")
    assert handed_in.duration_s == 41.0


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"weeks": {"week-01": {"gates": {"nothing": 1}}}}, "week-01 has no gate nothing"),
        ({"weeks": {"week-01": {"due": "2026-01-01T03:00:00"}}}, "due has no time zone"),
        ({"late_share_per_day": 2}, "late_share_per_day"),
        ({"variant": 9}, "variant 9"),
    ],
)
def test_a_wrong_rubric_is_refused_in_one_sentence(tmp_path, command, rules, said):
    (tmp_path / "class/student-01").mkdir(parents=True)
    (tmp_path / "rubric.yaml").write_text(yaml.safe_dump(rules))
    code, _, err = command("grade", str(tmp_path / "class"), "--rubric", str(tmp_path / "rubric.yaml"))
    assert (code, said in err) == (2, True), err


def test_a_folder_without_students_is_refused(tmp_path, command):
    code, _, err = command("grade", str(tmp_path))
    assert (code, "no folder of a student" in err) == (2, True)
