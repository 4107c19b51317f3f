"""Spans as the gateway encodes them, held to what OpenTelemetry's SDK and exporter make of the same requests."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json

import pytest
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from manual_clock import ManualClock
from practicum_core.trace_names import GENERATIONS
from practicum_gateway import request_trace, trace_context
from practicum_gateway.event_stream import Usage
from practicum_gateway.ladder import Change
from practicum_gateway.otlp import build_frame
from practicum_gateway.request_trace import RequestTrace
from practicum_gateway.trace_context import read_parent

WALL_NS = 1_800_000_000_000_000_000
PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
URL = "https://engine.example/v1"
MODEL = 'm"\\é\ud800\u2028x'
STATE = b'a=b, c="d"'
CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def _counted(monkeypatch):
    numbers = itertools.count(1)
    monkeypatch.setattr(trace_context, "_get_bits", lambda bits: (bits << 16) + next(numbers))
    monkeypatch.setattr(request_trace.time, "time_ns", lambda: WALL_NS)


class CountedIds(IdGenerator):
    def __init__(self):
        self.numbers = itertools.count(1 << 20)

    def generate_span_id(self):
        return next(self.numbers)

    generate_trace_id = generate_span_id


def trace_one(headers, clock, names, status=503):
    """Trace a request with a wait, a try that failed, one that went well, and a lower rung."""
    told = read_parent(headers)
    trace = RequestTrace(names, clock, ("POST", CHAT, b'the "id" \xff'), told[0] if told else None)
    clock.now_s += 0.25
    with trace.span("a wait"):
        clock.now_s += 0.5
    with contextlib.suppress(ConnectionResetError), trace.attempt(URL, MODEL, "tests"):
        clock.now_s += 0.25
        raise ConnectionResetError
    with trace.attempt("http://127.0.0.1:8001", MODEL, "tests") as attempt:
        clock.now_s += 0.5
        attempt.note_answer(0.25, Usage(30, 16))
    trace.note_degraded("short", "manual", [Change(clock.now_s - 1.0, "full", "short", "manual")])
    clock.now_s += 0.25
    trace.finish(status, "0a1b2c3d")
    spans = trace.encode()
    head, tail = build_frame("practicum-gateway", "practicum_gateway")
    return json.loads(head + spans + tail), attempt.headers


def trace_with_sdk(headers, names, status=503):
    """Make the same spans with OpenTelemetry's SDK."""
    exporter, ids = InMemorySpanExporter(), CountedIds()
    provider = TracerProvider(resource=Resource.create({"service.name": "practicum-gateway"}), id_generator=ids)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer, propagator = provider.get_tracer("practicum_gateway"), TraceContextTextMapPropagator()
    context = propagator.extract({name.decode(): value.decode() for name, value in headers.items()})

    def begin(name, context, kind, at_s, attributes):
        at_ns = WALL_NS + int(at_s * 1e9)
        return tracer.start_span(name, context, kind=kind, start_time=at_ns, attributes=attributes)

    def end(span, at_s, code=""):
        if code:
            span.set_attribute("error.type", code)
            span.set_status(StatusCode.ERROR)
        span.end(WALL_NS + int(at_s * 1e9))

    asked = {"http.request.method": "POST", "url.path": CHAT, "practicum.request.id": 'the "id" \xff'}
    root = begin(f"POST {CHAT}", context, SpanKind.SERVER, 0, asked)
    below = set_span_in_context(root)
    end(begin("a wait", below, SpanKind.INTERNAL, 0.25, {}), 0.75)
    about = {"gen_ai.operation.name": "chat", names.provider: "tests", "gen_ai.request.model": MODEL}
    at_first = about | {"server.address": "engine.example", "server.port": 443}
    end(begin(f"chat {MODEL}", below, SpanKind.CLIENT, 0.75, at_first), 1.0, "ConnectionResetError")
    at_second = about | {"server.address": "127.0.0.1", "server.port": 8001}
    attempt = begin(f"chat {MODEL}", below, SpanKind.CLIENT, 1.0, at_second)
    attempt.set_attributes({names.input_tokens: 30, names.output_tokens: 16})
    attempt.add_event("practicum.first_token", timestamp=WALL_NS + 1_250_000_000)
    sent = {}
    propagator.inject(sent, set_span_in_context(attempt))
    end(attempt, 1.5)
    rung = {"practicum.ladder.rung": "short", "practicum.ladder.reason": "manual"}
    step = {"practicum.ladder.before": "full", "practicum.ladder.after": "short", "practicum.ladder.reason": "manual"}
    root.set_attributes(rung)
    root.add_event("practicum.ladder.step", step, timestamp=WALL_NS + 500_000_000)
    root.add_event("practicum.degraded", rung, timestamp=WALL_NS + 1_500_000_000)
    root.set_attributes({"http.response.status_code": status, "practicum.key.id": "0a1b2c3d"})
    if status >= 500:
        root.set_status(StatusCode.ERROR)
    end(root, 1.75)
    return encode_spans(exporter.get_finished_spans()).to_dict(), sent


