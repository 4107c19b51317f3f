"""References to earlier runs: what they may say, what they find, and what no spelling of them reaches."""

from __future__ import annotations

import json
import os

import pytest

from practicum_core.content_hash import hash_path
from practicum_core.earlier_runs import find_run_folder
from practicum_core.errors import ConfigError, DataError, PracticumError
from practicum_core.layout import RunLayout
from practicum_core.lineage import BuiltOn, Lineage, ensure_lineage, find_locked, read_lineage, resolve_references
from practicum_core.pointers import Pointers
from practicum_core.references import Reference, find_reference_problems, list_references, parse_reference
from practicum_core.resolve import resolve_steps
from practicum_core.stages import STAGES
from practicum_core.stages.base import get_uri_kind
from practicum_core.stages.describe import DescribeConfig
from practicum_core.stages.serve import ServeConfig
from practicum_core.weekjob import WeekJob
from run_folder import write_finished_run

FIRST, SECOND, THIRD, LINKED = (f"2026010{day}t030405-0a1b2c" for day in (2, 3, 4, 5))
SECRET = "what belongs to another student"  # noqa: S105 - a test's


def build_folders(root):
    """Make one student's folder of runs beside another's."""
    for student in ("student-01", "student-02"):
        folder = root / student / "experiments"
        for run_id in (FIRST, SECOND):
            run = write_finished_run(folder / "sft" / run_id, "sft")
            merged = run.stage("sft").artifacts / "merged"
            merged.mkdir(parents=True)
            (merged / "config.json").write_text(f"{SECRET if student == 'student-02' else run_id}")
        run = write_finished_run(folder / "data" / THIRD, "data")
        (run.stage("audit").artifacts / "clean").mkdir(parents=True)
        (run.stage("audit").artifacts / "clean/train.jsonl").write_text(SECRET if student == "student-02" else "{}\n")
    return root / "student-01" / "experiments"


@pytest.fixture
def experiments(tmp_path):
    return build_folders(tmp_path)


def build_wanted(text, option="evaluate.candidate"):
    spec = {"unit": "experiments", "set": {option: text}}
    weekjob = WeekJob.model_validate({"metadata": {"name": "week-01"}, "spec": spec})
    return list_references(step.config for step in resolve_steps(weekjob))


def resolve(text, experiments, option="evaluate.candidate"):
    lineage = resolve_references(build_wanted(text, option), experiments, 10)
    assert lineage is not None
    return lineage.built_on[0]


def test_the_latest_finished_run_is_found_with_the_hash_of_what_it_exports(experiments):
    merged = experiments / "sft" / SECOND / "stages/sft/artifacts/merged"
    for text in ("latest:sft", "latest:sft/merged", "latest:week-03", "latest:sft/stages/sft/artifacts/merged"):
        found = resolve(text, experiments)
        assert (found.run, found.path) == (f"sft/{SECOND}", "stages/sft/artifacts/merged")
        assert found.sha256 == hash_path(merged)
    assert resolve("latest:data", experiments, "snapshot.data").path == "stages/audit/artifacts/clean"


def test_a_run_that_is_not_finished_is_passed_over(experiments):
    run = RunLayout(experiments / "sft" / SECOND)
    run.status.write_text(json.dumps({"phase": "Running"}))
    assert resolve("latest:sft", experiments).run_id == FIRST
    run.status.write_text(json.dumps({"phase": "Succeeded"}))
    assert resolve("latest:sft", experiments).run_id == SECOND
    run.stage("inference").record.write_text('{"sta')
    assert resolve("latest:sft", experiments).run_id == FIRST
    with pytest.raises(ConfigError, match=r"is not finished: .*not whole JSON"):
        resolve(f"run:{SECOND}", experiments)


def test_nothing_found_names_the_week_to_run_first(experiments):
    with pytest.raises(ConfigError) as caught:
        resolve("latest:experiments", experiments)
    assert "no finished run of week-01" in caught.value.detail
    assert caught.value.fix == "run week-01 first"
    with pytest.raises(ConfigError, match="did you mean 'sft'"):
        resolve("latest:sfft", experiments)


