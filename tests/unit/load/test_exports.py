"""A result in the forms of other tools has their names, their units and their way of counting."""

from __future__ import annotations

import json

import pytest

from practicum_core.stages.loadtest import ClientCheck, Estimate, LoadLevel, LoadSample, LoadtestRecord, Objective
from practicum_jobs.load.exports import write_exports


def build_sample(number, **changes):
    """Sent 10 ms late, first token 100 ms and end 500 ms after that; 5 tokens."""
    due_s = 10.0 + number
    values = {
        "id": f"0-{number}", "load": 0, "rate": 1.0, "scheduled_s": due_s, "sent_s": due_s + 0.01,
        "first_token_s": due_s + 0.11, "last_token_s": due_s + 0.51, "ended_s": due_s + 0.51, "status": 200,
        "prompt_tokens": 7, "completion_tokens": 5, "num_chunks": 5, **changes,
    }  # fmt: skip
    return LoadSample(**values)


SAMPLES = [
    build_sample(-1, phase="warmup"),
    build_sample(0),
    build_sample(1),
    build_sample(2, ended_s=13.6),
    build_sample(
        3, status=503, error="http_503", error_text="full", first_token_s=None, last_token_s=None, completion_tokens=0
    ),
]


def build_level(**changes):
    values = {
        "load": 0, "rate": 1.0, "start_s": 10, "end_s": 14, "scheduled_rate": 1, "reached_rate": 0.75,
        "num_requests": 4, "num_ok": 3, "num_failed": 1, "goodput": Estimate(value=0.5), **changes,
    }  # fmt: skip
    return LoadLevel(**values)


@pytest.fixture
def record():
    return LoadtestRecord(
        stage="loadtest", step="loadtest", started_at="2026-01-02T03:04:05.678+00:00", finished_at="", duration_s=1,
        url="http://127.0.0.1:8000", model="m", endpoint="chat", load="poisson", schedule_sha256="", prompts_sha256="",
        num_clients=2, objective=Objective(ttft_s=1),
        levels=[build_level(), build_level(load=1, rate=2.0, refused="x")],
        client_check=ClientCheck(is_ok=True, dispatch_p50_s=0, dispatch_p99_s=0, max_cpu_share=0),
    )  # fmt: skip


def test_vllm_bench_serve(tmp_path, record):
    write_exports("vllm", tmp_path, record, SAMPLES)
    [path] = tmp_path.iterdir()
    assert path.name == "vllm-1.json", "the refused rate is left out"
    result = json.loads(path.read_text())
    assert (result["date"], result["backend"], result["model_id"]) == ("20260102-030405", "openai-chat", "m")
    assert (result["num_prompts"], result["completed"], result["failed"]) == (4, 3, 1)
    assert (result["total_input_tokens"], result["total_output_tokens"]) == (21, 15)
    assert (result["request_throughput"], result["output_throughput"]) == (0.75, 3.75)
    assert (result["request_rate"], result["burstiness"], result["request_goodput"]) == (1.0, 1.0, 0.5)
    # As there, latencies count from the sending, and the delay before it stands apart.
    assert result["median_ttft_ms"] == pytest.approx(100)
    assert result["median_client_queue_time_ms"] == pytest.approx(10)
    assert result["median_tpot_ms"] == pytest.approx(100)
    assert result["p99_e2el_ms"] == pytest.approx(500 + 0.98 * (1590 - 500))
    assert result["errors"] == ["", "", "", "http_503: full"]
    assert result["max_concurrent_requests"] == 2


def test_guidellm(tmp_path, record):
    write_exports("guidellm", tmp_path, record, SAMPLES)
    report = json.loads((tmp_path / "guidellm.json").read_text())
    assert report["metadata"] == {"version": 2, "guidellm_version": "0.8.1"}
    [benchmark] = report["benchmarks"]
    metrics = benchmark["metrics"]
    assert metrics["request_totals"] == {"successful": 3, "errored": 1, "incomplete": 0, "total": 4}
    assert metrics["time_to_first_token_ms"]["successful"]["median"] == pytest.approx(100)
    assert metrics["inter_token_latency_ms"]["successful"]["median"] == pytest.approx(100)
    assert metrics["time_per_output_token_ms"]["successful"]["median"] == pytest.approx(100)
    assert metrics["request_dispatch_delay"]["total"]["percentiles"]["p99"] == pytest.approx(0.01)
    assert metrics["request_latency"]["successful"]["max"] == pytest.approx(1.59)
    assert metrics["requests_per_second"]["successful"]["mean"] == 0.75
    assert metrics["output_tokens_per_second"]["successful"]["total_sum"] == 15
    [failed] = benchmark["requests"]["errored"]
    assert (failed["info"]["status"], failed["info"]["error"]) == ("errored", "http_503: full")
    timings = benchmark["requests"]["successful"][0]["info"]["timings"]
    assert timings["request_start"] - timings["targeted_start"] == pytest.approx(0.01, abs=1e-5)
