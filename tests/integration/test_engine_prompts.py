"""Prompt tokens that an engine shows: transformers on a tiny model, with the faults that change them planted."""

from __future__ import annotations

import shutil

import pytest

from practicum_jobs.adapters.engine import EngineSettings
from practicum_jobs.adapters.engine_transformers import TransformersEngine
from practicum_jobs.models.prompts import compare_prompts
from practicum_jobs.models.tokens import ChatTokenizer

TURNS = [
    [{"role": "user", "content": text}]
    for text in ("Where is order 4711?", "退款", "a longer ticket about an order " * 3)
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model_dir):
    return ChatTokenizer(tiny_model_dir)


def render(tokenizer, turns):
    return tokenizer.render(turns, add_generation_prompt=True)


@pytest.fixture(scope="module")
def meant(tokenizer):
    return [tokenizer.encode(render(tokenizer, turns)) for turns in TURNS]


def load(folder):
    return TransformersEngine(EngineSettings(folder, [2], 3, 256, 3, 1))


@pytest.fixture(scope="module")
def engine(tiny_model_dir):
    return load(tiny_model_dir)


def check(engine, meant, given):
    return compare_prompts(meant, [one.prompt_token_ids for one in engine.answer(given, concurrency=3)])


def test_a_padded_batch_shows_the_tokens_of_each_prompt_and_the_template_those_of_each_conversation(engine, meant):
    assert len({len(one) for one in meant}) == 3
    assert check(engine, meant, meant).is_shown
    assert compare_prompts(meant, engine.read_conversations(TURNS)).is_shown


def test_a_template_applied_twice_and_an_added_bos_are_found(engine, tokenizer, meant):
    twice = [[{"role": "user", "content": render(tokenizer, turns)}] for turns in TURNS]
    given = [tokenizer.encode(render(tokenizer, turns)) for turns in twice]
    assert check(engine, meant, given).num_different == 3
    found = check(engine, meant, [[0, *meant[0]], *meant[1:]])
    assert (found.num_same, found.first_difference) == (2, "prompt 1: 1 token more at the start: 0")


def test_another_template_in_the_folder_is_found(tiny_model_dir, tmp_path, meant):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_dir, folder)
    template = folder / "chat_template.jinja"
    template.write_text("{{ bos_token }}" + template.read_text())
    assert compare_prompts(meant, load(folder).read_conversations(TURNS)).num_different == 3


def test_a_template_that_refuses_shows_nothing(tiny_model_dir, tmp_path, meant):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_dir, folder)
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    assert compare_prompts(meant, load(folder).read_conversations(TURNS)).num_not_shown == 3
