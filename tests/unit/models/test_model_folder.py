from __future__ import annotations

import hashlib
import json
import math
import random
import struct

import pytest
from tokenizers import Tokenizer, models

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.stages.model import ModelConfig
from practicum_jobs import model
from practicum_jobs.context import StageContext
from practicum_jobs.models.folder import build_model_lock, check_model_folder
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer, read_special_tokens
from practicum_jobs.models.weights import count_parameters


def build_header(shapes):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    return header, offset


def write_safetensors(path, shapes):
    header, size = build_header(shapes)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))


SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    write_safetensors(tmp_path / SHARDS[0], {"a": [3, 4], "b": []})
    write_safetensors(tmp_path / SHARDS[1], {"c": [2, 2, 2]})
    places = {"a": SHARDS[0], "b": SHARDS[0], "c": SHARDS[1]}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return tmp_path


def test_a_whole_folder_is_locked_by_content(folder):
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    lock = build_model_lock(folder, "file:///m", "r1")
    assert (lock.family, lock.num_parameters, lock.revision) == ("llama", 12 + 1 + 8, "r1")
    assert lock.chat_template_sha256 == hashlib.sha256(b"{{ messages }}").hexdigest()
    assert [file.path for file in lock.files] == sorted(file.path for file in lock.files)
    assert "pytorch_model.bin" not in {file.path for file in lock.files}
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + " ")
    changed = build_model_lock(folder, "file:///m", "r1")
    assert changed.sha256 != lock.sha256
    assert changed.tokenizer_sha256 != lock.tokenizer_sha256


def test_a_file_uri_names_the_folder_in_place(folder, tmp_path):
    files = ensure_model(f"file://{folder}", tmp_path / "cache")
    assert files.path == folder
    assert files.build_lock().uri == f"file://{folder}"


def test_everything_that_is_missing_is_named_at_once(tmp_path):
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(
        ConfigError, match=r"config.json: the file is missing; no \*.safetensors.*; no tokenizer.json"
    ) as caught:
        check_model_folder(tmp_path, "file:///m")
    assert caught.value.reason is Reason.MODEL_MISSING


def test_a_base_model_without_a_chat_template_is_refused(folder):
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no chat template"):
        check_model_folder(folder, "file:///m")


