from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from greedy_answers import generate_greedy
from practicum_core.errors import ConfigError, DataError, Reason, Stopped
from practicum_core.rows import Message, Row
from practicum_core.scorers import ChoiceScorer, ChrfScorer, RegexScorer
from practicum_core.stages.evaluate import EvaluateConfig, EvaluateRecord
from practicum_core.stages.snapshot import DataLock
from practicum_jobs import evaluate
from practicum_jobs.adapters.generation import load_causal_lm
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import write_data_lock, write_split


def build_row(number: int, answer: str, task: str = "extract") -> Row:
    return Row(
        id=f"r{number}",
        messages=[Message(role="user", content=f"ticket {number} about order {number * 7}")],
        answer=answer,
        task=task,
        group=f"g{number // 2}",
    )


def make_model(source: Path, folder: Path, seed: int) -> Path:
    """Copy the tiny model with other weights, large enough that it says something else for every prompt."""
    shutil.copytree(source, folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(source)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.4)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base_dir(tiny_model_dir, tmp_path_factory) -> Path:
    return make_model(tiny_model_dir, tmp_path_factory.mktemp("base") / "model", 5)


@pytest.fixture(scope="module")
def tuned_dir(tiny_model_dir, tmp_path_factory) -> Path:
    return make_model(tiny_model_dir, tmp_path_factory.mktemp("tuned") / "model", 6)


@pytest.fixture(scope="module")
def rows(tuned_dir) -> dict[str, list[Row]]:
    """Ten rows, of which the tuned model is right on four by construction and the base model on none."""
    prompts = [build_row(number, "x", "question") for number in range(10)]
    said = generate_greedy(load_causal_lm(tuned_dir), [row.messages for row in prompts], 8)
    test = [
        row.model_copy(update={"answer": text if row.id in {"r0", "r3", "r4", "r8"} else "something else"})
        for row, text in zip(prompts, said, strict=True)
    ]
    return {"test": test, "control": [build_row(90, "yes", "question"), build_row(91, "no", "question")]}


@pytest.fixture
def context(tmp_path, rows) -> StageContext:
    ctx = StageContext(tmp_path / "run", "evaluate", "evaluate", tmp_path / "cache")
    ctx.run.root.mkdir()
    splits = {name: write_split(members, ctx.cache_dir) for name, members in {**rows, "empty": []}.items()}
    write_data_lock(ctx.run, DataLock(uri="file:///rows.jsonl", splits=splits))
    return ctx


def read_metrics(record: EvaluateRecord) -> dict[str, float]:
    return {metric.name: metric.value for metric in record.metrics}


def read_samples(ctx: StageContext) -> list[dict[str, object]]:
    return [json.loads(line) for line in ctx.layout.samples.read_text().splitlines()]


def configure(base_dir: Path, **options: object) -> EvaluateConfig:
    return EvaluateConfig.model_validate(
        {"model": f"file://{base_dir}", "max_new_tokens": 8, "batch_size": 4, "bootstrap_resamples": 200} | options
    )


def test_a_baseline_has_intervals_samples_and_hashes(context, base_dir, rows):
    torch.set_num_threads(1)  # as a training step in this process may have left it
    record = evaluate.run(configure(base_dir), context)
    metrics = {metric.name: metric for metric in record.metrics}
    assert metrics["num_rows"].value == 10
    assert metrics["exact_match"].value == 0
    assert metrics["exact_match"].low == 0
    assert metrics["exact_match"].high == pytest.approx(metrics["exact_match_interval_width"].value)
    assert metrics["rows_per_s"].value > 0
    samples = read_samples(context)
    assert [sample["id"] for sample in samples] == [row.id for row in rows["test"]]
    assert all(sample["correct"] is False and "output" in sample for sample in samples)
    assert record.failures[0].text == "10 of 10 answers: the text is not the expected one"
    assert record.model_sha256
    assert record.predictions_sha256
    assert record.num_threads == torch.get_num_threads()
    assert (record.dtype, record.device) == ("float32", "cpu")


def test_two_runs_that_reuse_no_answer_are_bit_equal(context, base_dir):
    config = configure(base_dir, candidate=f"file://{base_dir}", reuse_answers=False)
    first = evaluate.run(config, context)
    samples = context.layout.samples.read_bytes()
    shutil.rmtree(context.layout.root)
    second = evaluate.run(config, context)
    assert read_metrics(first)["answers_cached"] == read_metrics(second)["answers_cached"] == 0
    assert second.predictions_sha256 == first.predictions_sha256
    assert context.layout.samples.read_bytes() == samples
    assert not (context.cache_dir / "answers").exists()


