"""Real TRL and Ray Train on pairs and a tiny model: rewards, unusable pairs, resume after a kill, two workers."""

from __future__ import annotations

import json
import random
import shutil
import signal
from pathlib import Path

import pytest
import safetensors.numpy

from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError, DataError
from practicum_core.gates import Comparison
from practicum_core.rows import Message, Row
from practicum_core.stages.dpo import DpoConfig, DpoRecord
from practicum_core.stages.repair import Criterion, Decision
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.row_records import write_rows
from practicum_jobs.dpo import run
from training_stand import MARKS, count_steps_done, read_metrics, start_stage, wait_for, write_run

pytestmark = MARKS

NUM_STEPS = 24
OPTIONS = {
    "max_steps": NUM_STEPS,
    "eval_steps": 6,
    "save_steps": 6,
    "learning_rate": 5e-3,
    "batch_size": 4,
    "num_sample_prompts": 1,
    "sample_max_new_tokens": 4,
}


def make_pairs(count: int, seed: int) -> list[Row]:
    generator = random.Random(seed)
    return [_make_pair(f"{seed}-{number}", generator) for number in range(count)]


def _make_pair(name: str, generator: random.Random) -> Row:
    category, order = generator.choice(["refund", "delivery", "invoice"]), str(generator.randint(100, 9999))
    wrong = generator.choice([other for other in ("refund", "delivery", "invoice") if other != category])
    answer, rejected = (json.dumps({"category": value, "order": order}) for value in (category, wrong))
    question = Message(role="user", content=f"About my {category}, order {order}.")
    return Row(id=name, messages=[question], answer=answer, rejected=rejected)


def open_run(folder: Path, train: list[Row] | None = None) -> StageContext:
    return write_run(folder, "dpo", train if train is not None else make_pairs(32, 1), make_pairs(8, 2))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_model_dir):
    """One whole run that several tests look at."""
    ctx = open_run(tmp_path_factory.mktemp("dpo") / "run")
    return run(DpoConfig(model=str(tiny_model_dir), **OPTIONS), ctx), ctx


def test_the_margin_rises_from_zero_and_the_record_says_so(whole):
    record, ctx = whole
    series = read_metrics(ctx).series
    first = {name: series[f"eval_rewards_{name}"][0] for name in ("chosen", "rejected", "margins")}
    assert first == {"chosen": (0, 0.0), "rejected": (0, 0.0), "margins": (0, 0.0)}  # the reference is the model itself
    assert series["eval_loss"][0][1] == pytest.approx(0.693147, abs=1e-5)
    assert series["eval_rewards_margins"][-1][1] > 0
    metrics = {metric.name: metric for metric in record.metrics}
    assert metrics["reward_margin"].value == dict(series["eval_rewards_margins"])[record.best_step]
    drift = dict(series["eval_logps_chosen"])[record.best_step] - series["eval_logps_chosen"][0][1]
    assert metrics["chosen_drift"].value == pytest.approx(drift, abs=1e-3)
    assert metrics["validation_loss"].unit == "nats per pair"
    kl = dict(series["eval_kl"])
    assert kl[0] == pytest.approx(0, abs=1e-6)
    assert metrics["kl_divergence"].value == kl[record.best_step] > 1e-3
    assert [step for step, _ in series["rewards_accuracies"]] == list(range(1, NUM_STEPS + 1))
    assert record.num_tokens == series["num_tokens"][-1][1] > 0
    assert [Path(artifact.path).name for artifact in record.artifacts] == ["adapter", "merged"]
    assert record.diagnosis.startswith("Validation loss went from 0.693")


def test_unusable_pairs_are_all_named_and_nothing_is_trained(tiny_model_dir, tmp_path):
    rows = make_pairs(5, 1)
    rows[1] = rows[1].model_copy(update={"rejected": " "})
    rows[2] = rows[2].model_copy(update={"rejected": rows[2].answer + "\n"})
    rows[4] = rows[4].model_copy(update={"rejected": None})
    ctx = open_run(tmp_path / "run", rows)
    with pytest.raises(ConfigError) as caught:
        run(DpoConfig(model=str(tiny_model_dir), **OPTIONS), ctx)
    assert caught.value.detail == (
        "1 rows: the rejected answer is empty (1-1); 1 rows: the chosen and the rejected answer are equal (1-2); "
        "1 rows: the row has no rejected answer (1-4)"
    )
    assert not ctx.layout.metrics.exists()


