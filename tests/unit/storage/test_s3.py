"""Models and data at ``s3://``, read by the real client from a server that speaks S3 (moto's, as a process)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import s3fs
from safetensors.numpy import save
from tokenizers import Tokenizer, models

from practicum_cluster.api import wait_until
from practicum_core.errors import ConfigError, DataError, PlatformError, Reason
from practicum_jobs.datasets.sources import open_source
from practicum_jobs.models.sources import ensure_model

ROW = {"messages": [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]}
VARIABLES = {"AWS_ACCESS_KEY_ID": "student", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
OBJECTS = {
    "data/train.jsonl": json.dumps(ROW).encode() + b"\n",
    "data/more/test.jsonl": json.dumps(ROW).encode() + b"\n",
    "data/code.py": b"raise SystemExit",
    "model/config.json": b'{"model_type": "llama"}',
    "model/tokenizer.json": Tokenizer(models.BPE({"a": 0, "b": 1}, [])).to_str().encode(),
    "model/chat_template.jinja": b"{{ messages }}",
    "model/model.safetensors": save({"a": np.ones((3, 4), np.float32)}, {"format": "pt"}),
    "model/train.py": b"raise SystemExit",
}


def pick_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    port = pick_port()
    log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log, subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | VARIABLES) as server:

        def is_up():
            assert server.poll() is None, Path(log.name).read_text()
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True

        wait_until(is_up, "the server", 30)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture
def bucket(address, monkeypatch):
    """A filled bucket, and the variables by which a person names the server."""
    for name, value in {**VARIABLES, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    filesystem = s3fs.S3FileSystem()
    if not filesystem.exists("class"):
        filesystem.mkdir("class")
    for name, content in OBJECTS.items():
        filesystem.pipe_file(f"class/{name}", content)
    yield filesystem
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_data_set_is_read_and_read_again_when_it_changes(bucket, tmp_path):
    source = open_source("s3://class/data", tmp_path)
    assert set(source.files) == {"train", "test"}
    assert not list(tmp_path.rglob("*.py"))
    bucket.pipe_file("class/data/train.jsonl", OBJECTS["data/train.jsonl"] * 3)
    bucket.invalidate_cache()
    (file,) = open_source("s3://class/data", tmp_path).files["train"]
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3


def test_one_file_is_read(bucket, tmp_path):
    assert set(open_source("s3://class/data/train.jsonl", tmp_path).files) == {"train"}


def test_a_model_is_copied_once_without_code(bucket, tmp_path):
    model = ensure_model("s3://class/model", tmp_path)
    wanted = {name.removeprefix("model/") for name in OBJECTS if name.startswith("model/")} - {"train.py"}
    assert {file.name for file in model.path.iterdir()} == wanted
    assert model.build_lock().num_parameters == 12
    assert ensure_model("s3://class/model", tmp_path) == model


@pytest.mark.parametrize(
    ("uri", "reason"),
    [("s3://class/nothing", Reason.DATA_MISSING), ("s3://no-such-bucket/data", Reason.DATA_MISSING)],
)
def test_what_is_not_there_is_told(bucket, tmp_path, uri, reason):
    with pytest.raises(DataError) as caught:
        open_source(uri, tmp_path)
    assert (caught.value.reason, uri in caught.value.detail) == (reason, True)


def test_a_model_that_is_not_there_is_told(bucket, tmp_path):
    with pytest.raises(ConfigError) as caught:
        ensure_model("s3://class/nothing", tmp_path)
    assert caught.value.reason is Reason.MODEL_MISSING


def test_a_server_that_does_not_answer_is_told_with_the_variables_to_check(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{pick_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(PlatformError) as caught:
        open_source("s3://class/data", tmp_path)
    assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert "AWS_ENDPOINT_URL" in caught.value.fix
