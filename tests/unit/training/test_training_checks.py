"""The pure parts around training: schedule, memory, checks before it, detectors around it, curves after it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from practicum_core.curves import read_curves
from practicum_core.errors import ConfigError, Reason
from practicum_core.rows import Message, Row
from practicum_core.stages.sft import SftConfig, SftRecord
from practicum_core.stages.training import TrainingConfig, TrainingRecord
from practicum_jobs.adapters.training_job import IGNORED, Fault, TokenRow, read_rows, write_rows
from practicum_jobs.training import facts
from practicum_jobs.training.divergence import DivergenceWatchdog, explain_divergence, list_cause_hints
from practicum_jobs.training.encoding import EncodedRow
from practicum_jobs.training.memory import FreeMemory, ModelShape, count_adapter_parameters, estimate_memory
from practicum_jobs.training.overfitting import find_overfitting
from practicum_jobs.training.preflight import ModelFacts, check_before_training
from practicum_jobs.training.schedule import count_steps

STOP = 2
SMOLLM2 = ModelShape(134_515_008, hidden=576, intermediate=1536, layers=30, heads=9, vocab=49152)
FACTS = ModelFacts("llama", SMOLLM2, {"<|im_start|>": 1, "<|im_end|>": STOP}, frozenset({STOP}))
CHATML = "<|im_start|>user\nquestion<|im_end|>\n<|im_start|>assistant\nanswer<|im_end|>\n"


def _row(name="r1", input_ids=(1, 7, 8, 9, STOP), prompt=2, num_tokens=None, *, is_prompt_kept=True) -> EncodedRow:
    ids = list(input_ids)
    tokens = TokenRow(name, ids, [IGNORED] * prompt + ids[prompt:])
    row = Row(id=name, messages=[Message(role="user", content="q")], answer="a")
    return EncodedRow(row, tokens, num_tokens or len(ids), is_prompt_kept=is_prompt_kept)


def _check(rows, template=CHATML, model=FACTS, free_gib=64.0, **options):
    config = SftConfig(**options)
    return check_before_training(rows, template, model, config, FreeMemory(free_gib, config.num_workers))


def test_good_rows_pass_every_check():
    checks = _check([_row(), _row("r2")])
    assert checks.problems == ()
    assert checks.truncated_ratio == 0
    checks.raise_if_failed()


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([_row(prompt=5)], {}, "1 rows have no token that counts in the loss (r1)"),
        ([_row(input_ids=(1, 7, 8, 9))], {}, "no stop token counts in the loss"),
        ([_row(is_prompt_kept=False)], {}, "the prompt alone renders to other tokens"),
        ([_row(), _row("r2", num_tokens=900)], {}, "50.0% of the rows are longer than max_length=512"),
        ([_row()], {"free_gib": 0.5}, "0.50 GiB are free"),
        ([_row()], {"engine": "flat", "method": "qlora"}, "engine=flat trains with method=lora"),
        ([_row()], {"method": "qlora", "strategy": "deepspeed"}, "does not shard 4-bit weights"),
        (
            [_row(), _row("r2")],
            {"model": replace(FACTS, num_positions=4)},
            "more tokens than the model's 4",
        ),
        ([_row()], {"template": "<|start_header_id|>user<|eot_id|>"}, "<|eot_id|>, <|start_header_id|>"),
    ],
)
def test_each_problem_is_found_before_training(rows, options, words):
    checks = _check(rows, **options)
    assert len(checks.problems) == 1
    assert words in checks.problems[0]
    with pytest.raises(ConfigError) as caught:
        checks.raise_if_failed()
    assert caught.value.reason is Reason.PREFLIGHT_FAILED
    assert caught.value.exit_code == 2


def test_all_problems_come_in_one_message():
    checks = _check([_row(prompt=5), _row("r2", input_ids=(1, 7, 8))], free_gib=0.1)
    with pytest.raises(ConfigError) as caught:
        checks.raise_if_failed()
    for words in ("no token that counts", "no stop token", "memory"):
        assert words in caught.value.detail


@pytest.mark.parametrize(
    ("gpu_free", "address", "free"),
    [
        (None, "", FreeMemory(6.0, 4)),
        (None, "auto", FreeMemory(6.0, 1)),
        (80 << 30, "", FreeMemory(80.0, 1, is_gpu=True)),
        (0, "", FreeMemory(math.inf, 1, is_gpu=True)),
    ],
    ids=["one machine", "a pod for each worker", "a GPU for each worker", "a GPU that does not say"],
)
def test_workers_share_memory_only_where_they_share_a_machine(gpu_free, address, free, monkeypatch):
    monkeypatch.setattr(facts, "list_gpus", lambda: [] if gpu_free is None else ["a GPU"])
    monkeypatch.setattr(facts, "read_free_gpu_memory", lambda _: gpu_free or None)
    monkeypatch.setattr(facts, "_read_free_ram", lambda: 6.0)
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert facts.measure_free_memory(SftConfig(num_workers=4)) == free


def test_a_gpu_holds_half_the_bytes_of_what_is_not_trained_and_shards_a_part_of_them():
    def estimate(method="full", **options):
        return estimate_memory(SMOLLM2, SftConfig(method=method, **options), 0, 0, is_gpu=True)

    assert estimate("lora").weights == pytest.approx(2 * SMOLLM2.num_parameters / 2**30)
    assert estimate("lora", dtype="float32").weights == 2 * estimate("lora").weights
    assert estimate().weights == estimate("lora", dtype="float32").weights
    assert estimate(strategy="fsdp", num_workers=4).optimizer == estimate().optimizer / 4
    assert estimate(num_workers=4).optimizer == estimate().optimizer


def test_a_gpu_needs_the_logits_of_one_tile_only():
    qwen = ModelShape(494_032_768, hidden=896, intermediate=4864, layers=24, heads=14, vocab=151_936)
    on_gpu, on_cpu = (estimate_memory(qwen, SftConfig(), 11_427, 2_432, is_gpu=gpu) for gpu in (True, False))
    assert on_gpu.logits < on_cpu.logits / 8
    # Measured on an H100: peaks of 18.87 GiB with an adapter and of 25.86 GiB without, CUDA's own 0.76 GiB included.
    assert on_gpu.total == pytest.approx(18.87, rel=0.04)
    full = estimate_memory(qwen, SftConfig(method="full"), 11_427, 2_432, is_gpu=True)
    assert full.total == pytest.approx(25.86, rel=0.04)


def test_a_template_token_outside_the_models_vocabulary_is_found():
    model = ModelFacts("llama", SMOLLM2, {"<|im_start|>": 1, "<|im_end|>": 60_000}, frozenset({60_000, STOP}))
    assert "outside the model's vocabulary" in _check([_row()], model=model).problems[0]


def test_few_truncated_rows_are_let_through_and_counted():
    rows = [_row(f"r{number}") for number in range(99)] + [_row("long", num_tokens=900)]
    checks = _check(rows)
    assert checks.problems == ()
    assert checks.truncated_ratio == pytest.approx(0.01)


def test_long_lists_of_rows_are_shortened():
    problem = _check([_row(f"r{number}", prompt=5) for number in range(8)]).problems[0]
    assert "r4 and 3 more" in problem
    assert "r5" not in problem


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"batch_size": 8}, 60),
        ({"batch_size": 7}, 69),
        ({"batch_size": 8, "num_workers": 2}, 30),
        ({"batch_size": 8, "gradient_accumulation_steps": 4, "num_epochs": 3}, 45),
        ({"batch_size": 512, "gradient_accumulation_steps": 8}, 1),
        ({"max_steps": 5, "num_epochs": 9}, 5),
    ],
)
def test_steps_of_480_rows(options, steps):
    assert count_steps(480, SftConfig(**options)) == steps


def test_adapter_parameters_of_smollm2_are_close_to_pefts_count():
    # PEFT says 4,884,480 for r=16 on all linear layers (grouped keys and values are narrower than assumed here).
    assert count_adapter_parameters(SMOLLM2, 16) == pytest.approx(4_884_480, rel=0.12)


def test_memory_orders_the_methods_and_grows_with_the_batch():
    def total(method, batch_tokens=1024, **options):
        return estimate_memory(SMOLLM2, SftConfig(method=method, **options), batch_tokens, 256).total

    assert total("qlora") < total("lora") < total("full")
    assert total("lora", 8192) > total("lora")
    assert total("lora", 8192, gradient_checkpointing=True) < total("lora", 8192)


def test_full_tuning_needs_four_times_the_weights():
    estimate = estimate_memory(SMOLLM2, SftConfig(method="full", dtype="float32"), 0, 0)
    assert estimate.weights + estimate.gradients + estimate.optimizer == pytest.approx(4 * estimate.weights)


@pytest.mark.parametrize(
    ("losses", "norms", "kind", "step"),
    [
        ([2.0, math.nan], [1.0, 1.0], "loss_not_finite", 2),
        ([2.0, math.inf], [1.0, 1.0], "loss_not_finite", 2),
        ([2.0, 2.1], [1.0, math.nan], "gradient_not_finite", 2),
        ([2.0, 5.0, 8.0, 9.0, 12.0], [1.0] * 5, "loss_exploded", 4),
    ],
)
def test_the_watchdog_stops_a_lost_run(losses, norms, kind, step):
    watchdog = DivergenceWatchdog(factor=3.0)
    faults = [watchdog.observe(at, loss, norm) for at, (loss, norm) in enumerate(zip(losses, norms, strict=True), 1)]
    first = next(fault for fault in faults if fault)
    assert (first.kind, first.step) == (kind, step)


def test_a_resumed_run_is_held_against_its_very_first_loss():
    late = [0.07, 0.25, 0.3, 0.3]
    anew, resumed = DivergenceWatchdog(factor=3.0), DivergenceWatchdog(factor=3.0)
    resumed.resume([1.2, 0.6, 0.1])
    assert [anew.observe(at, loss, None) is None for at, loss in enumerate(late)] == [True, True, True, False]
    assert [resumed.observe(at, loss, None) is None for at, loss in enumerate(late)] == [True] * 4
    resumed.resume([])
    assert resumed.observe(9, 5.0, None) is None


def test_the_watchdog_bears_one_hard_batch():
    watchdog = DivergenceWatchdog(factor=3.0)
    losses = [2.0, 1.9, 9.0, 1.8, 1.7, 1.9]
    assert [watchdog.observe(at, loss, None) for at, loss in enumerate(losses)] == [None] * 6


def test_divergence_says_what_happened_and_what_to_try():
    error = explain_divergence(
        Fault("loss_exploded", 9, 30.0, "the loss averaged 30"), SftConfig(learning_rate=1), [2.0], "tune"
    )
    assert error.reason is Reason.TRAINING_DIVERGED
    assert error.exit_code == 1
    assert "losses before: 2.000" in error.detail
    assert "learning rate 1 " in error.fix


def test_a_sudden_nan_points_at_the_rows_and_the_weights():
    fault = Fault("loss_not_finite", 9, math.nan, "")
    assert "steady before step 9" in list_cause_hints(fault, SftConfig(), [2.0, 1.9, 1.8], "tune")[0]
    assert not any("steady" in hint for hint in list_cause_hints(fault, SftConfig(), [2.0, 4.0, 8.0], "tune"))


@pytest.mark.parametrize(
    ("validation", "train", "expected"),
    [
        ([1.0, 0.8, 0.9, 1.0, 1.1], [1.0, 0.8, 0.6, 0.4, 0.2], (2, 5)),
        ([1.0, 0.8, 0.9, 1.0, 1.1], [1.0, 0.8, 0.9, 1.0, 1.1], None),  # both rise: divergence, not overfitting
        ([1.0, 0.8, 0.9, 0.85, 0.9], [1.0, 0.8, 0.6, 0.4, 0.2], (2, 5)),  # back a little, still above the best
        ([1.0, 0.8, 0.803, 0.804, 0.805], [1.0, 0.8, 0.6, 0.4, 0.2], None),  # a plateau
        ([1.0, 0.8, 0.9, 0.79, 0.9], [1.0, 0.8, 0.6, 0.4, 0.2], None),  # a new best in between
        ([1.0, 0.9, 0.8], [1.0, 0.9, 0.8], None),
        ([], [], None),
    ],
)
def test_overfitting_is_validation_loss_above_its_best_under_a_falling_training_loss(validation, train, expected):
    found = find_overfitting(list(enumerate(validation, 1)), list(enumerate(train, 1)), patience=3)
    assert (None if found is None else (found.best_step, found.noticed_step)) == expected


def test_curves_go_on_where_a_restart_went_back_to():
    lines = [json.dumps({"step": step, "time_s": float(step), "loss": 10.0 - step}) for step in range(1, 6)]
    lines += [
        '{"step":3,"eval_loss":7.5}',
        '{"step":3,"time_s":9.0,"restart":1}',
        '{"step":4,"loss":6.5}',
        '{"step":5,"lo',
    ]
    curves = read_curves(lines)
    assert curves.series["loss"] == [(1, 9.0), (2, 8.0), (3, 7.0), (4, 6.5)]
    assert curves.series["eval_loss"] == [(3, 7.5)]
    assert curves.restarts == [3]
    assert curves.get_last("loss") == 6.5
    assert curves.get_last("nothing") is None


def test_curves_skip_what_is_not_a_number():
    assert read_curves(['{"step":1,"loss":NaN}', "[]", '{"loss":1}', '{"step":2,"loss":true}']).series == {}


def test_rows_come_back_as_they_were_written(tmp_path: Path):
    rows = [TokenRow("a", [1, 2, 3], [IGNORED, 2, 3]), TokenRow("订单", [4], [IGNORED])]
    write_rows(tmp_path / "work" / "rows.npz", rows)
    assert read_rows(tmp_path / "work" / "rows.npz") == rows
    write_rows(tmp_path / "none.npz", [])
    assert read_rows(tmp_path / "none.npz") == []
    assert (rows[0].prompt_length, rows[1].prompt_length) == (1, 1)


@pytest.mark.parametrize(("method", "rate"), [("full", 2e-5), ("lora", 2e-4), ("qlora", 2e-4)])
def test_the_learning_rate_goes_by_the_method_unless_it_is_named(method, rate):
    assert SftConfig(method=method).learning_rate == rate
    assert SftConfig(method=method, learning_rate=5e-4).learning_rate == 5e-4


class _OtherConfig(TrainingConfig):
    """Options of a made-up second trainer: one engine, other rates."""

    highest_usual_rates: ClassVar[dict[str, float]] = {"full": 1e-6, "lora": 5e-5, "qlora": 5e-5}
    engine: Literal["ray"] = "ray"
    learning_rate: float = 1e-5


def test_another_trainers_options_serve_every_check_and_detector():
    config = _OtherConfig(batch_size=4, num_workers=2)
    assert [*_OtherConfig.model_fields, "packing"] == list(SftConfig.model_fields)
    assert count_steps(480, config) == 60
    checks = check_before_training([_row()], CHATML, FACTS, config, FreeMemory(64.0, 2))
    assert checks.problems == ()
    high = config.model_copy(update={"learning_rate": 1e-4})
    hints = list_cause_hints(Fault("loss_exploded", 9, 30.0, ""), high, [2.0], "align")
    assert hints[0].startswith("the learning rate 0.0001 is far above what lora usually bears (5e-05): set align.")
    with pytest.raises(ValidationError):
        _OtherConfig(engine="flat")


def test_a_record_of_the_first_version_still_loads():
    text = json.dumps(
        {
            "schema_version": 1,
            "stage": "sft",
            "step": "sft",
            "started_at": "2026-01-02T00:00:00.000+00:00",
            "finished_at": "2026-01-02T00:04:00.000+00:00",
            "duration_s": 240.0,
            "metrics": [{"name": "validation_loss", "value": 0.3, "unit": "nats per token"}],
            "failures": [{"kind": "overfitting", "where": "step 40", "text": "validation loss rose"}],
            "artifacts": [],
            "notes": [],
            "method": "lora",
            "num_steps": 60,
            "num_train_rows": 480,
            "num_trainable_parameters": 4_884_480,
            "num_parameters": 139_399_488,
            "num_tokens": 40_000,
            "num_restarts": 0,
            "resumed_from_step": None,
            "checkpoints": [{"step": 60, "validation_loss": 0.3, "path": "stages/sft/checkpoints/step-000060"}],
            "best_step": 60,
            "diagnosis": "No overfitting was seen.",
        }
    )
    record = SftRecord.model_validate_json(text)
    assert isinstance(record, TrainingRecord)
    assert json.loads(record.model_dump_json(exclude_unset=True)) == json.loads(text)
