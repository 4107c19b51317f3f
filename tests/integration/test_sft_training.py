# ruff: noqa: PLC0415 - torch is imported where a test needs it, so that collecting stays quick
"""Real TRL, PEFT, bitsandbytes and Ray Train on a tiny model: each method, resume, faults, exports."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError, GateFailed, Reason, Stopped
from practicum_core.rows import Message, Row
from practicum_core.stages.sft import SftConfig, SftRecord
from practicum_jobs.context import StageContext
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.sft import run
from practicum_jobs.training.encoding import encode_rows
from training_stand import MARKS, count_steps_done, read_metrics, start_stage, wait_for, write_run

pytestmark = MARKS

SYSTEM = "Answer with a JSON object with exactly the keys category, order, amount and urgent."
NUM_STEPS = 24
OPTIONS = {
    "max_steps": NUM_STEPS,
    "eval_steps": 6,
    "save_steps": 6,
    "learning_rate": 5e-3,
    "num_sample_prompts": 1,
    "sample_max_new_tokens": 4,
    "keep_checkpoints": 2,
}


def make_rows(count: int, seed: int) -> list[Row]:
    generator = random.Random(seed)
    return [_make_row(f"{seed}-{number}", generator) for number in range(count)]


def _make_row(name: str, generator: random.Random) -> Row:
    category, order = generator.choice(["refund", "delivery", "invoice"]), generator.randint(100, 9999)
    urgent = generator.random() < 0.5
    question = f"About my {category}, order {order}. {'Today, please!' if urgent else 'No hurry.'}"
    answer = json.dumps({"category": category, "order": str(order), "urgent": urgent}, separators=(",", ":"))
    messages = [Message(role="system", content=SYSTEM), Message(role="user", content=question)]
    return Row(id=name, messages=messages, answer=answer)


def open_run(folder: Path, train: list[Row] | None = None, validation: list[Row] | None = None) -> StageContext:
    return write_run(
        folder,
        "sft",
        train if train is not None else make_rows(32, 1),
        validation if validation is not None else make_rows(8, 2),
    )


def get_metric(record: SftRecord, name: str) -> float:
    return next(metric.value for metric in record.metrics if metric.name == name)


@pytest.fixture(scope="module")
def lora(tmp_path_factory, tiny_model_dir):
    """One whole LoRA run that several tests look at; its exports keep half of what it learned."""
    ctx = open_run(tmp_path_factory.mktemp("lora") / "run")
    return run(SftConfig(model=str(tiny_model_dir), export_scale=0.5, **OPTIONS), ctx), ctx


def test_packed_batches_give_the_losses_of_padded_ones(lora, tmp_path, tiny_model_dir):
    ctx = open_run(tmp_path / "run")
    record = run(SftConfig(model=str(tiny_model_dir), packing=True, export_merged=False, **OPTIONS), ctx)
    packed, padded = read_metrics(ctx).series, read_metrics(lora[1]).series
    for name in ("loss", "eval_loss", "num_tokens"):
        assert [value for _, value in packed[name]] == pytest.approx([value for _, value in padded[name]], rel=1e-3)
    assert record.num_tokens == lora[0].num_tokens


def test_the_loss_falls_and_the_record_says_so(lora):
    record, ctx = lora
    curves = read_metrics(ctx)
    assert [step for step, _ in curves.series["loss"]] == list(range(1, NUM_STEPS + 1))
    assert [step for step, _ in curves.series["eval_loss"]] == [0, 6, 12, 18, 24]
    assert curves.series["loss"][-1][1] < curves.series["loss"][0][1] - 0.3
    assert get_metric(record, "validation_loss_drop") > 0.3
    assert get_metric(record, "validation_loss") == dict(curves.series["eval_loss"])[record.best_step]
    for name in ("tokens_per_s", "steps_per_s", "startup_s", "train_s", "peak_rss_gib"):
        assert get_metric(record, name) > 0
    assert record.num_steps == NUM_STEPS
    assert record.num_tokens == curves.get_last("num_tokens")
    assert 0 < record.num_trainable_parameters < record.num_parameters
    assert (record.num_restarts, record.resumed_from_step, record.failures) == (0, None, [])
    assert json.loads(ctx.layout.progress.read_text())["fraction"] == 1.0


def test_checkpoints_are_kept_by_validation_loss_and_samples_are_written_at_each(lora):
    record, ctx = lora
    assert len(record.checkpoints) in (2, 3)  # the two best, and the latest where it is not among them
    assert record.checkpoints[-1].step == NUM_STEPS
    assert min(record.checkpoints, key=lambda kept: kept.validation_loss).step == record.best_step
    for kept in record.checkpoints:
        names = {file.name for file in (ctx.run.root / kept.path).iterdir()}
        assert {"adapter_model.safetensors", "optimizer.pt", "trainer_state.json", "rng_state.pth"} <= names
    samples = [json.loads(line) for line in ctx.layout.samples.read_text().splitlines()]
    assert [sample["step"] for sample in samples] == [6, 12, 18, 24]
    assert samples[0]["expected"].startswith('{"category"')


def test_the_exported_adapter_and_the_merged_model_say_the_same(lora, tiny_model_dir):
    import peft
    import torch
    import transformers

    record, ctx = lora
    assert get_metric(record, "export_scale") == 0.5
    assert "keep 0.5 of the learned change" in record.diagnosis
    assert [Path(artifact.path).name for artifact in record.artifacts] == ["adapter", "merged"]
    for artifact in record.artifacts:
        assert hash_path(ctx.run.root / artifact.path) == artifact.sha256
    folders = {Path(artifact.path).name: ctx.run.root / artifact.path for artifact in record.artifacts}
    base = transformers.AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    input_ids = torch.tensor([[1, 50, 60, 70, 2]])
    before = base(input_ids).logits
    adapted = peft.PeftModel.from_pretrained(base, folders["adapter"])
    assert adapted.peft_config["default"].lora_alpha == 0.5 * SftConfig().lora_alpha
    tuned = adapted(input_ids).logits
    merged = transformers.AutoModelForCausalLM.from_pretrained(folders["merged"])
    assert not torch.allclose(before, tuned, atol=1e-2)
    assert torch.allclose(merged(input_ids).logits, tuned, atol=1e-4)
    tokenizer = ChatTokenizer(folders["merged"])
    assert tokenizer.render(make_rows(1, 3)[0].messages, add_generation_prompt=True).endswith("assistant\n")
    assert merged.generation_config.eos_token_id == 2
    assert not list(ctx.layout.artifacts.glob(".*"))


def test_rows_become_the_tokens_and_labels_that_trl_makes(tiny_model_dir, tmp_path):
    import datasets
    import transformers
    import trl

    rows = make_rows(6, 4)
    table = datasets.Dataset.from_list(
        [
            {
                "prompt": [message.model_dump() for message in row.messages],
                "completion": [{"role": "assistant", "content": row.answer}],
            }
            for row in rows
        ]
    )
    trainer = trl.SFTTrainer(
        model=str(tiny_model_dir),
        args=trl.SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=512),
        train_dataset=table,
        processing_class=transformers.AutoTokenizer.from_pretrained(tiny_model_dir),
    )
    encoded = encode_rows(rows, ChatTokenizer(tiny_model_dir), 512)
    assert [list(row["input_ids"]) for row in trainer.train_dataset] == [row.tokens.input_ids for row in encoded]
    assert [list(row["labels"]) for row in trainer.train_dataset] == [row.tokens.labels for row in encoded]
    assert all(2 in row.tokens.labels for row in encoded)


def test_the_flat_loop_reaches_the_same_loss_step_by_step(lora, tiny_model_dir, tmp_path):
    ctx = open_run(tmp_path / "run")
    record = run(SftConfig(model=str(tiny_model_dir), engine="flat", **OPTIONS), ctx)
    flat, composed = read_metrics(ctx).series, read_metrics(lora[1]).series
    for name in ("loss", "eval_loss", "learning_rate", "grad_norm", "num_tokens"):
        assert [step for step, _ in flat[name]] == [step for step, _ in composed[name]]
        for (_, ours), (_, theirs) in zip(flat[name], composed[name], strict=True):
            assert ours == pytest.approx(theirs, rel=2e-4, abs=1e-9)
    assert record.num_trainable_parameters == lora[0].num_trainable_parameters
    assert (ctx.layout.artifacts / "adapter" / "adapter_model.safetensors").is_file()


def test_the_flat_loops_adapter_loads_in_peft_and_agrees_with_its_merged_model(tiny_model_dir, tmp_path):
    import peft
    import torch
    import transformers

    ctx = open_run(tmp_path / "run")
    run(SftConfig(model=str(tiny_model_dir), engine="flat", export_scale=0.75, **OPTIONS | {"max_steps": 6}), ctx)
    base = transformers.AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    tuned = peft.PeftModel.from_pretrained(base, ctx.layout.artifacts / "adapter")
    merged = transformers.AutoModelForCausalLM.from_pretrained(ctx.layout.artifacts / "merged")
    input_ids = torch.tensor([[1, 50, 60, 70, 2]])
    assert tuned.peft_config["default"].lora_alpha == 24
    assert torch.allclose(merged(input_ids).logits, tuned(input_ids).logits, atol=1e-4)
    assert not torch.allclose(merged(input_ids).logits, tuned.unload()(input_ids).logits, atol=1e-3)


@pytest.mark.parametrize(("method", "rate"), [("full", 1e-3), ("qlora", 5e-3)])
def test_the_other_methods_learn_and_export(method, rate, tiny_model_dir, tmp_path):
    import transformers

    ctx = open_run(tmp_path / "run")
    options = OPTIONS | {"max_steps": 12, "learning_rate": rate, "dtype": "float32"}
    record = run(SftConfig(model=str(tiny_model_dir), method=method, **options), ctx)
    assert record.method == method
    assert get_metric(record, "validation_loss_drop") > 0.1
    assert (record.num_trainable_parameters == record.num_parameters) == (method == "full")
    assert (ctx.layout.artifacts / "adapter").exists() == (method == "qlora")
    merged = transformers.AutoModelForCausalLM.from_pretrained(ctx.layout.artifacts / "merged")
    assert not hasattr(merged.config, "quantization_config")


def stop_after(ctx: StageContext, step: int) -> threading.Thread:
    """Request a stop as soon as the curve has reached ``step``."""

    def watch() -> None:
        while not (ctx.layout.metrics.is_file() and (read_metrics(ctx).series.get("loss") or [(0, 0)])[-1][0] >= step):
            time.sleep(0.005)
        ctx.request_stop()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("engine", ["ray", "flat"])
def test_a_stopped_and_resumed_run_ends_bit_equal(engine, tiny_model_dir, tmp_path):
    options = OPTIONS | {"max_steps": 60, "eval_steps": 15, "save_steps": 15, "lora_dropout": 0.2, "engine": engine}
    config = SftConfig(model=str(tiny_model_dir), **options)
    whole = open_run(tmp_path / "whole")
    run(config, whole)
    first = open_run(tmp_path / "parts")
    stopper = stop_after(first, 10)
    with pytest.raises(Stopped) as caught:
        run(config, first)
    stopper.join()
    assert caught.value.exit_code == 143
    stopped_at = read_metrics(first).series["loss"][-1][0]
    assert 10 <= stopped_at < 60
    second = StageContext(first.run.root, "sft", "sft", cache_dir=first.cache_dir)
    record = run(config, second)
    assert record.resumed_from_step == stopped_at
    assert read_metrics(second).restarts == [stopped_at]
    for name in ("adapter", "merged"):
        weights = sorted((whole.layout.artifacts / name).glob("*.safetensors"))
        assert weights
        for file in weights:
            assert hash_path(file) == hash_path(second.layout.artifacts / name / file.name)
    assert read_metrics(second).series["loss"] == read_metrics(whole).series["loss"]
    assert read_metrics(second).series["eval_loss"] == read_metrics(whole).series["eval_loss"]


def test_other_inputs_begin_anew_instead_of_going_on(tiny_model_dir, tmp_path):
    ctx = open_run(tmp_path / "run")
    options = OPTIONS | {"max_steps": 6}
    run(SftConfig(model=str(tiny_model_dir), **options), ctx)
    again = StageContext(ctx.run.root, "sft", "sft", cache_dir=ctx.cache_dir)
    record = run(SftConfig(model=str(tiny_model_dir), **options | {"seed": 8}), again)
    assert record.resumed_from_step is None
    assert [step for step, _ in read_metrics(again).series["loss"]] == list(range(1, 7))
    assert len(again.layout.metrics.read_text().splitlines()) == 8


def test_a_huge_learning_rate_is_stopped_and_explained(tiny_model_dir, tmp_path):
    ctx = open_run(tmp_path / "run")
    options = OPTIONS | {"method": "full", "learning_rate": 1.0, "max_grad_norm": 1e9, "warmup_ratio": 0}
    with pytest.raises(GateFailed) as caught:
        run(SftConfig(model=str(tiny_model_dir), **options), ctx)
    assert caught.value.reason is Reason.TRAINING_DIVERGED
    assert "the learning rate 1 is far above what full usually bears" in caught.value.fix
    assert read_metrics(ctx).series["loss"][-1][0] < NUM_STEPS
    assert not ctx.layout.artifacts.exists()


def test_a_poisoned_weight_is_found_at_the_step_that_meets_it(tiny_model_dir, tmp_path):
    import torch
    import transformers

    # A token that a single row holds gets an embedding that is not a number.
    row = make_rows(1, 9)[0]
    rare = row.model_copy(update={"id": "rare", "messages": [*row.messages[:1], Message(role="user", content="§§§")]})
    token = ChatTokenizer(tiny_model_dir).encode("§")[-1]
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    with torch.no_grad():
        model.get_input_embeddings().weight[token] = math.nan
    untied = tmp_path / "poisoned"
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(torch.nan_to_num(model.get_input_embeddings().weight.detach().clone()))
    model.save_pretrained(untied)
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (untied / file).write_bytes((tiny_model_dir / file).read_bytes())
    ctx = open_run(tmp_path / "run", train=[*make_rows(31, 1), rare])
    with pytest.raises(GateFailed) as caught:
        run(SftConfig(model=str(untied), **OPTIONS | {"learning_rate": 1e-3}), ctx)
    assert caught.value.reason is Reason.TRAINING_DIVERGED
    assert "became nan at step" in caught.value.detail
    last = read_metrics(ctx)
    assert 1 <= last.series["loss"][-1][0] < 4  # 32 rows are four batches


def test_overfitting_is_noted_and_the_best_checkpoints_share_is_exported(tiny_model_dir, tmp_path):
    import safetensors.torch
    import torch

    train, other = make_rows(4, 1), make_rows(8, 2)
    validation = [row.model_copy(update={"answer": row.answer[::-1]}) for row in other]
    ctx = open_run(tmp_path / "run", train, validation)
    options = OPTIONS | {"max_steps": 24, "eval_steps": 4, "save_steps": 4, "learning_rate": 1e-2}
    options |= {"lr_scheduler": "constant", "export_scale": 0.5}
    record = run(SftConfig(model=str(tiny_model_dir), method="full", **options), ctx)
    assert [failure.kind for failure in record.failures] == ["overfitting"]
    assert "learned its rows by heart" in record.diagnosis
    assert record.best_step is not None
    assert record.best_step < 24
    assert record.checkpoints[-1].step == 24
    best = next(kept for kept in record.checkpoints if kept.step == record.best_step)
    kept = safetensors.torch.load_file(ctx.run.root / best.path / "model.safetensors")
    exported = safetensors.torch.load_file(ctx.layout.artifacts / "merged" / "model.safetensors")
    base = safetensors.torch.load_file(tiny_model_dir / "model.safetensors")
    assert kept.keys() == exported.keys() == base.keys()
    assert all(torch.equal(torch.lerp(base[name], kept[name], 0.5), exported[name]) for name in kept)
    assert any(not torch.equal(kept[name], exported[name]) for name in kept)


def test_nothing_is_trained_when_a_check_fails(tiny_model_dir, tmp_path):
    ctx = open_run(tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        run(SftConfig(model=str(tiny_model_dir), max_length=40, memory_limit_gib=0.1, **OPTIONS), ctx)
    assert caught.value.reason is Reason.PREFLIGHT_FAILED
    assert "max_length=40" in caught.value.detail
    assert "0.10 GiB are free" in caught.value.detail
    assert not ctx.layout.metrics.exists()


def test_a_strategy_for_gpus_is_refused_without_one(tiny_model_dir, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, so the strategy would run")
    ctx = open_run(tmp_path / "run")
    with pytest.raises(ConfigError) as caught:
        run(SftConfig(model=str(tiny_model_dir), strategy="fsdp", **OPTIONS), ctx)
    assert "strategy=fsdp shards a model over GPUs" in caught.value.detail


@pytest.mark.parametrize("strategy", ["deepspeed", "fsdp"])
def test_strategies_reach_trls_arguments(strategy):
    from practicum_jobs.adapters.trl_settings import build_strategy

    built = build_strategy(SftConfig(strategy=strategy, method="full"))
    assert strategy in built
    assert build_strategy(SftConfig()) == {}
    if strategy == "deepspeed":
        assert built["deepspeed"]["zero_optimization"]["stage"] == 3


@pytest.mark.parametrize(
    ("options", "best", "expected"),
    [
        ({}, 18, "step-18"),
        ({}, 24, None),
        ({"strategy": "deepspeed"}, 24, None),
        ({"strategy": "fsdp"}, 24, "step-24"),
        ({"strategy": "deepspeed", "method": "full"}, 24, "step-24"),
        ({"strategy": "fsdp"}, None, "step-24"),
    ],
)
def test_a_sharded_models_weights_are_exported_from_a_checkpoint(options, best, expected):
    from practicum_jobs.adapters.training_job import SavedCheckpoint
    from practicum_jobs.adapters.trl_training import choose_export

    kept = [SavedCheckpoint(step, 0.5 if step == best else None, f"step-{step}") for step in (18, 24)]
    found = choose_export(SftConfig(**options), kept, last_step=24)
    assert found == (Path(expected) if expected else None)


def test_a_sharded_model_is_asked_nothing_by_one_worker_alone(lora, tmp_path):
    from practicum_jobs.adapters.training_callbacks import SampleWriter
    from practicum_jobs.adapters.training_job import TokenRow, TrainingJob, write_rows

    _, ctx = lora
    step = SftConfig(strategy="fsdp", num_sample_prompts=1)
    job = TrainingJob(tmp_path, "sft", "sft", ctx.run.root, step, NUM_STEPS, None, 0.0, 1, "no trainer is built")
    write_rows(job.work_dir / "validation.npz", [TokenRow("a", [1, 2], [-100, 2])])
    # No model is at hand: asking one would be an error.
    SampleWriter(job, None, rank=0).on_save(None, None, None)
    assert not job.open_context().layout.samples.exists()


def list_living(processes: list[psutil.Process], patience_s: float = 15) -> list[psutil.Process]:
    """Return which still run after a while; one that ended and waits for its new parent to notice does not."""
    deadline = time.monotonic() + patience_s
    while living := [process for process in processes if _is_living(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return living


def _is_living(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_sigterm_to_the_real_process_writes_a_checkpoint_and_leaves_no_process(tiny_model_dir, tmp_path):
    ctx = open_run(tmp_path / "run")
    options = {"model": str(tiny_model_dir), **OPTIONS, "max_steps": 5000, "eval_steps": 5000, "save_steps": 5000}
    process = start_stage(ctx, options)
    wait_for(lambda: count_steps_done(ctx) >= 5, process, ctx.run.root / "log.txt")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert json.loads(ctx.layout.error.read_text())["reason"] == "Stopped"
    checkpoints = list(ctx.layout.root.glob("checkpoints/step-*/trainer_state.json"))
    assert len(checkpoints) == 1
    assert json.loads(checkpoints[0].read_text())["global_step"] == count_steps_done(ctx)
    assert list_living(children) == []
    assert not ctx.layout.record.exists()


@pytest.mark.timeout(900)
def test_a_killed_worker_of_two_is_replaced_and_the_curve_goes_on(tiny_model_dir, tmp_path):
    ctx = open_run(tmp_path / "run", train=make_rows(128, 1))
    interval = 10
    options = {
        "model": str(tiny_model_dir),
        **OPTIONS,
        "num_workers": 2,
        "batch_size": 16,
        "gradient_accumulation_steps": 4,
        "max_steps": 40,
        "eval_steps": interval,
        "save_steps": interval,
        "num_sample_prompts": 0,
    }
    process = start_stage(ctx, options)
    state = ctx.layout.root / "checkpoints" / "checkpoint_manager_snapshot.json"
    log = ctx.run.root / "log.txt"
    wait_for(
        lambda: state.is_file() and "step-000010" in state.read_text() and count_steps_done(ctx) > 10, process, log
    )
    stage = psutil.Process(process.pid)
    family = stage.children(recursive=True)
    workers = [child for child in family if "RayTrainWorker" in " ".join(child.cmdline())]
    assert len(workers) == 2
    before = read_metrics(ctx).series["loss"]
    os.kill(workers[1].pid, signal.SIGKILL)
    family += stage.children(recursive=True)
    assert process.wait(timeout=600) == 0, log.read_text()[-3000:]

    record = SftRecord.model_validate_json(ctx.layout.record.read_bytes())
    assert record.num_restarts == 1
    assert [failure.kind for failure in record.failures] == ["worker_lost"]
    curves = read_metrics(ctx)
    assert len(curves.restarts) == 1
    assert record.resumed_from_step == curves.restarts[0]
    assert before[-1][0] - curves.restarts[0] <= interval + 1  # lost steps: at most one checkpoint interval
    assert [step for step, _ in curves.series["loss"]] == list(range(1, 41))
    assert dict(before).items() <= dict(curves.series["loss"]).items()  # steps done again gave the same loss
    assert get_metric(record, "validation_loss_drop") > 0.3
    assert list_living(family) == []
