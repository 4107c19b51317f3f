"""``practicum serve`` of a GGUF file by llama.cpp, and what a command that is killed leaves behind: nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import httpx
import openai
import psutil
import pytest

from practicum_core.api_keys import KEY_FILE, read_key_file
from practicum_core.stage_process import SERVER_KEY_VARIABLE
from practicum_jobs.adapters.gguf_export import write_gguf
from practicum_jobs.models.tokens import read_chat_template
from tiny_models import make_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HELLO = [{"role": "user", "content": "My parcel has not arrived."}]


@pytest.fixture(scope="module")
def gguf_file(tiny_model_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    model = make_model(tiny_model_dir, folder / "model", 1)
    write_gguf(model, folder / "tiny.gguf", read_chat_template(model))
    return folder / "tiny.gguf"


@pytest.fixture
def command(tmp_path, gguf_file):
    with (tmp_path / "err.txt").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "practicum_cli.main", "serve", gguf_file, "--json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
    yield process
    process.kill()
    process.communicate()


def read_told(process, folder):
    line = process.stdout.readline()
    assert line, (folder / "err.txt").read_text()[-2000:]
    return json.loads(line)


def find_run(folder):
    [run] = (folder / "experiments/service").glob("*-??????")
    return run


def test_a_gguf_file_is_answered_by_llama_cpp(command, tmp_path):
    told = read_told(command, tmp_path)
    client = openai.OpenAI(base_url=told["base_url"], api_key=told["api_key"], max_retries=0, timeout=60)
    asked = {"model": "tiny.gguf", "messages": HELLO, "max_tokens": 8, "temperature": 0}
    with client:
        assert told["model"] == "tiny.gguf" == next(model.id for model in client.models.list())
        whole = client.chat.completions.create(**asked)
        assert whole.usage.completion_tokens == 8
        chunks = client.chat.completions.create(**asked, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**{**asked, "model": "another"})
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**{**asked, "messages": [{"role": "user", "content": "a b " * 2000}]})
    check_engine_is_closed(tmp_path)
    command.send_signal(signal.SIGINT)
    assert command.wait(60) == 0
    record = json.loads((find_run(tmp_path) / "stages/serve/record.json").read_text())
    assert (record["engine"], record["max_model_tokens"]) == ("llama_cpp", 1024)
    assert record["num_requests"] >= 4  # two of the client, one each for the engine and the gateway to be ready
    assert record["completion_tokens"] >= 16


def check_engine_is_closed(folder):
    """Other users of the machine reach the engine's port, and get counts alone; the key is in no file."""
    run = find_run(folder)
    server = json.loads((run / "status.json").read_text())["stages"][0]
    url = server["endpoint"]
    assert httpx.get(f"{url}/v1/models").status_code == 401
    assert httpx.post(f"{url}/v1/chat/completions", json={"messages": HELLO}).status_code == 401
    assert httpx.get(f"{url}/metrics").status_code == 200
    process = psutil.Process(int(server["child"]))
    key = process.environ()[SERVER_KEY_VARIABLE]
    assert httpx.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert key not in " ".join(process.cmdline())
    files = [path for path in (folder / "experiments").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if key.encode() in path.read_bytes()]


def test_a_command_that_is_killed_leaves_no_server_and_no_key(command, tmp_path):
    read_told(command, tmp_path)
    children = psutil.Process(command.pid).children(recursive=True)
    assert len(children) >= 2
    command.kill()
    deadline_s = time.monotonic() + 40
    while left := [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]:
        assert time.monotonic() < deadline_s, left
        time.sleep(0.05)
    [key] = read_key_file(tmp_path / "experiments" / KEY_FILE).keys
    assert key.revoked_at is not None
