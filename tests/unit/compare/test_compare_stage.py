"""The stage ``compare`` on samples of two models: the four verdicts, the control set, and samples that do not fit."""

from __future__ import annotations

import json

import pytest

from answer_pairs import write_pairs
from practicum_core.errors import DataError
from practicum_core.gates import check_gates
from practicum_core.metrics import StageMetric
from practicum_core.stages.compare import SPEC, CompareConfig
from practicum_core.stages.evaluate import EvaluateRecord, EvaluationSample
from practicum_core.units.iterate import ITERATION_GATES
from practicum_jobs import compare
from practicum_jobs.context import StageContext


def build(number, base, candidate, split="test", task="extract", per_group=4):
    return EvaluationSample(
        id=f"{split}-{number}",
        split=split,
        task=task,
        group=f"{split}-{number // per_group}",
        base="a",
        candidate="b",
        base_correct=base,
        candidate_correct=candidate,
        base_mentioned=base,
        candidate_mentioned=candidate,
    )


def run(tmp_path, samples, **options):
    path = write_pairs(tmp_path / "samples.jsonl", samples)
    context = StageContext(tmp_path / "runs/evaluate/one", "compare", "compare", cache_dir=tmp_path / "cache")
    return compare.run(CompareConfig(samples=f"file://{path}", **options), context)


def get_metrics(record):
    return {metric.name: metric for metric in record.metrics}


def test_better_is_improved_and_a_lost_control_set_is_its_own_verdict(tmp_path):
    scored = [build(number, base=number % 10 == 0, candidate=number % 10 != 1) for number in range(100)]
    control = [build(number, base=number % 5 != 0, candidate=False, split="control") for number in range(60)]
    record = run(tmp_path, scored + control)
    assert (record.verdict, record.control_verdict) == ("improved", "regressed")
    metrics = get_metrics(record)
    assert metrics["paired_difference"].value == pytest.approx(0.8)
    assert metrics["paired_difference"].low > 0
    assert metrics["control_regressed"].value == 1
    assert [failure.kind for failure in record.failures] == ["regressed"]
    sentence = SPEC.describe_result(metrics)
    assert "Verdict: improved" in sentence
    assert "the control set regressed" in sentence


def repeat(samples, is_flipped):
    """Give each sample a second answer of the base model, which is scored otherwise where ``is_flipped`` says so."""
    return [
        one.model_copy(update={"again": "c", "again_correct": one.base_correct != is_flipped(place)})
        for place, one in enumerate(samples)
    ]


def test_a_difference_within_the_noise_of_two_runs_is_none(tmp_path):
    samples = [build(number, base=number % 2 == 0, candidate=number % 2 == 0 or number < 24) for number in range(200)]
    assert run(tmp_path, samples).verdict == "improved"
    quiet = run(tmp_path, repeat(samples, lambda _: False))
    assert quiet.verdict == "improved"
    assert get_metrics(quiet)["noise_floor"].value == 0
    noisy = run(tmp_path, repeat(samples, lambda place: place % 4 == 1))
    assert noisy.verdict == "not_distinguishable"
    metrics = get_metrics(noisy)
    assert (metrics["noise_changed"].value, metrics["noise_items"].value) == (0.25, 200)
    assert metrics["paired_difference"].value < metrics["noise_floor"].value
    assert "it does not exceed the noise floor" in noisy.failures[0].text
    assert "differs from itself by as much" not in noisy.failures[0].text


def test_a_model_against_itself_is_not_distinguishable(tmp_path):
    samples = [build(number, base=number % 2 == 0, candidate=number % 2 == 0) for number in range(100)]
    record = run(tmp_path, samples)
    assert record.verdict == "not_distinguishable"
    assert record.verdicts[0].p_permutation == 1.0
    assert record.control_verdict is None


def test_twelve_items_are_underpowered_whatever_they_show(tmp_path):
    record = run(tmp_path, [build(number, base=False, candidate=True, per_group=1) for number in range(12)])
    assert record.verdict == "underpowered"
    assert "0.100 matters" in record.failures[0].text


