"""The models that every part agrees on: curriculum, gates, layout, resolution, errors, files."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from practicum_core import atomic
from practicum_core.atomic import append_json_line, explain_os_errors, open_atomic, write_json_atomic
from practicum_core.course import CourseSpec, GpuSharing
from practicum_core.curriculum import UNITS, VARIANTS, get_unit, list_declared_stages
from practicum_core.errors import ConfigError, PlatformError, Reason, get_exit_code
from practicum_core.gates import Comparison, GateSpec, check_gates
from practicum_core.layout import build_run_id, is_run_id, resolve_inside
from practicum_core.metrics import StageMetric
from practicum_core.resolve import resolve_steps
from practicum_core.stages import STAGES, get_stage
from practicum_core.units.unit import Step, Unit
from practicum_core.weekjob import Resources, WeekJob, WeekJobStatus

COURSE_ROWS = Path(__file__).parents[4] / "shared" / "course" / "requirements.md"


def build_weekjob(**spec) -> WeekJob:
    return WeekJob.model_validate({"metadata": {"name": "test"}, "spec": {"unit": "sft", **spec}})


@pytest.mark.parametrize(("variant", "weeks"), [(8, 8), (10, 10), (12, 12)])
def test_a_variant_has_a_unit_for_every_week(variant, weeks):
    assert [get_unit(f"week-{week:02d}", variant).name for week in range(1, weeks + 1)] == list(VARIANTS[variant])


def test_every_course_row_is_answered_by_a_unit():
    if not COURSE_ROWS.exists():
        pytest.skip("needs the course plan beside the checkout (shared/course/requirements.md)")
    rows = set(re.findall(r"^\| ([WVP][0-9.]+) \|", COURSE_ROWS.read_text(encoding="utf-8"), re.MULTILINE))
    answered = {row for unit in UNITS.values() for row in unit.requirements}
    assert answered <= rows
    # Rows of the platform (P) are about more than a unit; a unit may name one too.
    assert {row for row in rows if not row.startswith("P")} <= answered


def test_every_unit_is_used_by_a_variant_and_titled_in_both_languages():
    assert {name for weeks in VARIANTS.values() for name in weeks} == set(UNITS)
    for unit in UNITS.values():
        assert re.search(r"[\u4e00-\u9fff]|Capstone", unit.title_zh), unit.name
        for gate in unit.gates:
            assert re.search(r"[\u4e00-\u9fff]", gate.title_zh), gate.name
            assert gate.step in {step.name for step in unit.steps}


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("unit", [unit.name for unit in UNITS.values() if unit.is_implemented])
def test_implemented_units_resolve_with_their_own_configuration(unit, profile):
    steps = resolve_steps(build_weekjob(unit=unit, profile=profile))
    assert steps[-1].stage == "report"


def test_no_unit_of_the_course_is_only_declared():
    assert [unit.name for unit in UNITS.values() if not unit.is_implemented] == []
    assert list_declared_stages() == []


def test_a_unit_of_a_later_version_says_that_it_is_not_in_this_one(monkeypatch):
    later = Unit("later", "Later", "以后", "Later", "以后", (), (Step("unbuilt", "unbuilt"),))
    monkeypatch.setitem(UNITS, "later", later)
    with pytest.raises(ConfigError, match="not of this version") as caught:
        resolve_steps(build_weekjob(unit="later"))
    assert caught.value.reason is Reason.STAGE_NOT_IMPLEMENTED


def test_implemented_and_declared_stages_do_not_overlap():
    assert not set(list_declared_stages()) & set(STAGES)
    with pytest.raises(ConfigError, match="did you mean 'audit'"):
        get_stage("audti")


def test_all_problems_of_a_weekjob_are_told_at_once_with_suggestions():
    weekjob = build_weekjob(set={"sft.leraning_rate": 1, "stf.method": "lora", "evaluate.batch_size": 0, "bare": 1})
    with pytest.raises(ConfigError) as caught:
        resolve_steps(weekjob)
    for part in ("did you mean 'learning_rate'", "did you mean 'sft'", "evaluate.batch_size", "'bare'"):
        assert part in caught.value.detail


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("split", "train", "models are made with the split train"),
        ("split", "validation", "models are made with the split validation"),
        ("confidence", 0.5, "greater than or equal to 0.95"),
    ],
)
def test_no_option_makes_a_gate_ask_for_less(option, value, words):
    with pytest.raises(ConfigError) as caught:
        resolve_steps(build_weekjob(unit="sft", set={f"evaluate.{option}": value}))
    assert words in caught.value.detail


def test_options_are_laid_over_each_other_in_order():
    def config_of(**spec):
        return {step.name: step.config for step in resolve_steps(build_weekjob(**spec))}["sft"]

    assert config_of(profile="quick").max_steps == 50
    assert config_of(profile="full").max_steps == -1
    assert config_of(profile="quick", set={"sft.max_steps": 3}).max_steps == 3
    assert config_of(seed=11).seed == 11
    assert config_of(resources={"workers": 2}).num_workers == 2
    assert config_of(model={"uri": "hf://Qwen/Qwen2.5-0.5B-Instruct"}).model == "hf://Qwen/Qwen2.5-0.5B-Instruct"


def test_a_weekjob_reads_and_writes_the_kubernetes_way():
    document = {
        "apiVersion": "practicum.dev/v1alpha1",
        "kind": "WeekJob",
        "metadata": {"name": "week-03", "namespace": "student-01"},
        "spec": {"unit": "sft", "activeDeadlineSeconds": 60, "serving": {"minReplicas": 1}},
    }
    written = WeekJob.model_validate(document).to_document()
    assert written["spec"]["activeDeadlineSeconds"] == 60
    assert written["spec"]["serving"]["minReplicas"] == 1
    assert WeekJob.model_validate(written).to_document() == written


@pytest.mark.parametrize("name", ["Week", "a" * 48, "-a", "a_b", ""])
def test_names_that_no_child_could_carry_are_refused(name):
    with pytest.raises(ValidationError):
        WeekJob.model_validate({"metadata": {"name": name}, "spec": {"unit": "sft"}})


GATE = GateSpec(
    name="g", step="s", metric="m", comparison=Comparison.ABOVE, threshold=0.2, bound="low", title_en="x", title_zh="中"
)


@pytest.mark.parametrize(
    ("metric", "passed"),
    [
        (StageMetric(stage="s", name="m", value=0.9, low=0.21, high=1.0), True),
        (StageMetric(stage="s", name="m", value=0.9, low=0.2, high=1.0), False),
        (StageMetric(stage="s", name="m", value=0.9), False),
        (StageMetric(stage="s", name="m", value=0.9, low=float("nan"), high=1.0), False),
        (StageMetric(stage="other", name="m", value=0.9, low=0.9), False),
    ],
)
def test_a_gate_passes_only_on_a_measured_figure(metric, passed):
    assert [gate.passed for gate in check_gates([GATE], [metric])] == [passed]


@given(
    seconds=st.lists(st.integers(0, 4_000_000_000), min_size=2, max_size=20),
    entropy=st.binary(min_size=3, max_size=8),
)
def test_run_ids_sort_by_time(seconds, entropy):
    times = sorted({dt.datetime.fromtimestamp(second, dt.UTC) for second in seconds})
    names = [build_run_id(time, entropy) for time in times]
    assert names == sorted(names)
    assert all(is_run_id(name) for name in names)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a\x00b"])
def test_paths_never_leave_the_run_directory(tmp_path, path):
    with pytest.raises(ConfigError, match="leaves the run directory"):
        resolve_inside(tmp_path, path)


def test_links_never_lead_out_of_the_run_directory(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="leaves the run directory"):
        resolve_inside(tmp_path / "run", "link/secret")
    assert resolve_inside(tmp_path / "run", "stages/sft") == tmp_path / "run" / "stages" / "sft"


def test_a_cut_off_write_leaves_the_old_file_and_no_debris(tmp_path):
    path = tmp_path / "record.json"
    write_json_atomic(path, {"n": 1})

    def write_half():
        with open_atomic(path) as handle:
            handle.write(b'{"n": 2')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert json.loads(path.read_text()) == {"n": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, Reason.DISK_FULL),
        (errno.EACCES, Reason.PERMISSION_DENIED),
        (errno.EROFS, Reason.PERMISSION_DENIED),
    ],
)
def test_disk_faults_say_what_to_do(tmp_path, number, reason):
    with pytest.raises(PlatformError) as caught, explain_os_errors(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert caught.value.reason is reason
    assert caught.value.fix
    assert caught.value.exit_code == 4


def test_a_full_disk_is_told_and_nothing_half_stays(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(PlatformError, match="no space left"):
        write_json_atomic(tmp_path / "x.json", {})
    assert list(tmp_path.iterdir()) == []


def test_json_lines_are_appended_whole(tmp_path):
    for number in range(3):
        append_json_line(tmp_path / "m.jsonl", {"n": number, "文": "字\ud800"})
    assert [json.loads(line)["n"] for line in (tmp_path / "m.jsonl").read_text().splitlines()] == [0, 1, 2]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_an_exit_code_of_the_contract(reason):
    assert get_exit_code(reason) in {0, 1, 2, 3, 4, 70, 75, 143}


def test_two_students_of_one_namespace_are_refused():
    students = [{"name": "ada", "namespace": "team-1"}, {"name": "team-1"}, {"name": "bob"}]
    with pytest.raises(ValidationError, match=r"several students have one namespace \(team-1\)"):
        CourseSpec.model_validate({"students": students})
    assert len(CourseSpec.model_validate({"students": students[1:]}).students) == 2


def get_needed_splits(name="snapshot", **spec):
    return next(step.config.needed_splits for step in resolve_steps(build_weekjob(**spec)) if step.name == name)


def test_the_step_that_freezes_the_data_is_told_what_later_steps_read():
    assert get_needed_splits() == {
        "train": ["sft"],
        "validation": ["sft", "inference"],
        "test": ["evaluate"],
    }
    options = {"evaluate.split": "held-out", "evaluate.control_split": "control", "inference.split": "control"}
    assert get_needed_splits(set=options) == {
        "train": ["sft"],
        "validation": ["sft"],
        "control": ["inference", "evaluate"],
        "held-out": ["evaluate"],
    }


def test_a_unit_that_only_measures_needs_no_training_rows():
    assert get_needed_splits(unit="experiments") == {"test": ["evaluate"]}


def test_leaks_that_a_unit_accepts_come_on_top_of_those_of_the_week_job():
    steps = resolve_steps(build_weekjob(unit="iterate", waive_leakage=["near:train-control"]))
    waived = next(step.config.waive_leakage for step in steps if step.name == "snapshot-enlarged")
    assert waived == ["near:train-control", "exact:train-test", "near:train-test", "ngram:train-test"]


def test_what_is_read_of_data_that_a_later_step_makes_is_not_needed_before():
    assert get_needed_splits("model", unit="iterate") == {"train": ["iterate"], "validation": ["iterate"]}
    enlarged = get_needed_splits("snapshot-enlarged", unit="evaluate-and-iterate")
    assert enlarged["fresh"] == ["evaluate-fresh"]
    given = get_needed_splits(unit="evaluate-and-iterate")
    assert given["test"] == ["evaluate"]
    assert "fresh" not in given


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"cpu": "0"}, "at least 10m"),
        ({"cpu": "0.009"}, "at least 10m"),
        ({"memory": "0"}, "at least 16Mi"),
        ({"memory": "16M"}, "at least 16Mi"),
        ({"memory": "512m"}, "write 512Mi"),
    ],
)
def test_a_pod_asks_for_something(resources, said):
    with pytest.raises(ValidationError, match=said):
        Resources.model_validate(resources)


@pytest.mark.parametrize("name", ["cpu", "memory", "/gpu", "nvidia.com/", "kubernetes.io/batch-cpu"])
def test_a_slice_is_a_device(name):
    with pytest.raises(ValidationError):
        GpuSharing(resource_name=name)


@pytest.mark.parametrize("text", ["now", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "9999-12-31T23:59:59-01:00"])
def test_a_status_holds_no_time_that_is_none(text):
    with pytest.raises(ValidationError):
        WeekJobStatus(start_time=text)
    assert WeekJobStatus(start_time="2026-01-02T03:04:05.5+08:00").start_time