def test_in_a_shorter_course_a_unit_is_found_in_the_one_that_has_its_content(tmp_path):
    wanted = build_wanted("latest:sft/merged")
    with pytest.raises(ConfigError, match="no finished run of week-02") as caught:
        resolve_references(wanted, tmp_path, 8)
    assert caught.value.fix == "run week-02 first"
    run = write_finished_run(tmp_path / "data-and-sft" / FIRST, "data-and-sft")
    run.stage("sft").artifacts.mkdir()
    (run.stage("sft").artifacts / "merged").write_text("weights")
    assert resolve_references(wanted, tmp_path, 8).built_on[0].run == f"data-and-sft/{FIRST}"
    with pytest.raises(ConfigError, match="no finished run of week-03"):
        resolve_references(wanted, tmp_path, 10)


def test_a_run_and_a_pointer_are_found_by_their_names(experiments):
    assert resolve(f"run:{FIRST}", experiments).run == f"sft/{FIRST}"
    Pointers(experiments).set("best", f"sft/{FIRST}", "")
    found = resolve("pointer:best/merged", experiments)
    assert (found.run, found.kind) == (f"sft/{FIRST}", None)
    with pytest.raises(ConfigError, match=f"no such run in {experiments}"):
        resolve("run:20260102t030405-ffffff", experiments)
    with pytest.raises(ConfigError, match="no pointer 'bst'; did you mean 'best'"):
        resolve("pointer:bst", experiments)
    with pytest.raises(ConfigError, match=r"exports no data.*\n.*latest:sft/merged, latest:sft/adapter"):
        resolve("latest:sft", experiments, "snapshot.data")
    with pytest.raises(ConfigError, match="left no stages/sft/artifacts/adapter"):
        resolve("latest:sft/adapter", experiments)


def test_the_lock_is_written_once_and_holds_what_the_run_started_from(experiments):
    run = RunLayout(experiments / "experiments" / THIRD)
    run.root.mkdir(parents=True)
    wanted = build_wanted("latest:sft")
    first = ensure_lineage(run, wanted, experiments, 10)
    later = write_finished_run(experiments / "sft" / THIRD, "sft")
    (later.stage("sft").artifacts / "merged").mkdir(parents=True)
    assert ensure_lineage(run, wanted, experiments, 10) == first == read_lineage(run)
    path = find_locked(run, "latest:sft", "model", experiments)
    assert path == (experiments / "sft" / SECOND / "stages/sft/artifacts/merged").resolve()
    more = ensure_lineage(run, [*wanted, *build_wanted("latest:data", "snapshot.data")], experiments, 10)
    assert [one.unit for one in more.built_on] == ["sft", "data"]


def test_what_changed_or_went_is_told(experiments):
    run = RunLayout(experiments / "experiments" / THIRD)
    ensure_lineage(run, build_wanted("latest:sft"), experiments, 10)
    weights = experiments / "sft" / SECOND / "stages/sft/artifacts/merged/config.json"
    weights.write_text("other")
    with pytest.raises(DataError, match=f"merged of run sft/{SECOND} changed since this run started"):
        find_locked(run, "latest:sft", "model", experiments)
    (experiments / "sft" / SECOND).rename(experiments / "gone")
    with pytest.raises(DataError, match=f"of run sft/{SECOND} is gone"):
        find_locked(run, "latest:sft", "model", experiments)
    with pytest.raises(ConfigError, match="does not hold it"):
        find_locked(run, "pointer:best", "model", experiments)
    run.lineage_lock.write_text('{"built_')
    with pytest.raises(DataError, match=r"lineage\.lock\.json"):
        find_locked(run, "latest:sft", "model", experiments)


def test_a_run_is_not_built_on_itself(experiments):
    run = RunLayout(experiments / "sft" / SECOND)
    lineage = ensure_lineage(run, build_wanted("latest:sft"), experiments, 10)
    assert lineage.built_on[0].run_id == FIRST
    with pytest.raises(ConfigError, match="built on itself"):
        ensure_lineage(run, build_wanted(f"run:{SECOND}"), experiments, 10)


def test_other_texts_are_no_references():
    texts = ("builtin:x", "run:stages/sft/artifacts/merged", "step:serve/v1", "LATEST:sft", "latest", "/latest:b")
    assert [parse_reference(text) for text in texts] == [None] * len(texts)
    assert parse_reference(f"run:٢{FIRST[1:]}") is None, "an Arabic digit makes no run id"
    assert str(Reference("latest", "sft", "merged")) == "latest:sft/merged"


