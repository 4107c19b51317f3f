from __future__ import annotations

import json
import shutil

import peft
import pytest
import torch
import transformers

from practicum_core.errors import ConfigError
from practicum_core.rows import Message, Row
from practicum_core.stages.inference import InferenceConfig
from practicum_core.stages.snapshot import DataLock
from practicum_jobs import inference
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import write_data_lock, write_split

NUM_ROWS = 6


@pytest.fixture
def context(tmp_path, tiny_model_dir) -> StageContext:
    """A run that holds an adapter with visible effect and its merged model, as training exports them."""
    ctx = StageContext(tmp_path / "run", "inference", "inference", tmp_path / "cache")
    rows = [
        Row(id=f"v{number}", messages=[Message(role="user", content=f"order {number * 31}?")], answer="yes")
        for number in range(NUM_ROWS)
    ]
    ctx.run.root.mkdir()
    write_data_lock(ctx.run, DataLock(uri="x", splits={"validation": write_split(rows, ctx.cache_dir)}))
    base = transformers.AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules="all-linear"))
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0, 0.3)
    artifacts = ctx.run.stage("sft").artifacts
    model.save_pretrained(artifacts / "adapter")
    merged = model.merge_and_unload()
    merged.save_pretrained(artifacts / "merged")
    transformers.AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(artifacts / "merged")
    return ctx


def configure(tiny_model_dir, **options) -> InferenceConfig:
    return InferenceConfig.model_validate(
        {"model": f"file://{tiny_model_dir}", "num_prompts": 6, "max_new_tokens": 8} | options
    )


def read_samples(ctx):
    return [json.loads(line) for line in ctx.layout.samples.read_text().splitlines()]


def test_adapter_and_merged_model_agree(context, tiny_model_dir):
    record = inference.run(configure(tiny_model_dir), context)
    metrics = {metric.name: metric.value for metric in record.metrics}
    assert metrics["agreement"] == 1.0
    assert record.num_prompts == NUM_ROWS
    assert record.notes == []
    samples = read_samples(context)
    assert len({sample["merged"] for sample in samples}) > 1
    assert all(sample["adapter"] == sample["merged"] for sample in samples)
    assert record.adapter_sha256
    assert record.merged_sha256


def test_a_merged_model_that_is_not_the_adapters_is_found_out(context, tiny_model_dir):
    merged = context.run.stage("sft").artifacts / "merged"
    shutil.copy(tiny_model_dir / "model.safetensors", merged / "model.safetensors")
    record = inference.run(configure(tiny_model_dir), context)
    metrics = {metric.name: metric.value for metric in record.metrics}
    assert metrics["agreement"] < 1.0
    differing = [failure for failure in record.failures if failure.kind == "exports_differ"]
    assert len(differing) == round((1 - metrics["agreement"]) * NUM_ROWS)


def test_answers_that_never_stop_are_counted(context, tiny_model_dir):
    record = inference.run(configure(tiny_model_dir), context)
    metrics = {metric.name: metric.value for metric in record.metrics}
    unstopped = {failure.where for failure in record.failures if failure.kind == "no_stop"}
    assert unstopped
    assert metrics["stopped_ratio"] == pytest.approx(1 - len(unstopped) / NUM_ROWS)


def test_the_tools_of_a_row_are_in_its_prompt_as_the_template_renders_them(context, tiny_model_dir):
    merged = context.run.stage("sft").artifacts / "merged"
    template = merged / "chat_template.jinja"
    template.write_text("{% if tools %}{{ tools | tojson }}{% endif %}" + template.read_text())
    shutil.rmtree(context.run.stage("sft").artifacts / "adapter")
    tools = [{"type": "function", "function": {"name": "find_order", "parameters": {"id": "string"}}}]
    rows = [
        Row(id=name, messages=[Message(role="user", content="order 31?")], answer="yes", tools=given)
        for name, given in (("with", tools), ("without", ()))
    ]
    write_data_lock(context.run, DataLock(uri="x", splits={"validation": write_split(rows, context.cache_dir)}))
    inference.run(configure(tiny_model_dir), context)
    model = transformers.AutoModelForCausalLM.from_pretrained(merged)
    tokenizer = transformers.AutoTokenizer.from_pretrained(merged)
    answers = {}
    for row in rows:
        ids = tokenizer.apply_chat_template(
            [turn.model_dump() for turn in row.messages],
            tools=list(row.tools) or None,
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=False,
        )
        output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False)
        answers[row.id] = tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
    assert {sample["id"]: sample["merged"] for sample in read_samples(context)} == answers
    assert answers["with"] != answers["without"]


@pytest.mark.parametrize("kept", ["adapter", "merged"])
def test_a_single_export_is_loaded_and_asked_twice(context, tiny_model_dir, kept):
    shutil.rmtree(context.run.stage("sft").artifacts / ({"adapter", "merged"} - {kept}).pop())
    record = inference.run(configure(tiny_model_dir), context)
    assert {metric.name: metric.value for metric in record.metrics}["agreement"] == 1.0
    assert "asked twice" in record.notes[0]


def test_no_export_at_all_is_an_error(context, tiny_model_dir):
    shutil.rmtree(context.run.stage("sft").artifacts)
    with pytest.raises(ConfigError, match="neither an adapter"):
        inference.run(configure(tiny_model_dir), context)


def test_an_adapter_of_another_base_model_is_refused(context, tiny_model_dir, tmp_path):
    other = tmp_path / "other-base"
    shutil.copytree(tiny_model_dir, other)
    # The same weights in another place are the same base model; other weights of the same shape are not.
    assert inference.run(configure(other), context).notes == []
    shutil.copy(context.run.stage("sft").artifacts / "merged" / "model.safetensors", other)
    with pytest.raises(ConfigError, match="made for the base model"):
        inference.run(configure(other), context)


def test_an_adapter_from_another_machine_is_noted(context, tiny_model_dir):
    file = context.run.stage("sft").artifacts / "adapter" / "adapter_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"base_model_name_or_path": "/elsewhere/base"}))
    record = inference.run(configure(tiny_model_dir), context)
    assert "/elsewhere/base" in record.notes[0]


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_broken_adapter_configuration_is_one_clear_error(context, tiny_model_dir, content):
    (context.run.stage("sft").artifacts / "adapter" / "adapter_config.json").write_text(content)
    with pytest.raises(ConfigError, match="adapter"):
        inference.run(configure(tiny_model_dir), context)