def test_items_of_one_template_count_as_one(tmp_path):
    """Forty items of four templates all say the same: four coincidences, and not forty, are enough for that."""
    record = run(tmp_path, [build(number, base=False, candidate=True, per_group=10) for number in range(40)])
    assert (record.verdict, record.verdicts[0].num_items, record.verdicts[0].num_clusters) == ("underpowered", 40, 4)


def test_a_control_item_is_right_where_its_answer_names_what_is_expected(tmp_path):
    scored = [build(number, base=False, candidate=True) for number in range(100)]
    chatty = {"base_correct": False, "base_mentioned": True, "candidate_correct": False, "candidate_mentioned": True}
    control = [build(number, base=False, candidate=False, split="control") for number in range(60)]
    record = run(tmp_path, scored + [one.model_copy(update=chatty) for one in control])
    assert (record.verdicts[-1].base, record.verdicts[-1].candidate) == (1, 1)


def test_a_small_control_set_is_not_said_to_be_kept(tmp_path):
    scored = [build(number, base=False, candidate=True) for number in range(100)]
    control = [build(number, base=number < 5, candidate=number < 4, split="control") for number in range(10)]
    metrics = get_metrics(run(tmp_path, scored + control))
    assert (metrics["control_regressed"].value, metrics["control_underpowered"].value) == (0, 1)
    assert "too small to tell" in SPEC.describe_result(metrics)


def test_control_items_of_two_files_count_for_themselves_and_by_what_they_name(tmp_path):
    def write(name, told):
        lines = [
            EvaluationSample(
                id=f"{split}-{number}",
                split=split,
                group=f"{split}-{number // 10}",
                prompt="q",
                output="a",
                correct=False,
                mentioned=told,
            )
            for split in ("test", "control")
            for number in range(60)
        ]
        return write_pairs(tmp_path / name, lines)

    record = run_files(tmp_path, write("base.jsonl", told=True), write("candidate.jsonl", told=False))
    whole, control = record.verdicts
    assert (whole.num_clusters, control.num_clusters) == (6, 60)
    assert (control.base, control.candidate, record.control_verdict) == (1, 0, "regressed")


def test_worse_is_regressed(tmp_path):
    record = run(tmp_path, [build(number, base=number % 4 != 0, candidate=False) for number in range(100)])
    assert record.verdict == "regressed"


def test_tasks_have_verdicts_of_their_own(tmp_path):
    better = [build(number, base=False, candidate=True) for number in range(80)]
    same = [build(number + 100, base=True, candidate=True, task="question", per_group=1) for number in range(120)]
    record = run(tmp_path, better + same)
    assert [(one.name, one.verdict) for one in record.verdicts] == [
        ("test", "improved"),
        ("test/extract", "improved"),
        ("test/question", "not_distinguishable"),
    ]
    assert get_metrics(record)["paired_difference_question"].value == 0


def test_a_slice_has_a_verdict_of_its_own(tmp_path):
    samples = [build(number, base=number >= 40, candidate=True) for number in range(200)]
    part = tmp_path / "slice.json"
    part.write_text(json.dumps({"groups": [f"test-{group}" for group in range(10)], "tasks": ["other"]}))
    record = run(tmp_path, samples, item_slice=f"file://{part}")
    metrics = get_metrics(record)
    assert (record.slice_verdict, metrics["slice_improved"].value) == ("improved", 1)
    assert (metrics["num_slice_items"].value, metrics["slice_difference"].value) == (40, 1)
    assert (metrics["num_compared"].value, metrics["paired_difference"].value) == (200, pytest.approx(0.2))
    assert [verdict.name for verdict in record.verdicts] == ["test", "slice"]
    assert "; the slice: improved, +1.000" in SPEC.describe_result(metrics)
    part.write_text(json.dumps({"group": "another"}))
    with pytest.raises(DataError, match=r"slice\.json: "):
        run(tmp_path, samples, item_slice=f"file://{part}")


