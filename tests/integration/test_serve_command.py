"""``practicum serve`` with vLLM and SmolLM2: OpenAI's client unchanged, clients that go away, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import openai
import psutil
import pytest

from practicum_core.api_keys import KEY_FILE, read_key_file

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ASKED = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


def wait_for(condition, timeout_s, what):
    deadline_s = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline_s, what()
        time.sleep(0.02)
    return found


def read_gauge(url, name):
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as page:  # noqa: S310 - loopback
        lines = page.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def check_answers(client):
    assert next(model.id for model in client.models.list()) == ASKED["model"]
    whole = client.chat.completions.create(**ASKED, max_tokens=12, temperature=0)
    chunks = list(client.chat.completions.create(**ASKED, max_tokens=12, temperature=0, stream=True))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert streamed == whole.choices[0].message.content
    assert "Paris" in streamed
    assert len(chunks) > 5
    assert all(chunk.usage is None for chunk in chunks)
    counted = list(
        client.chat.completions.create(**ASKED, max_tokens=12, stream=True, stream_options={"include_usage": True})
    )
    assert counted[-1].usage.prompt_tokens == whole.usage.prompt_tokens > 20
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**{**ASKED, "model": "another"})
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        client.chat.completions.create(model=ASKED["model"], messages=[{"role": "user", "content": "a b " * 9000}])


def check_clients_that_go_away(client, engine_url):
    """In the stream, before the first token, and while a whole answer is awaited: the engine is idle at once."""

    def count_running():
        return read_gauge(engine_url, "vllm:num_requests_running") + read_gauge(
            engine_url, "vllm:num_requests_waiting{"
        )

    long = {**ASKED, "max_tokens": 4000, "extra_body": {"ignore_eos": True}}
    stream = client.chat.completions.create(**long, stream=True)
    next(iter(stream))
    assert count_running() == 1
    stream.close()
    wait_for(lambda: count_running() == 0, 1.0, lambda: "the engine still works for a stream that was closed")
    hurried = client.with_options(timeout=0.5)
    for is_streamed in (False, True):
        with pytest.raises(openai.APITimeoutError):
            hurried.chat.completions.create(
                **(long | ({"messages": [{"role": "user", "content": "word " * 7000}], "max_tokens": 5})),
                stream=is_streamed,
            )
        wait_for(lambda: count_running() == 0, 1.5, lambda: "the engine still works for a client that is gone")


def test_openais_client_is_answered_by_vllm_until_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "practicum_cli.main", "serve", "builtin:smollm2-135m", "--json"]
    with (tmp_path / "err.txt").open("w") as err:
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=err, text=True, env={**os.environ}
        )
    try:
        line = process.stdout.readline()
        assert line, (tmp_path / "err.txt").read_text()[-2000:]
        told = json.loads(line)
        client = openai.OpenAI(base_url=told["base_url"], api_key=told["api_key"], max_retries=0, timeout=60)
        assert told["model"] == ASKED["model"]
        [run] = (tmp_path / "experiments/service").glob("*-??????")
        engine_url = json.loads((run / "status.json").read_text())["stages"][0]["endpoint"]
        with client:
            check_answers(client)
            check_clients_that_go_away(client, engine_url)
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    # What nobody has collected yet has ended all the same.
    assert not [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    record = json.loads((run / "stages/serve/record.json").read_text())
    parts = {metric["name"]: metric["value"] for metric in record["metrics"]}
    assert parts["ready_s"] == pytest.approx(
        sum(parts[f"{name}_s"] for name in ("files", "import", "engine", "server", "first_token")), abs=0.01
    )
    [key] = read_key_file(tmp_path / "experiments" / KEY_FILE).keys
    assert key.revoked_at is not None
