"""The stage ``gateway`` as a process in its own environment, which has nothing but its lock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import openai
import pytest

from fake_engine import MODEL
from gateway_stand import HELLO, find_port
from practicum_core.api_keys import KEY_FILE, KeyLimits, change_key_file, make_key
from practicum_core.stage_process import EXPERIMENTS_VARIABLE, HOST_VARIABLE, PORT_VARIABLE
from practicum_runtime.readiness import ask_readiness

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "tests/stand/fake_engine.py"


@pytest.fixture
def start(request):
    """Return a function that starts a process, which is ended after the test."""

    def call(*command, **variables):
        process = subprocess.Popen(
            [str(word) for word in command], env=os.environ | variables, stdout=subprocess.PIPE, text=True
        )
        request.addfinalizer(process.communicate)
        request.addfinalizer(process.kill)
        return process

    return call


def wait_until_ready(port):
    deadline_s = time.monotonic() + 30
    while not (seen := ask_readiness(port, "/readyz", 2.0)).is_ready:
        assert time.monotonic() < deadline_s, seen.reason
        time.sleep(0.05)


def test_the_stage_serves_in_its_own_environment_and_leaves_a_record(tmp_path, start):
    made = subprocess.run([ROOT / "tools/ensure-env.sh", "gateway"], check=True, capture_output=True, text=True)
    engine = start(sys.executable, ENGINE, 0)
    url, port = engine.stdout.readline().strip(), find_port()
    secret, key = make_key("student-01", KeyLimits(), "2026-01-01")
    change_key_file(tmp_path / KEY_FILE, lambda file: file.add(key))
    run = tmp_path / "service" / "run"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(json.dumps({"upstreams": [{"name": "engine", "url": url}]}))
    command = [Path(made.stdout.strip()) / "bin/python", "-m", "practicum_jobs", "gateway"]
    variables = {HOST_VARIABLE: "127.0.0.1", PORT_VARIABLE: str(port), EXPERIMENTS_VARIABLE: str(tmp_path)}
    process = start(*command, "--config", run / "config.yaml", "--run-dir", run, **variables)
    wait_until_ready(port)
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=secret, max_retries=0) as client:
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=7, stream=True)
        assert len(list(stream)) == 8
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model=MODEL, messages=HELLO, n=1000)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    record = json.loads((run / "stages/gateway/record.json").read_text())
    names = ("num_refused", "num_errors", "num_clients_gone", "completion_tokens")
    assert [record[name] for name in names] == [1, 0, 0, 7]
