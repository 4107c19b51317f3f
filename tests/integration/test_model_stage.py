from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

from practicum_core.content_hash import hash_path
from practicum_core.machine import get_cache_dir
from practicum_core.rows import Message, Row
from practicum_core.stages.model import ModelConfig, ModelLock
from practicum_jobs import model
from practicum_jobs.adapters.generation import generate_answers, load_causal_lm
from practicum_jobs.context import StageContext
from practicum_jobs.models.loading import list_causal_types
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer

PROBE = """
import sys
from pathlib import Path
from practicum_jobs.__main__ import main
code = main(["model", "--config", sys.argv[1], "--run-dir", sys.argv[2]])
assert "torch" not in sys.modules and "transformers" not in sys.modules, "a heavy library was imported"
sys.exit(code)
"""


def test_the_lock_names_every_file_by_content(tiny_model_dir, tmp_path):
    ctx = StageContext(tmp_path, "model", "model", tmp_path / "cache")
    record = model.run(ModelConfig(model=f"file://{tiny_model_dir}"), ctx)
    lock = ModelLock.model_validate_json(ctx.run.model_lock.read_bytes())
    assert record.sha256 == lock.sha256
    assert record.family == "llama"
    assert {file.path: file.sha256 for file in lock.files}["model.safetensors"] == hash_path(
        tiny_model_dir / "model.safetensors"
    )
    loaded = load_causal_lm(tiny_model_dir)
    assert record.num_parameters == sum(parameter.numel() for parameter in loaded.model.parameters())


def test_a_model_that_is_there_needs_no_torch_and_under_two_seconds_of_the_processor(tiny_model_dir, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(f"model: file://{tiny_model_dir}\n")
    command = [sys.executable, "-c", PROBE, str(config), str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    seconds = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, env=environment, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 2.0


def test_the_model_types_read_from_the_source_of_transformers_are_those_that_it_loads():
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # noqa: PLC0415 - as below

    assert list_causal_types() == set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


@pytest.mark.slow
def test_the_converted_smollm2_answers_and_its_tokens_are_those_of_transformers():
    import transformers  # noqa: PLC0415 - for slow tests only

    files = ensure_model("builtin:smollm2-135m", get_cache_dir())
    loaded = load_causal_lm(files.path)
    question = Row(id="q", messages=[Message(role="user", content="What is the capital of France?")], answer="Paris")
    (answer,) = generate_answers(loaded, [ChatTokenizer(files.path).encode_prompt(question)], 32)
    assert "Paris" in answer.text
    assert answer.is_stopped
    assert json.loads((files.path / "generation_config.json").read_text())["eos_token_id"] == 2
    ours = ChatTokenizer(files.path)
    reference = transformers.AutoTokenizer.from_pretrained(files.path)
    for text in ("Order TK-100\n\n12 items  34", "订单 20481，金额 128 元", "<|im_end|> x"):
        turns = [{"role": "system", "content": "JSON."}, {"role": "user", "content": text}]
        expected = reference.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        assert ours.encode(ours.render(turns, add_generation_prompt=True)) == expected
    # Digits stand alone and blank lines before them stay one token, as SmolLM2 was trained.
    assert [ours.decode([token]) for token in ours.encode("a\n\n12")] == ["a", "\n\n", "1", "2"]


@pytest.mark.slow
def test_a_conversion_from_the_package_is_whole_and_equals_the_cached_one(tmp_path, monkeypatch):
    cached = ensure_model("builtin:smollm2-135m", get_cache_dir()).build_lock()
    packages = sorted((get_cache_dir() / "packages").glob("model-smollm2-*"))
    monkeypatch.setenv("PRACTICUM_MODEL_PACKAGE", str(packages[0]))
    again = ensure_model("builtin:smollm2-135m", tmp_path)
    assert again.build_lock() == cached
    assert [folder for folder in (tmp_path / "models").iterdir() if folder.is_dir()] == [again.path]
