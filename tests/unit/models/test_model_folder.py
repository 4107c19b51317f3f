from __future__ import annotations

import hashlib
import json
import struct

import pytest

from practicum_core.errors import ConfigError, Reason
from practicum_jobs.models.folder import build_model_lock, check_model_folder, count_parameters
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import read_special_tokens


def write_safetensors(path, shapes):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    write_safetensors(tmp_path / "model-00001-of-00002.safetensors", {"a": [3, 4], "b": []})
    write_safetensors(tmp_path / "model-00002-of-00002.safetensors", {"c": [2, 2, 2]})
    return tmp_path


def test_a_whole_folder_is_locked_by_content(folder):
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    lock = build_model_lock(folder, "file:///m", "r1")
    assert (lock.family, lock.num_parameters, lock.revision) == ("llama", 12 + 1 + 8, "r1")
    assert lock.chat_template_sha256 == hashlib.sha256(b"{{ messages }}").hexdigest()
    assert [file.path for file in lock.files] == sorted(file.path for file in lock.files)
    assert "pytorch_model.bin" not in {file.path for file in lock.files}
    (folder / "tokenizer.json").write_text("{ }")
    changed = build_model_lock(folder, "file:///m", "r1")
    assert changed.sha256 != lock.sha256
    assert changed.tokenizer_sha256 != lock.tokenizer_sha256


def test_a_file_uri_names_the_folder_in_place(folder, tmp_path):
    files = ensure_model(f"file://{folder}", tmp_path / "cache")
    assert files.path == folder
    assert files.build_lock().uri == f"file://{folder}"


def test_everything_that_is_missing_is_named_at_once(tmp_path):
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(ConfigError, match=r"no config.json; no tokenizer.json; no \*.safetensors") as caught:
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
