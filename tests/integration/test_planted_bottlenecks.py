"""A limit is planted in one place on the way of a request, and the load test names that place with its metric."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from cpu_quota import make_quota_group
from fake_engine import Settings
from gateway_stand import build_stand
from practicum_core.stages.loadtest import LoadtestConfig, LoadtestRecord
from practicum_jobs.context import StageContext
from practicum_jobs.loadtest.stage import run

pytestmark = pytest.mark.timeout(120)
ENGINE = Path(__file__).parents[1] / "stand/fake_engine.py"
QUICK = {"step_s": 0.01, "step_s_per_request": 0.001, "prefill_s_per_token": 0.0001}
PLAIN = {"rate_s": 2, "warmup_s": 0.5, "settle_s": 2, "max_tokens": 16, "prompt_tokens": 32, "slo_ttft_s": 0.4}
PATIENT = {"max_dispatch_s": 1.0}
"""A busy machine makes a client late, which is not what most of these tests are about."""


async def measure(folder, settings: Settings, options: dict, limits: dict, gateway: dict) -> LoadtestRecord:
    async with build_stand(folder, settings, limits=limits, **gateway) as stand:
        (folder / "key").write_text(stand.secret)
        context = StageContext(folder / "experiments" / "unit" / "run", "loadtest", "loadtest")
        context.layout.root.mkdir(parents=True)
        [engine] = stand.gateway.pool.upstreams
        servers = {"url": stand.url, "engine_url": engine.url, "key_file": str(folder / "key")}
        config = LoadtestConfig.model_validate({**PLAIN, **PATIENT, **servers, **options})
        return await asyncio.to_thread(run, config, context)


@pytest.mark.parametrize(
    ("name", "metric", "settings", "options", "limits", "gateway"),
    [
        ("engine_queue", "vllm:num_requests_waiting", {"max_running": 2}, {"rates": [40]}, {}, {}),
        (
            "kv_cache",
            "vllm:num_preemptions_total",
            {"kv_tokens": 400},
            {"rates": [30], "max_tokens": 64},
            {},
            {},
        ),
        ("rate_limit", "http_429", {}, {"rates": [20]}, {"requests_per_minute": 20}, {}),
        (
            "gateway_queue",
            "practicum_gateway_waiting_requests",
            {},
            {"rates": [60]},
            {},
            {"min_concurrency": 2, "initial_concurrency": 2, "max_concurrency": 2},
        ),
        (
            "client",
            "dispatch_p99_s",
            {"step_s": 0.001},
            {"rates": [1500], "num_clients": 1, "max_dispatch_s": 0.02, "rate_s": 1},
            {},
            {"queue_size": 10_000},
        ),
        (
            "prefill",
            "vllm:request_prefill_time_seconds",
            {"prefill_s_per_token": 0.0005},
            {"rates": [1], "prompt_tokens": 1200, "max_tokens": 2, "rate_s": 4},
            {},
            {},
        ),
        (
            "decode",
            "vllm:request_decode_time_seconds",
            {"step_s": 0.03},
            {"rates": [4], "max_tokens": 24, "slo_ttft_s": None, "slo_tpot_s": 0.02},
            {},
            {},
        ),
    ],
)
def test_a_planted_limit_is_named(tmp_path, name, metric, settings, options, limits, gateway) -> None:
    record = asyncio.run(measure(tmp_path, Settings(**{**QUICK, **settings}), options, limits, gateway))
    assert record.bottleneck is not None
    assert record.bottleneck.name == name, record.bottleneck
    assert record.bottleneck.proofs[0].metric == metric
    assert record.bottleneck.proofs[0].value > 0
    figures = {one.name: one.value for one in record.metrics}
    assert figures["bottleneck_named"] == 1
    assert record.knee_rate is None


def test_the_knee_lies_between_a_rate_that_holds_and_one_that_fails(tmp_path) -> None:
    settings = Settings(**{**QUICK, "max_running": 4})
    # Four places, about 0.03 s for a prompt and 0.015 s for each token: near 15 requests a second.
    record = asyncio.run(measure(tmp_path, settings, {"rates": [4, 60], "search_steps": 1}, {}, {}))
    assert record.knee_basis == "bracketed"
    assert record.knee_rate is not None
    assert 4 <= record.knee_rate.value < 60
    assert record.bottleneck is not None
    assert record.bottleneck.name == "engine_queue"
    assert max(point.waiting or 0 for point in record.timeline) > 10
    figures = {one.name: one.value for one in record.metrics}
    assert figures["num_failed_to_knee"] == 0
    assert figures["stated_ttft_p95_ratio"] <= 1


def test_no_bottleneck_is_named_under_a_load_that_is_borne(tmp_path) -> None:
    record = asyncio.run(measure(tmp_path, Settings(**QUICK), {"rates": [3]}, {}, {}))
    assert record.bottleneck is not None
    assert record.bottleneck.name == "none"
    assert record.knee_basis == "none_failed"
    assert {one.name: one.value for one in record.metrics}["bottleneck_named"] == 0


def test_a_server_that_shares_its_quota_with_a_busy_neighbour_waits_for_the_processor(tmp_path, request) -> None:
    commands = [[sys.executable, str(ENGINE), "0", "0.005"], [sys.executable, "-c", "while True: pass"]]
    with make_quota_group(0.1) as group:
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
        request.addfinalizer(lambda: [process.communicate() for process in processes])
        request.addfinalizer(lambda: [process.kill() for process in processes])
        url = processes[0].stdout.readline().strip()
        for process in processes:
            group.add(process.pid)
        context = StageContext(tmp_path / "experiments" / "unit" / "run", "loadtest", "loadtest")
        config = LoadtestConfig.model_validate({**PLAIN, **PATIENT, "url": url, "rates": [4], "slo_ttft_s": 0.05})
        record = run(config, context)
    assert record.bottleneck is not None
    assert record.bottleneck.name == "cpu_quota", record.bottleneck
    [proof] = record.bottleneck.proofs
    assert (proof.source, proof.metric) == ("engine", "practicum_cpu_throttled_periods_total")
    assert proof.value > 0.5
