"""Traces of requests: who is below whom, what they say of a lower rung, and that they hold no content."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import openai
import pytest
from aiohttp import web

from gateway_stand import build_stand
from practicum_core.rungs import Rung
from practicum_core.trace_names import FIRST_TOKEN_EVENT, QUEUE_SPAN, TRACE_FILE
from practicum_core.traffic import TRAFFIC
from practicum_jobs.load.recording import read_trace_file

PROMPT = "the prompt that nobody shall read in a trace"
CLIENT_TRACE, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01", "x-request-id": "the-first"}
CHAT, ATTEMPT = "POST /v1/chat/completions", "chat fake"


def read_value(value):
    [(kind, content)] = value.items()
    return int(content) if kind == "intValue" else content


def read_spans(documents):
    """Return the spans of OTLP documents, their attributes as a dictionary."""
    spans = []
    for document in documents:
        for resource in document["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                spans += scope["spans"]
    for span in spans:
        span["about"] = {one["key"]: read_value(one["value"]) for one in span.get("attributes", [])}
    return spans


def read_file(folder):
    text = (folder / TRACE_FILE).read_text(encoding="utf-8")
    return read_spans(map(json.loads, text.splitlines())), text


async def ask(stand, headers=None, **options):
    chat = stand.client().chat.completions
    options = {"model": "fake", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 3, **options}
    answer = await chat.create(**options, extra_headers=headers or {})
    if options.get("stream"):
        async for _ in answer:
            pass


def run_traced(folder, send, **options):
    """Serve a traced gateway while ``send`` asks it; return the spans, the file's text and what engines were sent."""

    async def run():
        async with build_stand(folder, **{"traces": True, **options}) as stand:
            await send(stand)
            return stand.engine.headers

    headers = asyncio.run(run())
    return (*read_file(folder), [{name.lower(): value for name, value in one.items()} for one in headers])


def find(spans, name):
    [found] = [span for span in spans if span["name"] == name]
    return found


def test_a_request_is_one_trace_from_its_client_to_the_engine(tmp_path):
    async def send(stand):
        await ask(stand, PARENT, stream=True)

    spans, text, sent = run_traced(tmp_path, send)
    root, wait, attempt = find(spans, CHAT), find(spans, QUEUE_SPAN), find(spans, ATTEMPT)
    assert {span["traceId"] for span in spans} == {CLIENT_TRACE}
    assert root["parentSpanId"] == CLIENT_SPAN
    assert wait["parentSpanId"] == attempt["parentSpanId"] == root["spanId"]
    assert sent[-1]["traceparent"] == f"00-{CLIENT_TRACE}-{attempt['spanId']}-01"
    assert sent[-1]["x-request-id"] == root["about"]["practicum.request.id"] == "the-first"
    assert root["about"]["http.response.status_code"] == 200
    told = attempt["about"]
    assert (told["gen_ai.operation.name"], told["gen_ai.request.model"]) == ("chat", "fake")
    assert (told["gen_ai.provider.name"], told["gen_ai.usage.output_tokens"]) == ("tests", 3)
    [first] = [event for event in attempt["events"] if event["name"] == FIRST_TOKEN_EVENT]
    assert int(attempt["startTimeUnixNano"]) < int(first["timeUnixNano"]) <= int(attempt["endTimeUnixNano"])
    assert PROMPT not in text
    assert "sk-practicum" not in text


def test_a_request_that_its_limit_refuses_says_whose_it_is_and_what_is_lost_is_counted(tmp_path):
    async def run():
        async with build_stand(tmp_path, limits={"requests_per_minute": 1}, traces=True) as stand:
            await ask(stand)
            with pytest.raises(openai.RateLimitError):
                await ask(stand)
            return stand.key_id, stand.gateway.counters.build_page().decode()

    key_id, page = asyncio.run(run())
    spans, _ = read_file(tmp_path)
    told = [(span["about"]["http.response.status_code"], span["about"]["practicum.key.id"]) for span in spans[-1:]]
    assert told == [(429, key_id)]
    assert 'practicum_gateway_traces_dropped_total{reason="no_key"} 0.0' in page


def test_the_old_names_are_those_that_vllm_writes(tmp_path):
    async def send(stand):
        await ask(stand)

    spans, _, _ = run_traced(tmp_path, send, trace_names="old")
    told = find(spans, ATTEMPT)["about"]
    assert (told["gen_ai.system"], told["gen_ai.usage.completion_tokens"]) == ("tests", 3)
    assert not told.keys() & {"gen_ai.provider.name", "gen_ai.usage.output_tokens"}


def test_each_try_at_an_engine_is_a_span_with_the_code_of_its_error(tmp_path):
    async def send(stand):
        stand.engine.fault = "broken"
        with pytest.raises(openai.APIStatusError):
            await ask(stand)
        stand.engine.fault = None
        await ask(stand)

    spans, _, sent = run_traced(tmp_path, send)
    failed, well = [span for span in spans if span["name"] == CHAT]
    assert (failed["about"]["http.response.status_code"], failed["status"]["code"]) == (500, 2)
    assert well.get("status", {}).get("code", 0) == 0
    tries = [span for span in spans if span["name"] == ATTEMPT]
    assert [span["parentSpanId"] for span in tries] == [failed["spanId"], well["spanId"]]
    assert len({headers["traceparent"] for headers in sent}) == len(sent)


def test_a_try_that_was_given_up_at_the_deadline_says_so(tmp_path):
    async def send(stand):
        stand.engine.fault = "silent"
        with pytest.raises(openai.APIStatusError):
            await ask(stand, {"x-request-timeout-ms": "200"})

    spans, _, _ = run_traced(tmp_path, send)
    assert find(spans, CHAT)["about"]["http.response.status_code"] == 504
    assert find(spans, ATTEMPT)["about"]["error.type"] == "cancelled"


