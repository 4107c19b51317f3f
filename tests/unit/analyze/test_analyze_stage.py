"""The stage ``analyze`` on samples with a planted failure of every kind, beside the tickets' training rows."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answer_pairs import write_pairs
from practicum_core.errors import DataError
from practicum_core.layout import RunLayout
from practicum_core.stages.analyze import SPEC, AnalysisSample, AnalyzeConfig, FailureCase, group_samples
from practicum_core.stages.evaluate import EvaluationSample
from practicum_core.stages.snapshot import SnapshotConfig
from practicum_jobs import analyze, snapshot
from practicum_jobs.analyze.cases import measure_common, measure_difference
from practicum_jobs.analyze.causes import Answered, diagnose
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split

WANTED = '{"category":"refund","order":"TK-1"}'


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """Freeze the tickets in a run."""
    folder = tmp_path_factory.mktemp("run")
    context = StageContext(folder, "snapshot", "snapshot", cache_dir=folder / "cache")
    config = SnapshotConfig(data="builtin:tickets?rows=400&language=both")
    snapshot.run(config, context)
    return folder


def build(name, base, candidate, *, split="test", expected=WANTED, prompt="Order TK-1: I want a refund.", **changes):
    return EvaluationSample(
        id=name,
        split=split,
        task="extract",
        group="g",
        prompt=prompt,
        expected=expected,
        base=base,
        candidate=candidate,
        base_correct=base == expected,
        candidate_correct=candidate == expected,
        base_mentioned=expected in base,
        candidate_mentioned=expected in candidate,
        **changes,
    )


def analyse(run_dir, samples, **options):
    path = write_pairs(run_dir / "samples.jsonl", samples)
    context = StageContext(run_dir, "analyze", "analyze", cache_dir=run_dir / "cache")
    record = analyze.run(AnalyzeConfig(samples=f"file://{path}", **options), context)
    lines = (run_dir / record.failures_file).read_text(encoding="utf-8").splitlines()
    return record, [FailureCase.model_validate_json(line) for line in lines]


def test_failures_fixes_and_regressions_are_told_apart_and_the_largest_difference_comes_first(run_dir):
    samples = [
        build("kept", WANTED, WANTED),
        build("fixed", "no", WANTED),
        build("broken-little", WANTED, WANTED.replace("refund", "billing")),
        build("broken-much", WANTED, "I cannot help with that, whatever you may say about your order and its refund."),
        build("never", "no", "Sure: " + WANTED),
        build("control", "Paris", "Lyon", split="control", expected="Paris", prompt="Capital of France?"),
    ]
    record, cases = analyse(run_dir, samples)
    assert (record.num_rows, record.num_failures, record.num_fixes, record.num_regressions) == (6, 4, 1, 3)
    assert [case.id for case in cases] == ["broken-much", "broken-little", "control", "never"]
    causes = {case.id: (str(case.cause), case.change) for case in cases}
    assert causes == {
        "broken-much": ("refusal", "regression"),
        "broken-little": ("field", "regression"),
        "control": ("content", "regression"),
        "never": ("format", "still_wrong"),
    }
    metrics = {metric.name: metric.value for metric in record.metrics}
    assert metrics["failed_answers"] == sum(value for name, value in metrics.items() if name.startswith("cause_"))
    assert "4 answers failed" in SPEC.describe_result({metric.name: metric for metric in record.metrics})
    shown = [
        AnalysisSample.model_validate_json(line)
        for line in (RunLayout(run_dir).stage("analyze").samples).read_text(encoding="utf-8").splitlines()
    ]
    groups = {group.title.en: [sample.id for sample in group.samples] for group in group_samples(shown)}
    assert groups == {
        "Regressions, largest difference first": ["broken-much", "broken-little", "control"],
        "Fixes, largest difference first": ["fixed"],
        "Failed: Wrong format": ["never"],
    }


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_failure_leads_to_the_training_row_that_it_was_made_from(run_dir, language):
    rows = load_split(StageContext(run_dir, "analyze", "analyze", cache_dir=run_dir / "cache"), "train")
    source = next(row for row in rows if row.language == language)
    prompt = source.messages[-1].content.replace("1", "7") + (" Thanks." if language == "en" else "谢谢。")
    _, cases = analyse(run_dir, [build("copy", "no", "no", prompt=prompt)], neighbours=2)
    nearest = cases[0].nearest
    assert len(nearest) == 2
    assert nearest[0].id == source.id
    assert nearest[0].similarity > 0.8
    assert nearest[0].similarity >= nearest[1].similarity


def test_no_failure_is_a_result(run_dir):
    record, cases = analyse(run_dir, [build("kept", WANTED, WANTED)])
    assert (record.num_failures, cases) == (0, [])
    assert record.notes == ["no answer failed: there is nothing to repair"]
    assert "nothing to repair" in SPEC.describe_result({metric.name: metric for metric in record.metrics})


def test_one_model_alone_is_analysed_too(run_dir):
    sample = EvaluationSample(id="a", split="test", prompt="q", expected="Paris", output="Lyon", correct=False)
    _, cases = analyse(run_dir, [sample], train_split=None)
    assert (cases[0].change, cases[0].cause, cases[0].nearest) == ("", "content", [])


def test_a_missing_training_split_is_named(run_dir):
    with pytest.raises(DataError, match="no split 'trian'; did you mean 'train'"):
        analyse(run_dir, [build("never", "no", "no")], train_split="trian")


def compute_common(left, right):
    """Return the length of the longest common subsequence by the table of the textbook."""
    row = [0] * (len(right) + 1)
    for one in left:
        above = 0
        for place, other in enumerate(right, start=1):
            above, row[place] = row[place], above + 1 if one == other else max(row[place], row[place - 1])
    return row[-1]


@given(st.text("ab 中", max_size=40), st.text("ab 中", max_size=40))
def test_differences_are_those_of_the_textbook(left, right):
    assert measure_common(left, right) == compute_common(left, right)


def test_answers_that_repeat_themselves_are_compared_in_no_time():
    started = time.process_time()
    measure_difference("a" * 5000, "ab" * 5000)
    diagnose(Answered("q", '{"a": 1}', "ab" * 30 + "c" * 20_000))
    assert time.process_time() - started < 4


def test_prompts_of_several_turns_and_hostile_texts_are_read(run_dir):
    turns = [{"role": "user", "content": "Order TK-1"}, {"role": "assistant", "content": "</script>"}]
    _, cases = analyse(run_dir, [build("turns", "no", "\x00</script>\u202e", prompt=turns)])
    assert json.loads(cases[0].model_dump_json())["output"] == "\x00</script>\u202e"
