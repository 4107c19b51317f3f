"""Spans of client, gateway and engine joined to one trace, from the files that the three of them leave."""

from __future__ import annotations

import asyncio
import json
import tracemalloc

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway_stand import HELLO, build_stand
from practicum_core import trace_names
from practicum_core.rungs import Rung
from practicum_core.stages.load_results import LoadSample
from practicum_core.stages.traces import TracesConfig
from practicum_jobs.adapters import trace_receiver
from practicum_jobs.adapters.trace_receiver import receive_traces
from practicum_jobs.context import StageContext
from practicum_jobs.load.client import name_trace
from practicum_jobs.report.traces import build_lanes, build_trace_blocks
from practicum_jobs.traces import stage
from practicum_jobs.traces.files import iter_spans
from practicum_jobs.traces.joining import sum_traces


@pytest.fixture
def context(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_EXPORT_S", 0.0)
    for step in ("chaos", "serve", "gateway"):
        (tmp_path / "stages" / step / "artifacts").mkdir(parents=True)
    return StageContext(tmp_path, "traces", "traces")


def send_degraded_requests(folder, headers):
    """Have a traced gateway answer a request in full, one by the short rung, and one without an engine."""

    async def run():
        options = {
            "traces": True,
            "ladder": True,
            "knowledge": "builtin:tickets",
            "ladder_settle_s": 0.1,
            "probe_s": 30,
        }
        async with build_stand(folder, **options) as stand:
            chat = stand.client().chat.completions
            rungs = (None, Rung.SHORT, Rung.EXTRACT)
            for rung, own in zip(rungs, headers, strict=True):
                stand.gateway.degradation.ladder.pin(rung)
                question = [{"role": "user", "content": "How long does a refund take?"}]
                await chat.create(model="fake", messages=question if rung else HELLO, max_tokens=3, extra_headers=own)
            named = [{name.lower(): value for name, value in one.items()} for one in stand.engine.headers]
            return [one["traceparent"] for one in named if "traceparent" in one]

    return asyncio.run(run())


def write_engine_spans(file, parents):
    """Send what vLLM would of each request, by its protocol."""
    with receive_traces(file) as address:
        for parent in parents:
            request = ExportTraceServiceRequest()
            span = request.resource_spans.add().scope_spans.add().spans.add()
            _, trace, above, _ = parent.split("-")
            span.trace_id, span.parent_span_id, span.span_id = bytes.fromhex(trace), bytes.fromhex(above), b"12345678"
            span.name, span.start_time_unix_nano, span.end_time_unix_nano = (
                trace_names.ENGINE_SPAN,
                10**18,
                10**18 + 10**9,
            )
            for name, value in {**dict.fromkeys(trace_names.ENGINE_PARTS.values(), 0.25)}.items():
                span.attributes.add(key=name).value.double_value = value
            span.attributes.add(key="gen_ai.usage.prompt_tokens").value.int_value = 7
            answer = httpx.post(address, content=request.SerializeToString(), trust_env=False)
            assert answer.status_code == 200
        assert httpx.post(address.replace("traces", "logs"), content=b"", trust_env=False).status_code == 404


def test_the_engines_file_ends_at_its_size_and_says_how_much_is_missing(tmp_path, monkeypatch, caplog):
    file = tmp_path / trace_names.TRACE_FILE
    write_engine_spans(file, [f"00-{1:032x}-{2:016x}-01"])
    size_bytes = file.stat().st_size
    monkeypatch.setattr(trace_receiver, "_MAX_FILE_BYTES", size_bytes)
    write_engine_spans(file, [f"00-{1:032x}-{2:016x}-01"] * 2)
    assert file.stat().st_size == size_bytes
    assert ["lacks 2 documents" in one.message for one in caplog.records] == [False, True]


def test_the_engines_file_whose_writer_was_killed_within_a_line_is_continued(tmp_path):
    file = tmp_path / trace_names.TRACE_FILE
    file.write_text('{"resourceSpans": [{"scopeSp')
    write_engine_spans(file, [f"00-{1:032x}-{2:016x}-01"])
    assert len(list(iter_spans(file, "serve"))) == 1


def write_client_samples(file, headers):
    times = {"scheduled_s": 1.0, "sent_s": 1.0, "first_token_s": 1.5, "ended_s": 2.0}
    samples = [
        LoadSample(id=str(number), load=0, rate=1, traceparent=own["traceparent"], sent_at_s=10**9, status=200, **times)
        for number, own in enumerate(headers)
    ]
    file.write_text("".join(f"{one.model_dump_json()}\n" for one in samples) + '{"id": "cut o')


def test_a_degraded_request_is_shown_from_its_client_to_the_engine(context, tmp_path):
    headers = [name_trace() for _ in range(3)]
    artifacts = [context.run.stage(step).artifacts for step in ("gateway", "serve")]
    parents = send_degraded_requests(artifacts[0], headers)
    assert len(parents) == 2
    write_engine_spans(artifacts[1] / trace_names.TRACE_FILE, parents)
    with (artifacts[1] / trace_names.TRACE_FILE).open("a") as file:
        file.write('{"resourceSpans": [{"scopeSp')
    write_client_samples(context.run.stage("chaos").samples, headers)
    record = stage.run(TracesConfig(), context)
    counts = {metric.name: metric.value for metric in record.metrics}
    assert counts == {"num_traces": 3, "num_from_client": 3, "num_to_engine": 2, "num_degraded": 2, "num_retried": 0}
    shown = record.shown
    assert (shown.rung, shown.reason, shown.status) == ("short", "manual", 200)
    assert shown.trace_id == shown.request_id == headers[1]["x-request-id"]
    names = [(span.name, span.place, span.depth) for span in shown.spans]
    assert names == [
        ("client", "client", 0),
        ("POST /v1/chat/completions", "gateway", 1),
        (trace_names.QUEUE_SPAN, "gateway", 2),
        ("chat fake", "gateway", 2),
        (trace_names.ENGINE_SPAN, "engine", 3),
        ("queue", "engine", 4),
        ("prefill", "engine", 4),
        ("decode", "engine", 4),
    ]
    engine = shown.spans[4]
    assert engine.attributes["gen_ai.usage.input_tokens"] == "7"
    assert [span.start_ms - engine.start_ms for span in shown.spans[5:]] == [0, 250, 500]
    assert {event.name for event in shown.events} >= {trace_names.STEP_EVENT, trace_names.DEGRADED_EVENT}
    labels = [lane.label.en for lane in build_lanes(shown)]
    page = repr(build_trace_blocks(record))
    assert "shorter context and answer" in page
    assert "缩短上下文与回答" in page
    assert labels[3:5] == ["gateway: try 1 at an engine", "engine: whole request"]


def test_without_traces_there_is_nothing_to_show(context):
    assert stage.run(TracesConfig(), context).shown is None


def test_spans_that_no_gateway_saw_are_no_requests(tmp_path):
    file = tmp_path / "traces.jsonl"
    write_engine_spans(file, ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"])
    [span] = iter_spans(file, "serve")
    assert (span.trace_id, span.parent_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert sum_traces([span]) == {}


def test_files_are_read_without_keeping_what_they_hold(context):
    """What is kept of a trace is less than a tenth of what its spans say."""
    attributes = [{"key": trace_names.STATUS, "value": {"intValue": "200"}}]
    attributes += [{"key": f"text.{number}", "value": {"stringValue": "x" * 500}} for number in range(20)]
    with (context.run.stage("gateway").artifacts / trace_names.TRACE_FILE).open("w") as file:
        for number in range(1, 1001):
            times = {"startTimeUnixNano": str(10**18 + number), "endTimeUnixNano": str(10**18 + 2 * number)}
            about = {"name": "POST", "traceId": f"{number:032x}", "spanId": f"{number:016x}", "attributes": attributes}
            file.write(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [times | about]}]}]}) + "\n")
        size_bytes = file.tell()
    tracemalloc.start()
    try:
        record = stage.run(TracesConfig(), context)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert record.metrics[0].value == 1000
    assert peak_bytes < size_bytes / 5


def test_a_file_of_other_lines_holds_no_spans(tmp_path):
    file = tmp_path / "traces.jsonl"
    file.write_text("\n".join(["", "[]", "1", json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]})]))
    assert list(iter_spans(file, "serve")) == []