SPELLINGS = {
    "dots for the unit": "latest:..",
    "dots behind the name": "latest:../student-02",
    "dots in the path": "latest:sft/../../../student-02/experiments",
    "dots at the end": "latest:sft/stages/..",
    "one dot": "latest:sft/./stages",
    "an absolute path": "latest:/etc/passwd",
    "an absolute path behind the unit": "latest:sft//etc/passwd",
    "percent signs": "latest:sft/%2e%2e/%2e%2e/student-02",
    "percent signs twice": "latest:sft/%252e%252e/student-02",
    "fullwidth dots": "latest:sft/．．/．．/student-02",
    "a two-dot leader": "latest:sft/‥/student-02",
    "overlong dots": "latest:sft/\udcc0\udcae\udcc0\udcae/student-02",
    "backslashes": "latest:sft\\..\\..\\student-02",
    "backslashes in the path": "latest:sft/..\\..\\student-02",
    "a zero byte": "latest:sft/stages\0/../../x",
    "a line feed": "latest:sft\n",
    "blanks": "latest: sft",
    "home": "latest:~/experiments",
    "home behind the unit": "latest:sft/~/x",
    "a variable": "latest:$HOME/x",
    "a run id with slashes": f"run:{FIRST}/../../../../student-02/experiments/sft/{FIRST}",
    "a run id and an absolute path": f"run:{FIRST}//etc/passwd",
    "the unit before the run id": f"run:../student-02/experiments/sft/{FIRST}",
    "capitals": "latest:SFT",
    "a unit that is a path": "latest:student-02/experiments/sft",
    "another namespace": "latest:student-02",
    "a hidden file": "latest:sft/.lineage.lock",
    "a pointer that is a path": "pointer:../../student-02/experiments/pointers/best",
    "a pointer with dots": "pointer:..",
    "a link to another student": "latest:sft/stages/sft/artifacts/there",
    "through a link to another student": "latest:sft/stages/sft/artifacts/there/sft",
    "a folder with a link": "latest:sft/stages/evaluate",
    "a folder with a link deep in it": "latest:sft/stages",
    "a circle of links": "latest:sft/stages/report/circle",
    "a device": "latest:sft/stages/report/pipe",
    "a pointer whose file leads out": "pointer:out",
    "a pointer whose file is absolute": "pointer:absolute",
    "a pointer to a run with dots": "pointer:dots",
    "a pointer that is a link": "pointer:link",
    "a run that is a link": f"run:{LINKED}",
    "a unit that is a link": "latest:data-and-sft",
}


@pytest.fixture(scope="module")
def trap(tmp_path_factory):
    """The student's folder with every link and pointer that leads to the other one."""
    experiments = build_folders(tmp_path_factory.mktemp("students"))
    other = experiments.parents[1] / "student-02" / "experiments"
    run = experiments / "sft" / SECOND / "stages"
    (run / "sft/artifacts/there").symlink_to(other)
    (run / "evaluate/answers").symlink_to(other / "data" / THIRD / "stages/audit/artifacts/clean/train.jsonl")
    (run / "report/circle").symlink_to("circle")
    os.mkfifo(run / "report/pipe")
    (experiments / "experiments").mkdir()
    (experiments / "experiments" / LINKED).symlink_to(other / "sft" / SECOND)
    (experiments / "data-and-sft").symlink_to(other / "sft")
    folder = experiments / "pointers"
    folder.mkdir()
    leads = {
        "out": f"../../student-02/experiments/sft/{FIRST}",
        "absolute": f"{other}/sft/{FIRST}",
        "dots": f"sft/../../../student-02/experiments/sft/{FIRST}",
    }
    for name, lead in leads.items():
        (folder / f"{name}.json").write_text(json.dumps({"run": lead}))
    (other / "pointers").mkdir()
    (other / "pointers/best.json").write_text(json.dumps({"run": f"sft/{THIRD}"}))
    (folder / "link.json").symlink_to(other / "pointers/best.json")
    return experiments


