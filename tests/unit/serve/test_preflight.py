"""Models that vLLM would refuse after a minute are refused at once: a chat template that fails, odd attention heads."""

from __future__ import annotations

import json

import pytest

from practicum_core.errors import ConfigError
from practicum_jobs.serve import preflight
from practicum_jobs.serve.preflight import check_head_size, check_template


@pytest.mark.parametrize(
    ("config", "is_refused"),
    [
        ({"hidden_size": 576, "num_attention_heads": 9}, False),
        ({"hidden_size": 64, "num_attention_heads": 4}, True),
        ({"hidden_size": 64, "num_attention_heads": 4, "head_dim": 64}, False),
        ({}, False),
    ],
)
def test_sizes_of_heads(tmp_path, monkeypatch, config, is_refused):
    monkeypatch.setattr(preflight, "list_gpus", list)
    (tmp_path / "config.json").write_text(json.dumps(config))
    if not is_refused:
        check_head_size(tmp_path, "hf://a/b")
        return
    with pytest.raises(ConfigError, match="hf://a/b: its attention heads have 16 numbers, and vLLM on a processor"):
        check_head_size(tmp_path, "hf://a/b")
    monkeypatch.setattr(preflight, "list_gpus", lambda: ["one"])
    check_head_size(tmp_path, "hf://a/b")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('no system turn') }}", "hf://a/b: the chat template refuses .*no system turn"),
        ("{{ 1 / 0 }}", "hf://a/b: the chat template fails .*ZeroDivisionError"),
    ],
)
def test_a_chat_template_that_fails(make_tokenizer_folder, template, said):
    folder = make_tokenizer_folder(template)
    with pytest.raises(ConfigError, match=said):
        check_template(folder, "hf://a/b")
    check_template(make_tokenizer_folder("{{ messages[0]['content'] }}"), "hf://a/b")


@pytest.fixture
def make_tokenizer_folder(tmp_path):
    def make(template):
        from tokenizers import Tokenizer, models  # noqa: PLC0415 - only these tests need one

        Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "chat_template.jinja").write_text(template)
        (tmp_path / "tokenizer_config.json").write_text("{}")
        return tmp_path

    return make
