"""The stage ``capstone``: a chain that holds, each way in which it breaks, and a repeated step that differs."""

from __future__ import annotations

import json

import pytest
import yaml

from answer_pairs import write_pairs
from practicum_core.atomic import write_json_atomic, write_text_atomic
from practicum_core.environment import CodeVersion, Hardware, RunEnvironment
from practicum_core.errors import ConfigError, DataError
from practicum_core.layout import RunLayout
from practicum_core.lineage import resolve_references, write_lineage
from practicum_core.pointers import Pointers
from practicum_core.references import list_references
from practicum_core.stages import STAGES
from practicum_core.stages.capstone import CapstoneConfig
from practicum_core.stages.evaluate import EvaluationSample
from practicum_core.stages.snapshot import DataLock
from practicum_core.weekjob import WeekJob
from practicum_jobs import capstone, compare, report, snapshot
from practicum_jobs.capstone.cards import build_data_card, build_model_card
from practicum_jobs.capstone.facts import gather_facts
from practicum_jobs.capstone.weeks import read_weeks
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import write_data_lock, write_split
from practicum_jobs.datasets.tickets import build_rows, read_ticket_options
from run_folder import write_finished_run

FIRST, SECOND, OURS, THIRD = (f"20260102t03040{digit}-0a1b2c" for digit in (5, 6, 7, 8))
PROGRAMS = {"snapshot": snapshot, "compare": compare, "report": report, "capstone": capstone}


class Course:
    """A folder of runs: a week that froze data and compared answers, one built on it, and a capstone over both."""

    def __init__(self, root):
        self.root = root / "experiments"
        self.data = root / "data.jsonl"
        self.samples = root / "answers.jsonl"
        self.packages = {"numpy": "2.3.5"}
        rows = [{"prompt": f"question {number}", "answer": str(number)} for number in range(40)]
        self.data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.write_answers(60)
        self.first = self.run_week("comparison", FIRST, self.list_steps())
        Pointers(self.root).set("best", f"comparison/{FIRST}", "test")
        steps = {"snapshot": self.list_steps()["snapshot"]}
        self.second = self.run_week("experiments", SECOND, steps, "pointer:best/evidence/evidence.json")

    def write_answers(self, num_right):
        samples = [
            EvaluationSample(
                id=f"test-{number}",
                split="test",
                task="extract",
                group=f"g{number // 4}",
                base="a",
                candidate="b",
                base_correct=number < 20,
                candidate_correct=number < num_right,
                base_mentioned=True,
                candidate_mentioned=True,
            )
            for number in range(100)
        ]
        write_pairs(self.samples, samples)

    def list_steps(self, **options):
        return {
            "snapshot": ("snapshot", {"data": f"file://{self.data}"}),
            "compare": ("compare", {"samples": f"file://{self.samples}", **options}),
        }

    def run_week(self, unit, run_id, steps, built_on=None):
        layout = write_finished_run(self.root / unit / run_id, unit)
        weekjob = WeekJob.model_validate({"metadata": {"name": unit}, "spec": {"unit": unit, "profile": "quick"}})
        write_text_atomic(layout.weekjob, yaml.safe_dump(weekjob.to_document()))
        write_json_atomic(layout.environment, self.describe_environment().model_dump(mode="json"))
        if built_on:
            wanted = list_references([CapstoneConfig(weeks=(built_on,))])
            write_lineage(layout, resolve_references(wanted, self.root, 10))
        for step, (stage, options) in steps.items():
            self.run_step(layout, step, stage, options)
        self.run_step(layout, "report", "report", {})
        return layout

    def run_step(self, layout, step, stage, options):
        config = STAGES[stage].config(**options)
        context = StageContext(layout.root, stage, step, cache_dir=self.root.parent / "cache")
        context.layout.root.mkdir(parents=True, exist_ok=True)
        context.layout.config.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        record = PROGRAMS[stage].run(config, context)
        write_json_atomic(context.layout.record, record.model_dump(mode="json"))
        return record

    def describe_environment(self):
        return RunEnvironment(
            created_at="2026-01-02T03:04:05.000+00:00",
            command=["practicum", "run"],
            code=CodeVersion(version="0.1.0", source_sha256="e" * 64),
            locks={"base": json.dumps(self.packages)},
            packages={"base": self.packages},
            python="3.11.2",
            platform="Linux",
            hardware=Hardware(cpu="x", physical_cores=2, logical_cores=2, memory_bytes=2**34),
            num_threads=2,
        )

    def defend(self, reruns=None, shown=(), expected=(), **options):
        """Run a capstone over both weeks: freeze the data, compare again, check the chain."""
        layout = RunLayout(self.root / "capstone" / OURS)
        layout.root.mkdir(parents=True)
        write_json_atomic(layout.environment, self.describe_environment().model_dump(mode="json"))
        config = {
            "weeks": [f"run:{run_id}/evidence/evidence.json" for run_id in (FIRST, SECOND)],
            "reruns": ["compare=comparison/compare"] if reruns is None else reruns,
            "shown": list(shown),
            "expected": list(expected),
        }
        wanted = list_references([CapstoneConfig(**config)])
        write_lineage(layout, resolve_references(wanted, self.root, 10))
        for step, (stage, chosen) in self.list_steps(**options).items():
            self.run_step(layout, step, stage, chosen)
        return self.run_step(layout, "capstone", "capstone", config)


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path)