def check_slice_gate(tmp_path, part):
    """Compare with a slice; return the record and whether week 5 passes its gate on the slice (``None``: left out)."""
    file = tmp_path / "slice.json"
    file.write_text(json.dumps(part))
    samples = [build(number, base=number >= 40, candidate=True) for number in range(200)]
    record = run(tmp_path, samples, item_slice=f"file://{file}")
    measured = [StageMetric(**one.model_dump(), stage="compare-fresh") for one in record.metrics]
    gates = {gate.name: gate.passed for gate in check_gates(ITERATION_GATES, measured)}
    return record, gates.get("slice_improved")


@pytest.mark.parametrize("part", [{"groups": ["another"]}, {"tasks": ["extract"]}])
def test_failures_without_a_fresh_row_do_not_pass_as_repaired(tmp_path, part):
    record, is_passed = check_slice_gate(tmp_path, part)
    assert is_passed is False
    metrics = get_metrics(record)
    assert [metrics[f"slice_{name}"].value for name in ("improved", "regressed", "underpowered")] == [0, 0, 1]
    assert metrics["num_slice_items"].value == 0
    assert "no fresh row of the failing slice" in record.failures[0].text
    assert SPEC.failures[record.failures[0].kind]
    assert SPEC.describe_result(metrics).endswith("; no item belongs to the slice")


def test_a_slice_is_judged_where_something_failed_and_left_out_where_nothing_did(tmp_path):
    assert check_slice_gate(tmp_path, {"groups": [f"test-{group}" for group in range(10)]})[1] is True
    record, is_passed = check_slice_gate(tmp_path, {"groups": [], "tasks": []})
    assert (is_passed, record.failures) == (None, [])


def test_one_models_samples_are_refused(tmp_path):
    samples = [EvaluationSample(id="one", split="test", output="a", correct=True)]
    with pytest.raises(DataError, match="no answers of two models; the first is one"):
        run(tmp_path, samples)


def test_a_row_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="there twice"):
        run(tmp_path, [build(1, base=True, candidate=True)] * 2)


def test_samples_of_three_splits_are_refused(tmp_path):
    samples = [build(1, base=True, candidate=True, split=split) for split in ("test", "control", "more")]
    with pytest.raises(DataError, match="3 splits"):
        run(tmp_path, samples)


def write_log(path, scores, **changes):
    """Write what lm-evaluation-harness 0.4.13 writes with --log_samples, each answer filtered in two ways."""
    lines = []
    for number, score in enumerate(scores):
        for name, value in (("strict-match", score), ("flexible-extract", 1.0)):
            line = {"doc_id": number, "filter": name, "metrics": ["exact_match"], "exact_match": value}
            lines.append(json.dumps({**line, "prompt_hash": f"p{number}", "doc_hash": f"d{number}", **changes}))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def run_files(tmp_path, base, candidate):
    context = StageContext(tmp_path / "runs/evaluate/one", "compare", "compare", cache_dir=tmp_path / "cache")
    return compare.run(CompareConfig(samples=f"file://{base}", candidate_samples=f"file://{candidate}"), context)


def test_logs_of_lm_evaluation_harness_are_paired_by_item(tmp_path):
    base = write_log(tmp_path / "samples_gsm8k_2026-01-01.jsonl", [0.0] * 80 + [1.0] * 20)
    candidate = write_log(tmp_path / "samples_gsm8k_2026-01-02.jsonl", [1.0] * 60 + [0.0] * 20 + [1.0] * 20)
    lines = candidate.read_text(encoding="utf-8").splitlines(keepends=True)
    candidate.write_text("".join([lines[0], lines[1], *reversed(lines[2:])]), encoding="utf-8")
    record = run_files(tmp_path, base, candidate)
    assert record.verdict == "improved"
    assert record.verdicts[0].difference == pytest.approx(0.6)


def test_samples_of_two_evaluations_are_paired_by_id(tmp_path):
    def build_one(number, is_right):
        return EvaluationSample(
            id=str(number), split="test", group=str(number), prompt="q", output="a", correct=is_right
        )

    base = write_pairs(tmp_path / "base.jsonl", [build_one(number, is_right=number % 2 == 0) for number in range(100)])
    worse = write_pairs(
        tmp_path / "worse.jsonl", [build_one(number, is_right=False) for number in reversed(range(100))]
    )
    assert run_files(tmp_path, base, worse).verdict == "regressed"


