"""Three adapters of one base model in vLLM: each answers token by token as its own merged model does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml

from gateway_stand import find_port
from lora_adapters import NUM_TOKENS, QUESTION, train_all
from practicum_core.stage_process import PORT_VARIABLE
from practicum_jobs.serve.preflight import CPU_HEAD_SIZES
from tiny_models import make_model
from training_stand import MARKS

ROOT = Path(__file__).parents[2]
pytestmark = [*MARKS, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def trained(tiny_model_dir, tmp_path_factory):
    """The base model, the folder of its adapters, and what their merged models answer."""
    folder = tmp_path_factory.mktemp("adapters")
    base = make_model(tiny_model_dir, folder / "base", 1)
    return base, folder, train_all(base, folder, num_steps=6, rate=3e-3)


@pytest.fixture(scope="module")
def served(trained, tmp_path_factory):
    base, folder, answers = trained
    run = tmp_path_factory.mktemp("run")
    options = {
        "model": f"file://{base}",
        "served_name": "base",
        "adapters": {name: f"file://{folder / name}" for name in answers},
        "dtype": "float32",
        "max_model_len": 512,
        "kv_cache_gib": 0.1,
    }
    (run / "options.yaml").write_text(yaml.safe_dump(options))
    made = subprocess.run([ROOT / "tools/ensure-env.sh", "serve"], check=True, capture_output=True, text=True)
    port = find_port()
    command = [f"{made.stdout.strip()}/bin/python", "-m", "practicum_jobs", "serve", "--config", run / "options.yaml"]
    with (run / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*command, "--run-dir", run],
            env={**os.environ, PORT_VARIABLE: str(port)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while not is_ready(url):
            assert process.poll() is None, (run / "log.txt").read_text()[-3000:]
            time.sleep(0.2)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    record = json.loads((run / "stages/serve/record.json").read_text())
    assert record["adapters"] == list(answers)


def is_ready(url):
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def ask(url, model):
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": NUM_TOKENS,
        "return_token_ids": True,
    }
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["token_ids"]


def test_each_adapter_answers_as_its_own_merged_model(trained, served):
    _, _, expected = trained
    assert len({tuple(answer) for answer in expected.values()}) == len(expected)
    assert {name: ask(served, name) for name in expected} == expected
    # In one batch too, with requests to the base: no answer is another adapter's.
    names = [*expected, "base"] * 3
    with ThreadPoolExecutor(len(names)) as pool:
        together = list(pool.map(lambda name: ask(served, name), names))
    base = ask(served, "base")
    assert base not in expected.values()
    assert together == [expected.get(name, base) for name in names]


def test_the_sizes_of_heads_are_those_of_this_vllm(served):
    made = subprocess.run([ROOT / "tools/ensure-env.sh", "serve"], check=True, capture_output=True, text=True)
    [source] = Path(made.stdout.strip()).glob("lib/python*/site-packages/vllm/v1/attention/backends/cpu_attn.py")
    body = source.read_text().partition("def get_supported_head_sizes")[2]
    assert json.loads(re.search(r"return (\[[\d, ]+\])", body)[1]) == list(CPU_HEAD_SIZES)


def test_the_adapters_are_listed_with_their_base(trained, served):
    models = {model["id"]: model.get("parent") for model in httpx.get(f"{served}/v1/models").json()["data"]}
    base, _, expected = trained
    assert models == {"base": None, f"file://{base}": None, **dict.fromkeys(expected, "base")}