def test_an_adapter_is_not_taken_for_a_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds an adapter"):
        check_model_folder(tmp_path, "file:///m")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="is not a folder"):
        ensure_model(f"file://{tmp_path}/nothing", tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x08", struct.pack("<Q", 1 << 60) + b"{}", struct.pack("<Q", 4) + b"{{{{"])
def test_broken_weights_are_a_model_error(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match="safetensors"):
        count_parameters(tmp_path / "m.safetensors")


def test_special_tokens_are_read_in_both_forms(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "</s>"}, "bos_token": null}')
    (tmp_path / "special_tokens_map.json").write_text('{"pad_token": "<pad>"}')
    assert read_special_tokens(tmp_path) == {"eos_token": "</s>", "pad_token": "<pad>"}


def cut(path, num_bytes):
    path.write_bytes(path.read_bytes()[:num_bytes])


def use_one_file(folder, shapes):
    for name in (*SHARDS, "model.safetensors.index.json"):
        (folder / name).unlink()
    write_safetensors(folder / "model.safetensors", shapes)


def configure(folder, **values):
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **values}))


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5\n"
WRONG = {
    "weights cut off": (
        lambda f: cut(f / SHARDS[1], -1),
        "00002.*: cut off: its header promises",
    ),
    "header cut off": (lambda f: cut(f / SHARDS[1], 40), "00002.*: cut off, or not a safetensors file"),
    "weights longer": (lambda f: (f / SHARDS[1]).write_bytes((f / SHARDS[1]).read_bytes() + b"x"), "longer than"),
    "a shard is missing": (lambda f: (f / SHARDS[1]).unlink(), "1 of 2 weight files are missing: model-00002"),
    "a shard is a broken link": (
        lambda f: ((f / SHARDS[0]).unlink(), (f / SHARDS[0]).symlink_to(f / "blob")),
        "missing: model-00001.* .broken links.",
    ),
    "no index": (lambda f: (f / "model.safetensors.index.json").unlink(), "no model.safetensors.index.json"),
    "index cut off": (lambda f: cut(f / "model.safetensors.index.json", 20), "index.json: not JSON"),
    "index without a map": (lambda f: (f / "model.safetensors.index.json").write_text("{}"), "no weight_map"),
    "index leads out": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../x.safetensors"}}'),
        "no weight_map",
    ),
    "a tensor is in no shard": (
        lambda f: write_safetensors(f / SHARDS[1], {"d": [1]}),
        "1 tensors of model.safetensors.index.json lie in no file: c",
    ),
    "weights are a pointer": (lambda f: (f / SHARDS[0]).write_text(LFS), "00001.*: a Git LFS pointer.*git lfs pull"),
    "weights are a page": (lambda f: (f / SHARDS[0]).write_text("<!DOCTYPE html><html>" * 9), "00001.*: a web page"),
    "weights are empty": (lambda f: (f / SHARDS[0]).write_bytes(b""), "00001.*: empty"),
    "another name": (
        lambda f: (use_one_file(f, {}), (f / "model.safetensors").rename(f / "weights.safetensors")),
        "no model.safetensors, by which weights are found .there is weights.safetensors",
    ),
    "gptq": (lambda f: configure(f, quantization_config={"quant_method": "gptq", "bits": 4}), "quantized .gptq."),
    "awq": (lambda f: configure(f, quantization_config={"quant_method": "awq"}), "quantized .awq.*qlora"),
    "compressed": (lambda f: configure(f, compression_config={"x": 1}), "weights are quantized"),
    "its own code": (
        lambda f: configure(f, model_type="my_model", auto_map={"AutoConfig": "configuration_my.MyConfig"}),
        "'my_model' needs Python code .*auto_map.* never run",
    ),
    "unknown type": (lambda f: configure(f, model_type="lama"), "'lama' is no causal .* did you mean 'llama'"),
    "an encoder": (lambda f: configure(f, model_type="t5"), "'t5' is no causal language model"),
    "no type": (lambda f: (f / "config.json").write_text("{}"), "config.json: no model_type"),
    "config cut off": (lambda f: cut(f / "config.json", 9), "config.json: not JSON"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "config.json: expected a JSON object"),
    "config is latin-1": (lambda f: (f / "config.json").write_bytes(b'{"model_type": "ll\xe4ma"}'), "config.json: not"),
    "config is a pointer": (lambda f: (f / "config.json").write_text(LFS), "config.json: a Git LFS pointer"),
    "fewer layers": (
        lambda f: (use_one_file(f, {"model.layers.0.a.weight": [1]}), configure(f, num_hidden_layers=3)),
        "num_hidden_layers 3, and the weights have 1",
    ),
    "another width": (
        lambda f: (use_one_file(f, {"model.embed_tokens.weight": [9, 4]}), configure(f, vocab_size=9, hidden_size=8)),
        "hidden_size 8, and the weights have 4",
    ),
    "another vocabulary": (
        lambda f: (use_one_file(f, {"model.embed_tokens.weight": [9, 4]}), configure(f, vocab_size=8, hidden_size=4)),
        "vocab_size 8, and the weights have 9",
    ),
    "another model's tokenizer": (
        lambda f: (use_one_file(f, {"model.embed_tokens.weight": [1, 4]}), configure(f, vocab_size=1, hidden_size=4)),
        "has 2 tokens, and the model has embeddings for 1",
    ),
    "tokenizer cut off": (lambda f: cut(f / "tokenizer.json", 30), "tokenizer.json: not a tokenizer"),
    "tokenizer is a pointer": (lambda f: (f / "tokenizer.json").write_text(LFS), "tokenizer.json: a Git LFS pointer"),
    "slow tokenizer": (
        lambda f: (f / "tokenizer.json").rename(f / "tokenizer.model"),
        "no tokenizer.json .tokenizer.model alone is not read",
    ),
    "template broken": (lambda f: (f / "chat_template.jinja").write_text("{% if %}"), "chat template is broken"),
    "template is latin-1": (lambda f: (f / "chat_template.jinja").write_bytes(b"\xe9"), "chat_template.jinja"),
    "templates without names": (
        lambda f: (
            (f / "chat_template.jinja").unlink(),
            (f / "tokenizer_config.json").write_text('{"chat_template": [1, {"name": "default"}]}'),
        ),
        "no chat template",
    ),
    "tokenizer's configuration is a list": (
        lambda f: ((f / "chat_template.jinja").unlink(), (f / "tokenizer_config.json").write_text("[]")),
        "tokenizer_config.json: expected a JSON object",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_model_step_says_what_is_wrong_with_a_folder_before_anything_loads_it(folder, tmp_path_factory, case):
    spoil, message = WRONG[case]
    spoil(folder)
    ctx = StageContext(tmp_path_factory.mktemp("run"), "model", "model", folder / "cache")
    with pytest.raises(ConfigError, match=message) as caught:
        model.run(ModelConfig(model=f"file://{folder}"), ctx)
    assert caught.value.reason is Reason.MODEL_MISSING
    assert caught.value.fix
    assert not ctx.run.model_lock.exists()


def test_a_whole_folder_passes(folder, tmp_path_factory):
    ctx = StageContext(tmp_path_factory.mktemp("run"), "model", "model", folder / "cache")
    assert model.run(ModelConfig(model=f"file://{folder}"), ctx).num_parameters == 21


def test_a_native_model_may_carry_code_that_is_not_run(folder):
    configure(folder, model_type="phi3", auto_map={"AutoConfig": "configuration_phi3.Phi3Config"})
    check_model_folder(folder, "file:///m")


def test_lengths_can_be_measured_for_a_model_whose_weights_are_elsewhere(folder):
    for name in (*SHARDS, "model.safetensors.index.json", "config.json"):
        (folder / name).unlink()
    check_model_folder(folder, "file:///m", has_weights=False)


def test_a_template_that_fails_in_any_way_is_the_conversations_fault(folder):
    (folder / "chat_template.jinja").write_text("{{ messages[0].content + 1 }}")
    tokenizer = ChatTokenizer(folder)
    with pytest.raises(DataError, match="fails at a conversation: TypeError"):
        tokenizer.render([{"role": "user", "content": "a"}], add_generation_prompt=True)


def mutate(content, generator):
    """Change a few bytes, cut, double or replace: what bad disks, editors and downloads do to a file."""
    data = bytearray(content)
    match generator.randrange(5):
        case 0:
            return bytes(data[: generator.randrange(len(data) + 1)])
        case 1:
            for _ in range(generator.randrange(1, 9)):
                data[generator.randrange(len(data))] = generator.randrange(256)
            return bytes(data)
        case 2:
            place = generator.randrange(len(data))
            return bytes(data[:place] + generator.randbytes(generator.randrange(40)) + data[place:])
        case 3:
            words = [b"null", b"[]", b"-1", b'"x"', b"1e999", b"{}", b"true", b"9" * 30, b"[[" * 3000]
            start = generator.randrange(len(data))
            return bytes(data[:start] + generator.choice(words) + data[start + generator.randrange(9) :])
        case _:
            return generator.choice([b"", b"\x00" * 64, b"[]", b"null", b"\xff\xfe{}", LFS.encode(), bytes(data * 2)])


def test_no_spoiled_file_of_a_model_is_an_internal_fault(folder, tmp_path_factory):
    """600 mutated folders: each is opened whole, or is the user's to mend."""
    (folder / "tokenizer_config.json").write_text('{"eos_token": {"content": "a"}, "chat_template": "{{ messages }}"}')
    names = ["config.json", "tokenizer.json", "chat_template.jinja", "tokenizer_config.json"]
    names += ["model.safetensors.index.json", *SHARDS]
    whole = {name: (folder / name).read_bytes() for name in names}
    ctx = StageContext(tmp_path_factory.mktemp("run"), "model", "model", folder / "cache")
    refusals = []
    for seed in range(600):
        generator = random.Random(seed)
        name = generator.choice(names)
        (folder / name).write_bytes(mutate(whole[name], generator))
        try:
            model.run(ModelConfig(model=f"file://{folder}"), ctx)
        except ConfigError as error:
            refusals.append(error)
        finally:
            (folder / name).write_bytes(whole[name])
    assert len(refusals) > 300
    assert all(error.fix for error in refusals)