def test_the_base_model_answers_some_rows_twice_and_no_kept_answer_stands_for_it(context, base_dir, tuned_dir):
    config = configure(base_dir, candidate=f"file://{tuned_dir}", control_split="control", repeat_rows=3)
    evaluate.run(config, context)
    evaluate.run(config, context)
    lines = [json.loads(line) for line in context.layout.samples.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines if "again" in line] == [line["id"] for line in lines[:3]]
    assert all((line["again"], line["again_correct"]) == (line["base"], line["base_correct"]) for line in lines[:3])
    assert list((context.layout.root / "answers").glob("again-*.jsonl"))


def test_the_candidate_is_held_against_the_base_row_by_row(context, base_dir, tuned_dir):
    config = configure(base_dir, candidate=f"file://{tuned_dir}", control_split="control")
    record = evaluate.run(config, context)
    metrics = {metric.name: metric for metric in record.metrics}
    figures = read_metrics(record)
    assert (figures["exact_match_base"], figures["exact_match_tuned"], figures["exact_match"]) == (0, 0.4, 0.4)
    assert (figures["wins"], figures["losses"]) == (4, 0)
    delta = metrics["exact_match_delta"]
    assert delta.value == pytest.approx(0.4)
    assert delta.low < 0.4 < delta.high
    assert record.num_control_rows == 2
    assert figures["control_mentioned_delta"] == 0
    right = {sample["id"] for sample in read_samples(context) if sample.get("candidate_correct")}
    assert right == {"r0", "r3", "r4", "r8"}
    assert record.candidate_sha256 != record.model_sha256


def test_a_second_comparison_generates_nothing_again(context, base_dir, tuned_dir, monkeypatch):
    config = configure(base_dir, candidate=f"file://{tuned_dir}", control_split="control")
    first = evaluate.run(config, context)
    plain = read_samples(context)
    monkeypatch.setattr("practicum_jobs.adapters.answers_transformers.load_causal_lm", refuse_to_load)
    second = evaluate.run(config, context)
    assert second.predictions_sha256 == first.predictions_sha256
    figures = read_metrics(second)
    assert (figures["answers_cached"], figures["generate_s"]) == (24, 0)
    assert "rows_per_s" not in figures
    marked = read_samples(context)
    assert all(sample["base_cached"] and sample["candidate_cached"] for sample in marked)
    assert [{key: value for key, value in one.items() if not key.endswith("cached")} for one in marked] == plain


def refuse_to_load(*_: object, **__: object) -> None:
    raise AssertionError("a model was loaded although every answer is kept")


@pytest.mark.parametrize("options", [{"max_new_tokens": 9}, {"model": "other"}, {"reuse_answers": False}])
def test_another_model_sampling_or_wish_generates_again(context, base_dir, tuned_dir, options):
    evaluate.run(configure(base_dir), context)
    changed = options | ({"model": f"file://{tuned_dir}"} if "model" in options else {})
    record = evaluate.run(configure(base_dir, **changed), context)
    assert read_metrics(record)["answers_cached"] == 0


def test_an_engine_that_computes_otherwise_generates_again(context, base_dir):
    evaluate.run(configure(base_dir), context)
    record = evaluate.run(configure(base_dir, dtype="bfloat16"), context)
    assert (read_metrics(record)["answers_cached"], record.dtype) == (0, "bfloat16")


def test_a_stopped_evaluation_goes_on_where_it_was(context, base_dir, monkeypatch):
    monkeypatch.setattr("practicum_jobs.evaluate.stage.PROGRESS_PERIOD_S", 0)
    whole = evaluate.run(configure(base_dir, reuse_answers=False), context)
    shutil.rmtree(context.layout.root)
    config = configure(base_dir, reuse_answers=False)
    original = context.progress

    def stop_after_the_first_batch(fraction: float, message: str = "") -> None:
        original(fraction, message)
        if fraction > 0:
            context.request_stop()

    context.progress = stop_after_the_first_batch
    with pytest.raises(Stopped):
        evaluate.run(config, context)
    again = StageContext(context.run.root, "evaluate", "evaluate", context.cache_dir)
    record = evaluate.run(config, again)
    assert read_metrics(record)["answers_cached"] == 4
    assert record.predictions_sha256 == whole.predictions_sha256


def test_samples_say_whether_an_answer_ended_by_itself(context, base_dir):
    record = evaluate.run(configure(base_dir), context)
    finishes = [sample["finish"] for sample in read_samples(context)]
    assert finishes.count("stop") / len(finishes) == read_metrics(record)["stopped_ratio"]
    assert set(finishes) <= {"stop", "length"}


def test_a_candidate_can_be_an_adapter_inside_the_run(context, base_dir):
    import peft  # noqa: PLC0415 - seconds, for this test only

    model = peft.get_peft_model(
        transformers.AutoModelForCausalLM.from_pretrained(base_dir), peft.LoraConfig(r=2, target_modules="all-linear")
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.5)
    adapter = context.run.stage("sft").artifacts / "adapter"
    model.save_pretrained(adapter)
    record = evaluate.run(configure(base_dir, candidate="run:stages/sft/artifacts/adapter"), context)
    expected = generate_greedy(
        load_causal_lm(base_dir, adapter), [row.messages for row in build_rows_of(context)], 8, batch_size=4
    )
    assert [sample["candidate"] for sample in read_samples(context)] == expected
    assert any(sample["candidate"] != sample["base"] for sample in read_samples(context))
    assert record.candidate_sha256


