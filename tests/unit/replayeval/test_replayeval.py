"""Recorded traffic against two servers: when it is sent, how both are scored, and what an unanswered request does."""

from __future__ import annotations

import json

import pytest

from practicum_core.errors import DataError, PlatformError
from practicum_core.layout import RunLayout
from practicum_core.rows import Message, Row
from practicum_core.stages.loadtest import LoadtestConfig
from practicum_core.stages.replayeval import ReplayEvalConfig, describe_result
from practicum_core.stages.snapshot import DataLock
from practicum_core.traffic import TRAFFIC, TraceHeader, TraceRequest
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import write_data_lock, write_split
from practicum_jobs.load.recording import Trace
from practicum_jobs.load.schedule import Plan
from practicum_jobs.replayeval import run
from practicum_jobs.replayeval.traffic import lay_out, read_arrivals
from practicum_jobs.scoring.evaluation_samples import read_evaluation_samples
from small_api import serve


def build_row(number):
    messages = [Message(role="user", content=str(number))]
    return Row(id=f"r{number}", messages=messages, answer=str(number), group=f"g{number}")


@pytest.fixture
def ctx(tmp_path):
    folder, cache = tmp_path / "runs/capstone-extended/run", tmp_path / "cache"
    folder.mkdir(parents=True)
    split = write_split([build_row(number) for number in range(12)], cache)
    write_data_lock(RunLayout(folder), DataLock(uri="test:rows", splits={"fresh": split}))
    return StageContext(folder, "replayeval", "replayeval", cache_dir=cache)


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps({"at_s": at_s}) + "\n" for at_s in (3.0, 3.1, 3.15)))
    return f"file://{path}"


def get_metrics(record):
    return {metric.name: metric for metric in record.metrics}


def test_both_models_get_the_same_traffic_and_are_scored_row_by_row(ctx, trace):
    with serve("old", lambda text: text if int(text) < 6 else "0") as old, serve("new", str) as new:
        record = run(ReplayEvalConfig(base_url=old, candidate_url=new, recorded=trace, split="fresh"), ctx)
    metrics = get_metrics(record)
    assert record.models == ["old", "new"]
    assert [metrics[f"online_right_{which}"].value for which in ("base", "tuned", "delta")] == [0.5, 1.0, 0.5]
    assert metrics["online_right_delta"].low > 0
    assert (metrics["num_requests"].value, metrics["num_unanswered"].value) == (24, 0)
    assert 0 <= metrics["late_p99_s"].value < 0.5
    samples = read_evaluation_samples(ctx.layout.samples)
    assert [(one.base_correct, one.candidate_correct) for one in samples] == [(True, True)] * 6 + [(False, True)] * 6
    assert samples[7].candidate == "7"
    assert "50.0%" in describe_result(metrics)


def test_servers_of_the_same_run_get_its_key_and_others_do_not(ctx, trace, monkeypatch):
    with serve("old", str, key="secret") as old, serve("new", str, key="secret") as new:
        told = {"serve-before": old, "serve-after": new}
        monkeypatch.setenv("PRACTICUM_SERVER_KEY", "secret")
        config = ReplayEvalConfig(base_url=old, candidate_url=new, recorded=trace, split="fresh")
        with pytest.raises(PlatformError, match="401 Unauthorized") as refused:
            run(config, ctx)
        assert "\n" not in refused.value.detail
        monkeypatch.setenv("PRACTICUM_ENDPOINTS", json.dumps(told))
        assert get_metrics(run(config, ctx))["num_unanswered"].value == 0


def test_a_row_that_one_model_did_not_answer_is_counted_and_left_out(ctx, trace):
    with serve("old", lambda text: None if text == "2" else text) as old, serve("new", str) as new:
        record = run(ReplayEvalConfig(base_url=old, candidate_url=new, recorded=trace, split="fresh", limit=5), ctx)
    assert get_metrics(record)["num_unanswered"].value == 1
    assert [failure.where for failure in record.failures] == ["old: r2"]
    assert [one.id for one in read_evaluation_samples(ctx.layout.samples)] == ["r0", "r1", "r3", "r4"]


def test_a_server_that_is_gone_and_one_that_answers_nothing_end_it(ctx, trace):
    config = ReplayEvalConfig(
        base_url="http://127.0.0.1:9", candidate_url="http://127.0.0.1:9", recorded=trace, split="fresh", limit=2
    )
    with pytest.raises(PlatformError, match="no model"):
        run(config, ctx)
    with serve("old", lambda _: None) as old, pytest.raises(DataError, match="answered by both"):
        run(config.model_copy(update={"base_url": old, "candidate_url": old}), ctx)


def test_the_schedule_of_a_load_test_is_traffic_too(tmp_path):
    plan = Plan.build(LoadtestConfig(rate_s=4, warmup_s=0, num_prompts=2), [], None)
    for rate in (1.0, 2.0):
        plan.add_rate(rate)
    plan.save(tmp_path)
    parts = read_arrivals(tmp_path)
    assert [len(part) for part in parts] == [4, 8]
    times = lay_out(parts, 30)
    assert len(times) == 30
    assert times == sorted(times)
    assert lay_out(parts, 30, pace=2.0)[-1] == pytest.approx(times[-1] / 2)


def test_what_a_gateway_recorded_is_traffic_too(tmp_path):
    requests = [
        TraceRequest(at_s=at_s, path="/v1/chat/completions", status=status, total_s=0.1, prompt_hash="0f")
        for at_s, status in ((2.0, 200), (2.5, 401), (4.0, 503))
    ]
    Trace(TraceHeader(started_s=0.0), requests, []).write(tmp_path / TRAFFIC)
    assert read_arrivals(tmp_path) == read_arrivals(tmp_path / TRAFFIC) == [[2.0, 4.0]]


def test_what_is_no_traffic_is_told(tmp_path):
    with pytest.raises(DataError):
        read_arrivals(tmp_path / "absent.jsonl")
