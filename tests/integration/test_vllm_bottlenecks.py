"""Limits planted in vLLM itself: places, KV cache and CPU quota, each named by the load test from vLLM's metrics."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from cpu_quota import make_quota_group
from gateway_stand import find_port
from practicum_core.stage_process import PORT_VARIABLE
from practicum_core.stages.loadtest import LoadtestConfig, LoadtestRecord
from practicum_jobs.context import StageContext
from practicum_jobs.loadtest.stage import run
from training_stand import MARKS

ROOT = Path(__file__).parents[2]
pytestmark = [*MARKS, pytest.mark.slow, pytest.mark.timeout(400)]
PLACES = 4
# 256 bytes a token (2 layers, 2 heads of 16, keys and values, bfloat16): blocks of 128 tokens, about 8 of them.
CACHE_GIB = 0.00025


@pytest.fixture(scope="module")
def served(tiny_model_dir, tmp_path_factory) -> Iterator[tuple[str, int]]:
    """vLLM with a tiny model, few places and a small cache; gives its address and its process."""
    folder = tmp_path_factory.mktemp("run")
    options = {
        "model": f"file://{tiny_model_dir}",
        "served_name": "tiny",
        "max_model_len": 512,
        "max_num_seqs": PLACES,
        "kv_cache_gib": CACHE_GIB,
        "enable_prefix_caching": False,
    }
    (folder / "options.yaml").write_text(yaml.safe_dump(options))
    made = subprocess.run([ROOT / "tools/ensure-env.sh", "serve"], check=True, capture_output=True, text=True)
    port = find_port()
    command = [f"{made.stdout.strip()}/bin/python", "-m", "practicum_jobs", "serve"]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*command, "--config", folder / "options.yaml", "--run-dir", folder],
            env={**os.environ, PORT_VARIABLE: str(port)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while not is_ready(url):
            assert process.poll() is None, (folder / "log.txt").read_text()[-3000:]
            time.sleep(0.2)
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def load(served, tmp_path) -> Callable[..., LoadtestRecord]:
    def call(**options) -> LoadtestRecord:
        context = StageContext(tmp_path / "experiments" / "unit" / "run", "loadtest", "loadtest")
        fixed = {"url": served[0], "rate_s": 6, "warmup_s": 1, "settle_s": 10, "slo_ttft_s": 0.5, "max_dispatch_s": 2.0}
        return run(LoadtestConfig.model_validate({**fixed, **options}), context)

    return call


def test_more_requests_than_places_wait_in_the_engine(load) -> None:
    record = load(rates=[80], prompt_tokens=8, max_tokens=40)
    assert record.bottleneck is not None
    assert record.bottleneck.name == "engine_queue", record.bottleneck
    running = next(one for one in record.bottleneck.proofs if one.metric == "vllm:num_requests_running")
    assert running.limit == PLACES
    assert running.value >= 0.75 * PLACES


def test_long_answers_lose_their_cache_and_are_computed_again(load) -> None:
    record = load(rates=[20], prompt_tokens=20, max_tokens=380)
    assert record.bottleneck is not None
    assert record.bottleneck.name == "kv_cache", record.bottleneck
    assert record.bottleneck.proofs[0].value > 0
    assert max(point.kv_usage or 0 for point in record.timeline) > 0.7


def test_a_quota_of_the_processor_is_told_from_a_long_queue(load, served) -> None:
    with make_quota_group(0.15) as group:
        for process in (psutil.Process(served[1]), *psutil.Process(served[1]).children(recursive=True)):
            group.add(process.pid)
        record = load(rates=[4], prompt_tokens=8, max_tokens=24, slo_ttft_s=0.2)
    assert record.bottleneck is not None
    assert record.bottleneck.name == "cpu_quota", record.bottleneck
    assert record.bottleneck.proofs[0].source == "engine"
    assert record.bottleneck.proofs[0].value > 0.25
