from __future__ import annotations

import json
import shutil

import pytest
import transformers

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.rows import Message
from practicum_jobs.models.tokens import ChatTokenizer, read_chat_template

CONVERSATIONS = [
    [{"role": "user", "content": "Where is order 4711?"}],
    [{"role": "system", "content": "JSON only."}, {"role": "user", "content": "退款 128 元\n\n12 件"}],
    [
        {"role": "user", "content": "Hi  there"},
        {"role": "assistant", "content": '{"category":"refund"}'},
        {"role": "user", "content": "<|im_end|> and 😀 é"},
    ],
]


@pytest.mark.parametrize("add_generation_prompt", [True, False])
@pytest.mark.parametrize("messages", CONVERSATIONS)
def test_tokens_equal_those_of_transformers(tiny_model_dir, messages, add_generation_prompt):
    reference = transformers.AutoTokenizer.from_pretrained(tiny_model_dir)
    expected = reference.apply_chat_template(messages, add_generation_prompt=add_generation_prompt, return_dict=False)
    ours = ChatTokenizer(tiny_model_dir)
    text = ours.render([Message(**turn) for turn in messages], add_generation_prompt=add_generation_prompt)
    assert ours.encode(text) == expected
    assert ours.count_tokens([text]) == [len(expected)]


def test_a_template_in_tokenizer_config_with_tags_filters_and_tokens_renders_as_in_transformers(
    tiny_model_dir, tmp_path
):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_dir, folder)
    (folder / "chat_template.jinja").unlink()
    template = (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}{% continue %}{% endif %}\n"
        "  {% generation %}{{ m | tojson }}{% endgeneration %}{{ eos_token }}{% endfor %}"
    )
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] = [{"name": "default", "template": template}, {"name": "other", "template": "x"}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert read_chat_template(folder) == template
    messages = [{"role": "user", "content": "<b>价格</b>"}, {"role": "tool", "content": "left out"}]
    reference = transformers.AutoTokenizer.from_pretrained(folder)
    expected = reference.apply_chat_template(messages, tokenize=False)
    assert ChatTokenizer(folder).render(messages, add_generation_prompt=False) == expected


def test_a_conversation_that_the_template_refuses_is_a_data_error(tiny_model_dir, tmp_path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((tiny_model_dir / name).read_bytes())
    (tmp_path / "chat_template.jinja").write_text("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(DataError, match="roles must alternate"):
        ChatTokenizer(tmp_path).render(CONVERSATIONS[0], add_generation_prompt=True)


@pytest.mark.parametrize("broken", ["tokenizer.json", "chat_template.jinja"])
def test_a_broken_file_is_named(tiny_model_dir, tmp_path, broken):
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes((tiny_model_dir / name).read_bytes())
    (tmp_path / broken).write_text("{% oops")
    with pytest.raises(ConfigError, match=r"not a tokenizer|template is broken") as caught:
        ChatTokenizer(tmp_path)
    assert caught.value.reason is Reason.MODEL_MISSING
