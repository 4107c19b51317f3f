"""LoRA adapters beside a base model: what is refused before anything is loaded, and the memory of those that fit."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from practicum_core.errors import ConfigError
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.context import StageContext
from practicum_jobs.serve.adapters import choose_rank, ensure_adapters
from practicum_jobs.serve.memory import GIB, estimate_memory

MODULE = "model.layers.0.self_attn.q_proj"


def write_tensors(path, shapes):
    entries, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * shape[1]
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + end)


@pytest.fixture
def base(tmp_path):
    folder = tmp_path / "base"
    folder.mkdir()
    write_tensors(folder / "model.safetensors", {f"{MODULE}.weight": [64, 48]})
    return folder


@pytest.fixture
def make_adapter(tmp_path, base):
    def make(name, rank=8, num_in=48, **config):
        folder = tmp_path / name
        folder.mkdir()
        usual = {"base_model_name_or_path": str(base), "peft_type": "LORA", "r": rank, "bias": "none"}
        (folder / "adapter_config.json").write_text(json.dumps(usual | config))
        prefix = f"base_model.model.{MODULE}"
        shapes = {f"{prefix}.lora_A.weight": [rank, num_in], f"{prefix}.lora_B.weight": [64, rank]}
        write_tensors(folder / "adapter_model.safetensors", shapes)
        return f"file://{folder}"

    return make


def check(base, tmp_path, adapters, **options):
    config = ServeConfig(model=f"file://{base}", adapters=adapters, **options)
    return config, ensure_adapters(config, base, ("base",), StageContext(tmp_path, "serve", "serve"))


def test_adapters_of_the_base_are_taken(base, make_adapter, tmp_path):
    _, adapters = check(base, tmp_path, {"a": make_adapter("one"), "b": make_adapter("two", rank=20)})
    assert [(one.name, one.rank, one.num_parameters, one.note) for one in adapters] == [
        ("a", 8, 8 * 112, ""),
        ("b", 20, 20 * 112, ""),
    ]
    assert choose_rank(adapters) == 32


def test_an_unknown_base_is_noted_where_the_weights_fit(base, make_adapter, tmp_path):
    _, [adapter] = check(base, tmp_path, {"a": make_adapter("one", base_model_name_or_path="/gone/model")})
    assert "'/gone/model' is not known on this machine" in adapter.note


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            {"base_model_name_or_path": "Qwen/Qwen2.5-0.5B"},
            r"made for the base model 'Qwen/Qwen2.5-0.5B', not for file:",
        ),
        ({"num_in": 96}, r"made for .*: model\.layers\.0\.self_attn\.q_proj is made for 64 x 96 and is 64 x 48 there"),
        ({"rank": 33}, "rank 33, above the limit of 32"),
        ({"use_dora": True, "bias": "all"}, "it has use_dora, bias, which vLLM does not compute"),
    ],
)
def test_others_are_refused_in_one_sentence(base, make_adapter, tmp_path, made, said):
    with pytest.raises(ConfigError, match=said) as refused:
        check(base, tmp_path, {"a": make_adapter("one", **made)}, max_lora_rank=32)
    assert "\n" not in refused.value.detail


def test_a_whole_model_is_no_adapter(base, tmp_path):
    with pytest.raises(ConfigError, match=r"no adapter_config\.json in"):
        check(base, tmp_path, {"a": f"file://{base}"})


def test_a_name_is_given_once(base, make_adapter, tmp_path):
    with pytest.raises(ConfigError, match="adapter 'base': the base model has this name"):
        check(base, tmp_path, {"base": make_adapter("one")})
    with pytest.raises(ValidationError, match="is no name of an adapter"):
        ServeConfig(adapters={"a/b": "latest:sft/adapter"})


def test_a_week_job_names_adapters_in_texts():
    texts = ["student-01=latest:sft/adapter", "b=file:///x=y"]
    assert ServeConfig(adapters=texts).adapters == {"student-01": "latest:sft/adapter", "b": "file:///x=y"}
    with pytest.raises(ValidationError, match=r"expected NAME=URI.*not 'latest:sft/adapter'"):
        ServeConfig(adapters=["latest:sft/adapter"])
    with pytest.raises(ValidationError, match="two adapters have the same name"):
        ServeConfig(adapters=["a=file:///x", "a=file:///y"])


def test_adapters_count_in_the_memory(base, make_adapter, tmp_path):
    config, adapters = check(base, tmp_path, {name: make_adapter(name, rank=20) for name in "abc"})
    without = estimate_memory(base, config)
    expected = (3 * 20 * 112 + 4 * 32 * 112) * 2 / GIB
    assert estimate_memory(base, config, adapters).total_gib - without.total_gib == pytest.approx(expected)
