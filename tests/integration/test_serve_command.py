"""``practicum serve`` with vLLM and SmolLM2: OpenAI's client unchanged, clients that go away, Ctrl-C."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import openai
import psutil
import pytest

from practicum_core.api_keys import KEY_FILE, read_key_file

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
GONE_S = float(os.environ.get("PRACTICUM_GONE_S", "3"))
"""How long something may be left of a request whose client went away; on an idle machine, less than a second."""
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


class Leaving:
    """Clients that go away from a gateway that lets two requests to an engine which computes one at a time."""

    def __init__(self, url, secret, engine_url):
        self.address = urllib.parse.urlsplit(url)
        self.url, self.secret, self.engine_url = url.removesuffix("/v1"), secret, engine_url
        self.seconds = {}

    def open(self, *, is_streamed, **fields):
        """Send a request and return its connection."""
        asked = {**ASKED, "max_tokens": 4000, "ignore_eos": True, "stream": is_streamed, **fields}
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(asked), {"authorization": f"Bearer {self.secret}"}
        )
        return connection

    def count(self):
        """Count what runs and waits at vLLM, and what waits at the gateway."""
        running = read_gauge(self.engine_url, "vllm:num_requests_running")
        waiting = read_gauge(self.engine_url, "vllm:num_requests_waiting{")
        return running, waiting, read_gauge(self.url, "practicum_gateway_waiting_requests")

    def wait_for(self, wanted, timeout_s, what):
        return wait_for(lambda: self.count() == wanted, timeout_s, lambda: f"{what}: {self.count()}, not {wanted}")

    def leave(self, connection, wanted, what):
        """Close a connection, and see that nothing is left of its request soon after."""
        connection.close()
        began_s = time.monotonic()
        self.wait_for(wanted, GONE_S, f"{GONE_S:g} s after its client went away {what}")
        self.seconds[what] = round(time.monotonic() - began_s, 3)


def check_clients_that_go_away(url, secret, engine_url):
    """Streamed and not: in each of both queues, before the first token, in the answer."""
    leaving = Leaving(url, secret, engine_url)
    idle, one = (0, 0, 0), (1, 0, 0)
    for is_streamed in (True, False):
        kind = "streamed" if is_streamed else "whole"
        first = leaving.open(is_streamed=is_streamed)
        leaving.wait_for(one, 20, "a request runs")
        second = leaving.open(is_streamed=is_streamed)
        leaving.wait_for((1, 1, 0), 20, "a request waits at vLLM")
        third = leaving.open(is_streamed=is_streamed)
        leaving.wait_for((1, 1, 1), 20, "a request waits at the gateway")
        leaving.leave(third, (1, 1, 0), f"from the gateway's queue, {kind}")
        leaving.leave(second, one, f"from vLLM's queue, {kind}")
        if is_streamed:
            assert first.getresponse().readline().startswith(b"data: ")
        leaving.leave(first, idle, f"in the answer, {kind}")
        words = [{"role": "user", "content": "word " * 7000}]
        prefill = leaving.open(is_streamed=is_streamed, messages=words, max_tokens=5)
        leaving.wait_for(one, 20, "a prompt is read")
        leaving.leave(prefill, idle, f"before the first token, {kind}")
    return leaving.seconds


def test_openais_client_is_answered_by_vllm_until_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "practicum_cli.main", "serve", "builtin:smollm2-135m", "--json"]
    # Few enough that requests wait in both queues. Nothing interrupts a step of the engine, so they are short ones: 512
    # tokens of a prompt took more than a second on two busy cores.
    command += ["--set", "serve.max_num_seqs=1", "--set", "serve.max_num_batched_tokens=64"]
    for name in ("min", "initial", "max"):
        command += ["--set", f"gateway.{name}_concurrency=2"]
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
        seconds = check_clients_that_go_away(told["base_url"], told["api_key"], engine_url)
        sys.stdout.write(f"seconds until nothing was left of a request: {json.dumps(seconds)}\n")
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