@pytest.mark.parametrize("option", ["evaluate.candidate", "snapshot.data", "model.model"])
@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_no_spelling_reaches_another_students_run(trap, text, option):
    with pytest.raises(PracticumError) as caught:
        resolve(text, trap, option)
    assert SECRET not in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize(
    "edited",
    [
        {"unit": ".."},
        {"unit": "../../student-02/experiments/sft"},
        {"run_id": ".."},
        {"run_id": f"../../../student-02/experiments/sft/{FIRST}"},
        {"path": "../../../../student-02/experiments/data"},
        {"path": "/etc/passwd"},
        {"path": "stages/sft/artifacts/there"},
        {"unit": "experiments", "run_id": LINKED},
        {"unit": "data-and-sft"},
    ],
)
def test_an_edited_lock_leads_nowhere_else(trap, edited):
    run = RunLayout(trap / "experiments" / FIRST)
    run.root.mkdir(exist_ok=True)
    whole = {"reference": "latest:sft/merged", "unit": "sft", "run_id": SECOND, "sha256": "0" * 64}
    changed = BuiltOn.model_validate(whole | {"path": "stages/sft/artifacts/merged"} | edited)
    run.lineage_lock.write_text(Lineage(built_on=[changed]).model_dump_json())
    with pytest.raises(ConfigError, match="leads out of the run's own directory"):
        find_locked(run, "latest:sft/merged", "model", trap)


def test_a_link_that_stays_and_a_hard_link_are_fine(experiments):
    merged = experiments / "sft" / SECOND / "stages/sft/artifacts/merged"
    (merged / "again.json").symlink_to("config.json")
    (merged / "hard.json").hardlink_to(merged / "config.json")
    assert resolve("latest:sft", experiments).sha256 == hash_path(merged)


def test_references_in_a_table_are_listed_and_checked():
    config = ServeConfig(
        model="latest:sft", adapters={"a": "latest:sft/adapter", "b": "file:///c", "d": "pointer:best"}
    )
    listed = [(str(wanted.reference), wanted.kind) for wanted in list_references([config])]
    assert listed == [("latest:sft", "model"), ("latest:sft/adapter", None), ("pointer:best", "adapter")]
    assert find_reference_problems(ServeConfig(adapters={"a": "latest:../x"}))


def test_every_option_for_a_model_or_data_takes_references():
    """An option that a stage reads as a URI and that is not marked would be refused only when the stage runs."""
    for spec in STAGES.values():
        for name, option in spec.config.model_fields.items():
            uris = {"model", "data", "candidate", "adapter", "merged", "samples", "candidate_samples"}
            uris |= {"adapters", "artifacts", "extra_texts", "labels", "local_model", "tokenizer"}
            uris |= {"failures", "pairs", "item_slice", "decision", "otherwise", "weeks", "probes"}
            uris |= {"schedule", "trace", "base_samples", "recording", "replay", "recorded"}
            is_uri = name in uris
            assert (get_uri_kind(option) is not None) == is_uri, f"{spec.name}.{name}"


def test_a_malformed_reference_is_refused_before_anything_starts():
    with pytest.raises(ConfigError, match=r"evaluate: 'latest:\.\./x': '\.\.' names no unit"):
        build_wanted("latest:../x")


def test_a_run_whose_servers_run_now_is_named_by_references_and_by_no_path(experiments):
    running = experiments / "service" / THIRD
    running.mkdir(parents=True)
    Pointers(experiments).set("mine", f"service/{THIRD}", "")
    own = f"sft/{SECOND}"
    for text in ("latest:service", "pointer:mine"):
        assert find_run_folder(text, experiments, own) == running
    assert find_run_folder("latest:sft", experiments, own).name == FIRST
    for text in ("latest:dpo", f"run:{LINKED}", f"latest:sft/{FIRST}", str(running), "run:stages/x"):
        with pytest.raises(ConfigError):
            find_run_folder(text, experiments, own)
    (experiments / "sft" / LINKED).symlink_to(experiments.parents[1] / "student-02/experiments/sft" / FIRST)
    with pytest.raises(ConfigError, match="leads out"):
        find_run_folder(f"run:{LINKED}", experiments, own)
    assert find_reference_problems(DescribeConfig(run="latest:service")) == []
    assert find_reference_problems(DescribeConfig(run="/runs/service/1")) == ["run: '/runs/service/1' names no run"]