def build_rows_of(ctx: StageContext) -> list[Row]:
    from practicum_jobs.datasets.store import load_split  # noqa: PLC0415 - beside its only use

    return load_split(ctx, "test")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": "tset"}, DataError, "did you mean 'test'"),
        ({"split": "empty"}, DataError, "has no rows"),
        ({"candidate": "run:stages/sft/artifacts/merged"}, ConfigError, "nothing lies at"),
        ({"candidate": "run:../../etc"}, ConfigError, "leaves the run directory"),
        ({"model": "builtin:smollm"}, ConfigError, "did you mean"),
    ],
)
def test_bad_input_is_one_clear_error(context, base_dir, options, error, message):
    with pytest.raises(error, match=message) as caught:
        evaluate.run(configure(base_dir, **options), context)
    assert caught.value.fix


def test_an_extract_row_without_json_names_the_row(context, base_dir):
    splits = {"test": write_split([build_row(1, "refund")], context.cache_dir)}
    write_data_lock(context.run, DataLock(uri="file:///rows.jsonl", splits=splits))
    with pytest.raises(DataError, match="row r1: the expected answer is not a JSON object"):
        evaluate.run(configure(base_dir), context)


def test_a_stop_request_ends_between_batches_and_leaves_no_samples(context, base_dir):
    context.request_stop()
    with pytest.raises(Stopped) as caught:
        evaluate.run(configure(base_dir), context)
    assert caught.value.reason is Reason.STOPPED
    assert not context.layout.samples.exists()


def test_a_choice_is_what_the_model_finds_most_probable(context, base_dir):
    """The log-probabilities are those of a plain forward pass over prompt and choice, one at a time."""
    choices = ("yes", "no", "refund the order", "退款")
    scorers = [ChoiceScorer(choices=choices, per_byte=per_byte) for per_byte in (False, True)]
    asked = [
        build_row(number, "no", "question").model_copy(update={"id": f"{number}-{scorer.per_byte}", "scorer": scorer})
        for number in range(3)
        for scorer in scorers
    ]
    splits = {"test": write_split(asked, context.cache_dir)}
    write_data_lock(context.run, DataLock(uri="file:///rows.jsonl", splits=splits))
    record = evaluate.run(configure(base_dir, batch_size=5), context)
    loaded = load_causal_lm(base_dir)
    expected = []
    for row in asked:
        prompt = loaded.tokenizer.apply_chat_template(
            [turn.build_turn() for turn in row.messages], add_generation_prompt=True, return_dict=False
        )
        scores = []
        for choice in choices:
            ids = loaded.tokenizer.encode(choice, add_special_tokens=False)
            with torch.inference_mode():
                logits = loaded.model(torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
            total = sum(float(logits[len(prompt) + place - 1, token]) for place, token in enumerate(ids))
            scores.append(total / len(choice.encode()) if row.scorer.per_byte else total)
        expected.append(choices[scores.index(max(scores))])
    assert [sample["output"] for sample in read_samples(context)] == expected
    assert len(set(expected)) > 1
    assert read_metrics(record)["exact_match"] == expected.count("no") / len(asked)
    again = evaluate.run(configure(base_dir, batch_size=5), context)
    assert read_metrics(again)["answers_cached"] == 6


def test_rows_choose_their_scorers_and_grades_are_compared(context, base_dir, tuned_dir):
    asked = [
        build_row(1, "some words", "question").model_copy(update={"scorer": ChrfScorer(threshold=0.9)}),
        build_row(2, "1", "question").model_copy(update={"scorer": RegexScorer(pattern=".")}),
    ]
    splits = {"test": write_split(asked, context.cache_dir)}
    write_data_lock(context.run, DataLock(uri="file:///rows.jsonl", splits=splits))
    record = evaluate.run(configure(base_dir, candidate=f"file://{tuned_dir}"), context)
    graded, plain = read_samples(context)
    assert 0 <= graded["base_score"] < 0.9
    assert graded["candidate_failure"] in {"low_chrf", "empty"}
    assert "base_score" not in plain
    assert read_metrics(record)["mean_score_base"] == graded["base_score"]


def test_answers_of_other_code_are_generated_again(context, base_dir, monkeypatch):
    evaluate.run(configure(base_dir), context)
    monkeypatch.setattr("practicum_jobs.adapters.answers_transformers.hash_code", lambda *_: "other")
    assert read_metrics(evaluate.run(configure(base_dir), context))["answers_cached"] == 0