def test_a_request_that_outlasts_its_gateway_is_traced_counted_and_recorded(tmp_path):
    async def run():
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            async with build_stand(tmp_path, traces=True, traffic=True, drain_s=1) as stand:
                stand.engine.fault = "silent"
                body = {"model": "fake", "messages": [{"role": "user", "content": PROMPT}]}
                headers = {"authorization": f"Bearer {stand.secret}"}
                asked = asyncio.create_task(client.post(f"{stand.url}/v1/chat/completions", json=body, headers=headers))
                while not any(upstream.num_open for upstream in stand.gateway.pool.upstreams):
                    assert not asked.done(), asked
                    await asyncio.sleep(0.01)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            return stand.gateway.counters.totals

    totals = asyncio.run(run())
    spans, _ = read_file(tmp_path)
    assert find(spans, CHAT)["about"]["http.response.status_code"] == 503
    assert find(spans, ATTEMPT)["about"]["error.type"] == "cancelled"
    assert [one.status for one in read_trace_file(tmp_path / TRAFFIC).requests] == [503]
    assert (totals.num_requests, totals.num_errors) == (1, 1)


def test_a_degraded_request_tells_its_rung_its_reason_and_the_steps_that_led_to_it(tmp_path):
    async def send(stand):
        stand.gateway.degradation.ladder.pin(Rung.SHORT)
        await asyncio.sleep(0.01)
        await ask(stand)
        await asyncio.sleep(0.01)
        stand.gateway.degradation.ladder.pin(Rung.EXTRACT)
        await ask(stand, messages=[{"role": "user", "content": "How long does a refund take?"}])

    options = {"ladder": True, "knowledge": "builtin:tickets", "ladder_settle_s": 0.1, "probe_s": 30}
    spans, text, _ = run_traced(tmp_path, send, **options)
    short, extract = [span for span in spans if span["name"] == CHAT]
    for root, rung in ((short, "short"), (extract, "extract")):
        assert (root["about"]["practicum.ladder.rung"], root["about"]["practicum.ladder.reason"]) == (rung, "manual")
        step = read_spans_event(root, "practicum.ladder.step")
        assert step["practicum.ladder.after"] == rung
        assert read_spans_event(root, "practicum.degraded")["practicum.ladder.rung"] == rung
    below = [span["name"] for span in spans if span.get("parentSpanId") == extract["spanId"]]
    assert below == []
    assert "refund" not in text


def read_spans_event(span, name):
    events = [event for event in span["events"] if event["name"] == name]
    return {one["key"]: read_value(one["value"]) for one in events[-1]["attributes"]}


def test_a_client_that_wants_no_trace_gets_none_and_its_choice_reaches_the_engine(tmp_path):
    async def send(stand):
        await ask(stand, {"traceparent": f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-00"})

    async def run():
        async with build_stand(tmp_path, traces=True) as stand:
            await send(stand)
            return stand.engine.headers

    headers = asyncio.run(run())
    assert (tmp_path / TRACE_FILE).read_text(encoding="utf-8") == ""
    assert headers[-1]["traceparent"].startswith(f"00-{CLIENT_TRACE}-")
    assert headers[-1]["traceparent"].endswith("-00")


@pytest.mark.parametrize("parent", [{}, {"traceparent": "nonsense"}])
def test_a_request_that_is_not_in_the_share_is_not_traced_by_its_engine_either(tmp_path, parent):
    async def run():
        async with build_stand(tmp_path, traces=True, trace_share=0.0) as stand:
            await ask(stand, parent)
            await ask(stand, PARENT)
            return [{name.lower(): value for name, value in one.items()} for one in stand.engine.headers]

    first, second = asyncio.run(run())
    spans, _ = read_file(tmp_path)
    assert {span["traceId"] for span in spans} == {CLIENT_TRACE}, "a client that wants a trace gets one"
    assert second["traceparent"].endswith("-01")
    assert first["traceparent"].endswith("-00"), "also where its client sent a header that is none"


def test_without_traces_the_clients_own_headers_pass(tmp_path):
    async def run():
        async with build_stand(tmp_path) as stand:
            await ask(stand, PARENT)
            return stand.engine.headers

    headers = asyncio.run(run())
    assert headers[-1]["traceparent"] == PARENT["traceparent"]
    assert not (tmp_path / TRACE_FILE).exists()


def test_a_collector_is_sent_what_the_file_would_hold(tmp_path):
    got = []

    async def take(request):
        got.append(await request.json())
        return web.json_response({})

    async def run():
        app = web.Application()
        app.router.add_post("/v1/traces", take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
        async with build_stand(tmp_path, traces=True, trace_endpoint=endpoint) as stand:
            await ask(stand, PARENT)
        await runner.cleanup()

    asyncio.run(run())
    assert find(read_spans(got), CHAT)["traceId"] == CLIENT_TRACE
    assert not (tmp_path / TRACE_FILE).exists()


@pytest.mark.parametrize("listens", [True, False])
def test_a_collector_that_hangs_or_is_away_costs_no_request_and_holds_up_no_end(tmp_path, listens):
    async def run(port):
        endpoint = f"http://127.0.0.1:{port}/v1/traces"
        async with build_stand(tmp_path, traces=True, trace_endpoint=endpoint) as stand:
            for _ in range(3):
                await ask(stand)
            await asyncio.sleep(1.2)
            await ask(stand)
            ended_s = asyncio.get_running_loop().time()
        return asyncio.get_running_loop().time() - ended_s

    with socket.socket() as collector:
        collector.bind(("127.0.0.1", 0))
        if listens:
            collector.listen()
        assert asyncio.run(run(collector.getsockname()[1])) < 10