def test_a_killed_and_resumed_run_ends_bit_equal(whole, tiny_model_dir, tmp_path):
    ctx = open_run(tmp_path / "run", [])  # its pairs are a data set of their own, as those of the stage iterate are
    for split, pairs in (("train", make_pairs(32, 1)), ("validation", make_pairs(8, 2))):
        write_rows(tmp_path / "pairs" / f"{split}.jsonl", pairs)
    options = {"model": str(tiny_model_dir), "pairs": str(tmp_path / "pairs"), **OPTIONS}
    process = start_stage(ctx, options)
    log = ctx.run.root / "log.txt"
    wait_for(lambda: count_steps_done(ctx) > 6, process, log, timeout_s=300, poll_s=0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not ctx.layout.record.exists()
    again = start_stage(ctx, options)
    assert again.wait(timeout=300) == 0, log.read_text()[-3000:]
    record = DpoRecord.model_validate_json(ctx.layout.record.read_bytes())
    assert record.resumed_from_step in (6, 12, 18)
    for name in ("adapter/adapter_model.safetensors", "merged/model.safetensors"):
        assert hash_path(whole[1].layout.artifacts / name) == hash_path(ctx.layout.artifacts / name)
    for name in ("loss", "eval_loss", "rewards_margins", "eval_logps_chosen", "num_tokens"):
        assert read_metrics(ctx).series[name] == read_metrics(whole[1]).series[name]


def test_two_workers_reach_what_one_reaches(whole, tiny_model_dir, tmp_path):
    ctx = open_run(tmp_path / "run")
    options = OPTIONS | {"num_workers": 2, "batch_size": 2, "num_sample_prompts": 0}
    record = run(DpoConfig(model=str(tiny_model_dir), **options), ctx)
    one, two = read_metrics(whole[1]).series, read_metrics(ctx).series
    for name in ("loss", "rewards_margins", "eval_loss", "eval_rewards_chosen", "eval_logps_rejected", "eval_kl"):
        assert [step for step, _ in two[name]] == [step for step, _ in one[name]]
        assert [value for _, value in two[name]] == pytest.approx([value for _, value in one[name]], rel=2e-3, abs=2e-3)
    assert record.best_step == whole[0].best_step
    weights = [
        safetensors.numpy.load_file(found.layout.artifacts / "adapter" / "adapter_model.safetensors")
        for found in (whole[1], ctx)
    ]
    for name, values in weights[0].items():
        assert abs(values - weights[1][name]).max() < 5e-3, name


@pytest.mark.parametrize("otherwise", [None, "file"])
def test_a_decision_against_training_passes_a_model_on_and_says_why(tiny_model_dir, tmp_path, otherwise):
    ctx = open_run(tmp_path / "run")
    wanted = {"title_en": "Usable preference pairs", "title_zh": "可用的偏好对"}
    criterion = Criterion(**wanted, value=3, comparison=Comparison.AT_LEAST, threshold=8)
    decision = Decision(name="prefer", title_en="DPO?", title_zh="DPO？", criteria=[criterion])
    (tmp_path / "prefer.json").write_text(decision.model_dump_json())
    other = f"file://{shutil.copytree(tiny_model_dir, tmp_path / 'other')}" if otherwise else None
    options = {"decision": f"file://{tmp_path / 'prefer.json'}", "otherwise": other, **OPTIONS}
    record = run(DpoConfig(model=str(tiny_model_dir), **options), ctx)
    assert (record.num_steps, record.skipped) == (0, [criterion])
    assert hash_path(ctx.layout.artifacts / "merged") == hash_path(tiny_model_dir)
    assert record.notes == [f"nothing was trained (Usable preference pairs); {other or tiny_model_dir} is passed on"]
    (tmp_path / "prefer.json").write_text("{}")
    with pytest.raises(DataError, match=r"prefer\.json: "):
        run(DpoConfig(model=str(tiny_model_dir), **options), ctx)