def get_metric(record, name):
    return next(metric.value for metric in record.metrics if metric.name == name)


def list_kinds(record):
    return sorted({failure.kind for failure in record.failures})


def test_a_chain_that_holds_is_whole_and_its_documents_tell_it_in_both_languages(course):
    record = course.defend()
    assert [(week.unit, week.num_broken) for week in record.weeks] == [("comparison", 0), ("experiments", 0)]
    assert [(one.step, one.agreement) for one in record.reruns] == [("compare", "bit-equal")]
    assert (record.failures, get_metric(record, "num_broken_links")) == ([], 0)
    folder = course.root / "capstone" / OURS / "stages/capstone/artifacts"
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert sorted(texts) == [
        "data-card.md",
        "model-card.md",
        "retrospective.html",
        "slides.html",
        "technical-document.html",
    ]
    for name, text in texts.items():
        assert "Leaked rows without a waiver" in text or name in {"data-card.md", "retrospective.html"}, name
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text), name
        assert "More Information Needed" not in text
    assert "https:" not in texts["slides.html"]
    assert {artifact.path.rpartition("/")[2] for artifact in record.artifacts} == set(texts)


def test_cards_name_the_data_that_the_model_was_trained_on(course):
    trained_on = course.root.parent / "mixed.jsonl"
    trained_on.write_bytes(course.data.read_bytes())
    sft = course.run_week("sft", THIRD, {"snapshot": ("snapshot", {"data": f"file://{trained_on}"})})
    facts = gather_facts(read_weeks([layout.evidence_json for layout in (course.first, sft)]))
    for card in (build_model_card(facts), build_data_card(facts)):
        assert trained_on.name in card
        assert course.data.name not in card
    assert course.data.name in build_data_card(facts[:1])


def test_figures_of_steps_of_the_run_itself_are_in_the_documents(course):
    record = course.defend(shown=["compare"])
    assert {figure.stage for figure in record.shown} == {"compare"}
    assert all(figure.low is not None for figure in record.shown[:1])
    folder = course.root / "capstone" / OURS / "stages/capstone/artifacts"
    for name in ("technical-document.html", "slides.html"):
        assert "Measured for this defence" in (folder / name).read_text()


def test_a_shown_step_without_a_record_is_refused(course):
    with pytest.raises(ConfigError, match="shown names 'replayeval'"):
        course.defend(shown=["replayeval"])


def edit_record(course):
    path = course.first.stage("compare").record
    path.write_text(path.read_text().replace('"verdict":"improved"', '"verdict": "improved"').replace("0.4", "0.5"))


def edit_evidence(course):
    path = course.second.evidence_json
    path.write_text(path.read_text().replace("failed", "passed"))


def change_data_row(course):
    course.data.write_text(course.data.read_text().replace("question 7", "question seven"))


def change_package(course):
    course.packages = {"numpy": "2.4.0"}


def move_pointer(course):
    Pointers(course.root).set("best", f"experiments/{SECOND}", "test")


def delete_artifact(course):
    next(course.first.stage("snapshot").artifacts.iterdir()).unlink()


def edit_artifact(course):
    next(course.first.stage("snapshot").artifacts.iterdir()).write_text("{}\n")


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        (edit_record, "record_changed"),
        (change_data_row, "data_changed"),
        (change_package, "package_changed"),
        (move_pointer, "pointer_moved"),
        (delete_artifact, "artifact_missing"),
        (edit_artifact, "artifact_changed"),
        (edit_evidence, "artifact_changed"),
    ],
)
def test_each_broken_link_is_named(course, break_it, kind):
    break_it(course)
    record = course.defend(reruns=())
    assert list_kinds(record) == [kind]
    assert get_metric(record, "num_broken_links") >= 1
    page = (course.root / "capstone" / OURS / "stages/capstone/artifacts/technical-document.html").read_text()
    assert record.failures[0].text.split(" ")[0] in page