def name_ids(document, sent):
    """Put names in the place of ids, which are made in another order."""
    text = json.dumps([document, sent])
    for number, span in enumerate(document["resourceSpans"][0]["scopeSpans"][0]["spans"]):
        text = text.replace(span["spanId"], f"span-{number}").replace(span["traceId"], "trace")
    return json.loads(text)


@pytest.mark.parametrize("generation", ["latest", "old"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({b"traceparent": PARENT}, 503),
        ({b"traceparent": PARENT, b"tracestate": STATE}, 200),
        ({b"traceparent": b"01" + PARENT[2:] + b"-more"}, 200),
        ({}, 200),
    ],
)
def test_a_trace_is_what_opentelemetry_makes_of_the_same_request(headers, status, generation):
    ours, our_headers = trace_one(headers, ManualClock(), GENERATIONS[generation], status)
    theirs, their_headers = trace_with_sdk(headers, GENERATIONS[generation], status)
    for document in (ours, theirs):
        [resource] = document["resourceSpans"]
        about = resource["resource"]["attributes"]
        resource["resource"]["attributes"] = [one for one in about if one["key"] != "service.instance.id"]
        assert len(about) == 5
    assert name_ids(ours, our_headers) == name_ids(theirs, their_headers)


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"nonsense",
        b"ff" + PARENT[2:],
        PARENT + b"-more",
        PARENT.upper(),
        b"00-%032x-%016x-01" % (0, 1),
        b"00-%032x-%016x-01" % (1, 0),
        b"01" + PARENT[2:] + b"-" + b"x" * 512,
    ],
)
def test_a_parent_that_opentelemetry_refuses_is_none_here(parent):
    headers = {b"traceparent": parent}
    assert not TraceContextTextMapPropagator().extract({"traceparent": parent.decode()})
    assert read_parent(headers) is None


def test_an_ended_trace_leaves_nothing_to_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        trace = RequestTrace(GENERATIONS["latest"], ManualClock(), ("POST", CHAT, b"1"), None)
        with trace.span("a wait"):
            pass
        trace.finish(200, "")
        trace.encode()
        del trace
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_step_of_the_clock_makes_no_span_negative_and_the_next_trace_right(monkeypatch):
    clock = ManualClock()
    names = GENERATIONS["latest"]
    before = trace_one({}, clock, names)[0]
    monkeypatch.setattr(request_trace.time, "time_ns", lambda: WALL_NS - 3_600_000_000_000)
    after = trace_one({}, clock, names)[0]
    first, second = (one["resourceSpans"][0]["scopeSpans"][0]["spans"][-1] for one in (before, after))
    assert int(first["startTimeUnixNano"]) - int(second["startTimeUnixNano"]) == 3_600_000_000_000
    assert int(second["endTimeUnixNano"]) - int(second["startTimeUnixNano"]) == 1_750_000_000
