"""Limits planted on the way to vLLM with SmolLM2, and in it: the load test names each with the metric that proves it.

It takes about three minutes and asks for an idle machine, so it runs where PRACTICUM_VLLM_BOTTLENECKS names a file, to
which it adds a line of JSON for each verdict.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from cpu_quota import make_quota_group
from practicum_core.stages.loadtest import LoadtestConfig, LoadtestRecord
from practicum_jobs.context import StageContext
from practicum_jobs.loadtest.stage import run

VERDICTS = os.environ.get("PRACTICUM_VLLM_BOTTLENECKS", "")
PLACES = 4
OPTIONS = {
    "serve.max_num_seqs": PLACES,
    "serve.max_model_len": 512,
    # 23,040 bytes a token (30 layers, 3 heads of 64, keys and values, bfloat16): room for 932 tokens.
    "serve.kv_cache_gib": 0.02,
    "serve.enable_prefix_caching": "false",
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(500),
    pytest.mark.skipif(not VERDICTS, reason="PRACTICUM_VLLM_BOTTLENECKS names no file"),
]


@dataclass
class Service:
    """A gateway before vLLM.

    Attributes:
        folder: Where it runs.
        url: Of the gateway.
        engine_url: Of vLLM.
        engine: Processes of vLLM and of who started it.
    """

    folder: Path
    url: str
    engine_url: str
    engine: list[psutil.Process]


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    command = [sys.executable, "-m", "practicum_cli.main", "serve", "builtin:smollm2-135m", "--json"]
    command += [word for name, value in OPTIONS.items() for word in ("--set", f"{name}={value}")]
    with (folder / "err.txt").open("w") as err:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=err, text=True)
    try:
        line = process.stdout.readline()
        assert line, (folder / "err.txt").read_text()[-2000:]
        [path] = (folder / "experiments/service").glob("*-??????")
        [engine_url, _] = [one["endpoint"] for one in json.loads((path / "status.json").read_text())["stages"]]
        started = psutil.Process(process.pid).children(recursive=True)
        servers = [one for one in started if {"practicum_jobs", "serve"} <= set(one.cmdline())]
        engine = list(dict.fromkeys([*servers, *(child for one in servers for child in one.children(recursive=True))]))
        assert engine
        yield Service(folder, json.loads(line)["base_url"], engine_url, engine)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.fixture
def load(service, request) -> Callable[..., LoadtestRecord]:
    def call(**options) -> LoadtestRecord:
        fixed = {
            "url": service.url,
            "engine_url": service.engine_url,
            "own_key": True,
            "rate_s": 10,
            "warmup_s": 2,
            "settle_s": 20,
            "prompt_tokens": 8,
            "max_tokens": 40,
            "slo_ttft_s": 1.0,
            "max_dispatch_s": 2.0,
        }
        name = request.node.name.removeprefix("test_")
        context = StageContext(service.folder / "experiments" / "load-test" / name, "loadtest", "loadtest")
        context.layout.root.mkdir(parents=True)
        record = run(LoadtestConfig.model_validate({**fixed, **options}), context)
        with Path(VERDICTS).open("a") as file:
            verdict = record.bottleneck.model_dump(mode="json")
            file.write(json.dumps({"planted": name, "rate": options["rates"], **verdict}) + "\n")
        return record

    return call


def get_values(record: LoadtestRecord) -> dict[str, float]:
    return {proof.metric: proof.value for proof in record.bottleneck.proofs}


def test_limit_of_the_key(load) -> None:
    record = load(rates=[3], own_key_requests_per_minute=6)
    assert record.bottleneck.name == "rate_limit", record.bottleneck
    assert get_values(record)["http_429"] > 10


def test_places(load) -> None:
    record = load(rates=[8])
    assert record.bottleneck.name == "engine_queue", record.bottleneck
    values = get_values(record)
    assert values["vllm:num_requests_waiting"] > 1
    assert values["vllm:num_requests_running"] >= 0.75 * PLACES


def test_cache(load) -> None:
    record = load(rates=[1.5], prompt_tokens=20, max_tokens=380, slo_ttft_s=None, slo_e2e_s=12.0)
    assert record.bottleneck.name == "kv_cache", record.bottleneck
    assert record.bottleneck.proofs[0].value > 0
    assert max(point.kv_usage or 0 for point in record.timeline) > 0.7


def test_quota(load, service) -> None:
    with make_quota_group(0.3) as group:
        for process in service.engine:
            group.add(process.pid)
        record = load(rates=[2], max_tokens=16)
    assert record.bottleneck.name == "cpu_quota", record.bottleneck
    assert record.bottleneck.proofs[0].source.startswith("engine")
    assert get_values(record)["practicum_cpu_throttled_periods_total"] > 0.25


def test_client(load) -> None:
    record = load(rates=[3000], rate_s=1, warmup_s=0, settle_s=5, num_clients=1, max_tokens=1, max_dispatch_s=0.02)
    assert record.bottleneck.name == "client", record.bottleneck
    assert get_values(record)["dispatch_p99_s"] > 0.02