@pytest.mark.parametrize("is_changed", [False, True])
def test_the_built_in_data_of_a_week_is_made_again_and_compared(course, is_changed):
    uri = "builtin:tickets?general_every=5&language=en&rows=200&seed=7"
    rows = build_rows(read_ticket_options(uri.partition("?")[2]), "train")
    lock = DataLock(uri=uri, splits={"train": write_split(list(rows)[is_changed:], course.root.parent / "cache")})
    write_data_lock(course.first, lock)
    record = course.defend(reruns=())
    found = [failure.text for failure in record.failures if failure.kind == "data_changed"]
    assert len(found) == is_changed
    assert all(uri in text for text in found)


@pytest.mark.parametrize("uri", ["builtin:questions?rows=200", "builtin:tickets?colour=red"])
def test_data_that_cannot_be_read_any_more_breaks_the_link_of_its_week_alone(course, uri):
    write_data_lock(course.first, DataLock(uri=uri, splits={}))
    record = course.defend()
    [found] = [failure for failure in record.failures if failure.kind == "data_unreadable"]
    assert found.where == f"comparison/{FIRST}: {uri}"
    assert uri.partition("?")[0] in found.text or "colour" in found.text
    assert list_kinds(record) == ["data_unreadable", "record_changed"]
    assert all(failure.where.startswith("comparison/") for failure in record.failures)
    assert [one.agreement for one in record.reruns] == ["bit-equal"]
    page = (course.root / "capstone" / OURS / "stages/capstone/artifacts/technical-document.html").read_text()
    assert "cannot be read any more" in page


def test_a_package_that_changed_is_named_with_both_versions(course):
    change_package(course)
    record = course.defend(reruns=())
    assert "numpy 2.3.5 -> 2.4.0" in record.failures[0].text


def test_what_a_week_was_built_on_breaks_its_link_too(course):
    course.first.evidence_json.write_text(course.first.evidence_json.read_text() + " ")
    record = course.defend(reruns=())
    assert list_kinds(record) == ["artifact_changed", "foundation_changed"]


def test_another_seed_is_named_as_an_option_and_another_result_as_a_figure(course):
    record = course.defend(seed=8)
    assert record.reruns[0].agreement == "differs"
    assert "seed: 7 -> 8" in record.reruns[0].differences
    assert "options_differ" in list_kinds(record)


def test_another_result_of_a_repeated_step_differs(course):
    course.write_answers(90)
    record = course.defend()
    assert get_metric(record, "num_differing_reruns") == 1
    assert "rerun_differs" in list_kinds(record)
    assert any(text.startswith("paired_difference") for text in record.reruns[0].differences)


def test_a_copied_run_and_a_missing_week_are_refused_in_one_sentence(course):
    copied = course.root / "comparison" / OURS
    copied.mkdir()
    (copied / "evidence").mkdir()
    (copied / "evidence/evidence.json").write_text(course.first.evidence_json.read_text())
    context = StageContext(course.root / "capstone" / OURS, "capstone", "capstone")
    with pytest.raises(DataError, match="copied into another run's folder"):
        capstone.weeks.read_week(copied / "evidence/evidence.json")
    with pytest.raises(ConfigError, match="names no week"):
        capstone.run(CapstoneConfig(), context)


def test_a_week_of_the_course_that_nobody_presents_is_named_and_breaks_no_link_of_the_others(course):
    record = course.defend(expected=["experiments", "sft", "iterate"])
    assert [(one.kind, one.where) for one in record.failures] == [("week_absent", "sft"), ("week_absent", "iterate")]
    assert (get_metric(record, "num_absent_weeks"), get_metric(record, "num_broken_links")) == (2, 0)
    page = (course.root / "capstone" / OURS / "stages/capstone/artifacts/technical-document.html").read_text()
    assert "a week of the course is not presented" in page
    metrics = {metric.name: metric for metric in record.metrics}
    assert (
        STAGES["capstone"].describe_result(metrics).startswith("The chain of 2 weeks is whole, and 2 weeks are absent")
    )


def test_a_step_that_repeats_one_of_no_week_is_refused(course):
    with pytest.raises(ConfigError, match="no such week among comparison, experiments"):
        course.defend(reruns=("compare=quantize/quantcheck",))


def test_a_week_without_one_of_its_records_is_refused_before_anything_starts(course):
    course.first.stage("compare").record.unlink()
    with pytest.raises(ConfigError, match="is not finished"):
        course.defend()