@pytest.mark.parametrize(
    ("scores", "changes", "told"),
    [
        ([1.0] * 29, {}, r"1 items \(29\) only in the first"),
        ([1.0] * 31, {}, r"1 items \(30\) only in the second"),
        ([1.0] * 30, {"prompt_hash": "other"}, "30 items .* had another prompt"),
        ([1.0] * 30, {"doc_id": 4}, "the item 4 is there twice"),
        (
            [1.0] * 30,
            {"arguments": {"gen_args_0": {"arg_0": "q", "arg_1": {"temperature": 1}}}},
            r'30 items .* sampled otherwise: \{"temperature": 0\} in the first',
        ),
        ([1.0] * 30, {"exact_match": "yes"}, "no number as its score"),
    ],
)
def test_files_that_do_not_align_are_refused(tmp_path, scores, changes, told):
    arguments = {"gen_args_0": {"arg_0": "q", "arg_1": {"temperature": 0}}}
    base = write_log(tmp_path / "base.jsonl", [0.0] * 30, arguments=arguments)
    with pytest.raises(DataError, match=told):
        run_files(tmp_path, base, write_log(tmp_path / "candidate.jsonl", scores, **changes))


@pytest.mark.parametrize("content", ["", "not json\n", '{"a": 1}\n', '{"doc_id": 1, "acc": 1}\n{"doc_id'])
def test_files_of_no_kind_are_refused(tmp_path, content):
    base = write_log(tmp_path / "base.jsonl", [0.0] * 30)
    other = tmp_path / "other.jsonl"
    other.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"other\.jsonl"):
        run_files(tmp_path, base, other)


def build_single(number, **changes):
    fields = {"id": str(number), "split": "test", "prompt": f"q{number}", "prompt_sha256": "ab", "correct": False}
    return EvaluationSample(**fields | {"output": "a"} | changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"prompt_sha256": "cd"},
            "30 items .* same text and other token ids .*: the tokenizers or chat templates differ",
        ),
        ({"prompt_sha256": "cd", "prompt": "another question"}, "30 items .* had another prompt"),
        ({"split": "control"}, "30 items .* only in the first, 30 items .* only in the second"),
        ({"id": "7"}, "the row 7 of split test is there twice"),
    ],
)
def test_samples_that_do_not_align_are_refused(tmp_path, changes, told):
    base = write_pairs(tmp_path / "base.jsonl", [build_single(number) for number in range(30)])
    other = write_pairs(tmp_path / "other.jsonl", [build_single(number, **changes) for number in range(30)])
    with pytest.raises(DataError, match=told) as caught:
        run_files(tmp_path, base, other)
    assert caught.value.fix


def test_samples_beside_records_of_another_sampling_are_refused(tmp_path):
    paths = []
    for limit in (32, 64):
        folder = tmp_path / str(limit)
        folder.mkdir()
        paths.append(write_pairs(folder / "samples.jsonl", [build_single(number) for number in range(30)]))
        record = EvaluateRecord(
            stage="evaluate", step="evaluate", started_at="", finished_at="", duration_s=1, num_rows=30, model="m",
            data_sha256="0", predictions_sha256="0", sampling=f"greedy, at most {limit} new tokens",
        )  # fmt: skip
        (folder / "record.json").write_text(record.model_dump_json(), encoding="utf-8")
    with pytest.raises(DataError, match="greedy, at most 32 new tokens in the first file"):
        run_files(tmp_path, *paths)


def test_grades_of_a_scorer_are_compared_as_grades(tmp_path):
    grades = [build_single(number, score=0.25) for number in range(30)]
    better = [build_single(number, score=0.75) for number in range(30)]
    files = [write_pairs(tmp_path / f"{name}.jsonl", rows) for name, rows in (("a", grades), ("b", better))]
    assert run_files(tmp_path, *files).verdicts[0].difference == pytest.approx(0.5)
