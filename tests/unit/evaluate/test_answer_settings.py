"""What kept answers are found by: a change of anything that an answer depends on gives other settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from practicum_core.stages.evaluate import EvaluateConfig
from practicum_jobs.adapters import answers_local
from practicum_jobs.adapters.answer_engine import REMOTE, EngineFacts, hash_code
from practicum_jobs.evaluate.answering import build_settings
from practicum_jobs.evaluate.models import EvaluatedModel
from practicum_jobs.models.tokens import ChatTokenizer

FACTS = EngineFacts("llama_cpp", "xllamacpp 1, code ab", "gguf", "cpu")


@pytest.fixture
def folder(tmp_path):
    write_tokenizer(tmp_path, ["a", "b", "end"])
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}")
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 2}))
    return tmp_path


def write_tokenizer(folder, words):
    Tokenizer(WordLevel(dict(zip(words, range(3), strict=True)))).save(str(folder / "tokenizer.json"))


def build(folder, facts=FACTS):
    model = EvaluatedModel("file:///x.gguf", folder / "x.gguf", None, "ab" * 32, folder)
    return build_settings(model, ChatTokenizer(folder), facts, EvaluateConfig())


def test_the_same_files_give_the_same_settings(folder):
    assert build(folder) == build(folder)


def test_a_tokenizer_that_decodes_otherwise_gives_other_settings(folder):
    before = build(folder)
    write_tokenizer(folder, ["b", "a", "end"])
    assert build(folder) != before


def test_other_stop_tokens_give_other_settings(folder):
    before = build(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 2]}))
    assert build(folder) != before


def test_transformers_needs_no_more_of_another_tokenizer_than_its_file(folder):
    (folder / "config.json").unlink()
    settings = build(folder, EngineFacts("transformers", "1", "float32", "cpu"))
    assert "tokenizer_sha256" in settings
    assert "stop_ids" not in settings


def test_a_server_decodes_and_stops_itself(folder):
    assert set(build(folder, EngineFacts("openai", "vllm", "unknown", REMOTE))) == {
        "model_sha256",
        "engine",
        "sampling",
    }


@pytest.mark.parametrize("name", ["VllmAnswers", "LlamaAnswers"])
def test_the_code_that_decodes_answers_is_part_of_the_engine(monkeypatch, name):
    hashed = []
    monkeypatch.setattr(answers_local, "hash_code", lambda *modules: hashed.extend(modules) or hash_code(*modules))
    monkeypatch.setattr(answers_local, "_read_version", lambda *_: "1")  # the packages are not in this environment
    model = answers_local.LocalModel(Path("x"), frozenset(), str, 8, 1, 1, "auto")
    assert getattr(answers_local, name)(model).facts.version.startswith("1, code ")
    assert {"models/tokens", "models/stop_tokens"} <= set(hashed)
