"""The gateway on real sockets before a fake engine, asked by OpenAI's own client and by clients that misbehave."""

from __future__ import annotations

import asyncio
import functools
import json
import time

import aiohttp
import openai
import pytest

from fake_engine import MODEL, Settings
from gateway_stand import HELLO, build_stand
from practicum_core.api_keys import change_key_file

SLOW = Settings(step_s=0.02)


def on_stand(**stand_options):
    """Run an asynchronous test on a stand of its own."""

    def decorate(test):
        @functools.wraps(test)
        def call(tmp_path):
            async def run():
                async with build_stand(tmp_path, **stand_options) as stand:
                    await test(stand)

            asyncio.run(run())

        # pytest reads the signature to find fixtures.
        del call.__wrapped__
        return call

    return decorate


def chat(client, **options):
    return client.chat.completions.create(**{"model": MODEL, "messages": HELLO, "max_tokens": 5, **options})


@on_stand()
async def test_openais_client_gets_its_answers(stand):
    client = stand.client()
    answer = await chat(client)
    assert answer.choices[0].message.content == "t1 t2 t3 t4 t5 "
    assert answer.usage.completion_tokens == 5
    assert [model.id async for model in await client.models.list()] == [MODEL]
    assert (await client.models.retrieve(MODEL)).owned_by == "tests"
    for path in ("nothing", "..%2F..%2Fmetrics", "../metrics"):
        with pytest.raises(openai.NotFoundError):
            await client.get(f"/models/{path}", cast_to=object)
    text = await client.completions.create(model=MODEL, prompt=["a"], max_tokens=2)
    assert text.choices[0].text == "t1 t2 "
    vectors = await client.embeddings.create(model=MODEL, input="hello", encoding_format="float")
    assert vectors.data[0].embedding == [0.25, 0.5]


@on_stand(settings=SLOW)
async def test_a_stream_comes_chunk_by_chunk(stand):
    times, texts, usages = [], [], []
    started_s = time.monotonic()
    async for chunk in await chat(stand.client(), stream=True, max_tokens=10):
        times.append(time.monotonic() - started_s)
        texts.append(chunk.choices[0].delta.content)
        usages.append(chunk.usage)
    assert "".join(filter(None, texts)) == "".join(f"t{n} " for n in range(1, 11))
    # Ten steps of 20 ms: the first chunk does not wait for the last.
    assert times[-1] - times[0] > 0.1
    assert usages == [None] * 11
    # The gateway asked for usage in the client's place, to count it.
    assert stand.engine.bodies[-1]["stream_options"] == {"include_usage": True}
    assert stand.gateway.counters.totals.completion_tokens == 10


@on_stand()
async def test_usage_that_was_asked_for_is_shown(stand):
    chunks = [one async for one in await chat(stand.client(), stream=True, stream_options={"include_usage": True})]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 5


@on_stand()
async def test_fields_that_the_gateway_does_not_know_reach_the_engine(stand):
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    extra = {"min_p": 1e-05, "guided_regex": "[a-z]+\u4f60", "top_k": 12345678901234567890}
    await chat(stand.client(), tools=tools, response_format={"type": "json_object"}, extra_body=extra)
    body = stand.engine.bodies[-1]
    assert {name: body[name] for name in extra} == extra
    assert (body["tools"], body["response_format"]) == (tools, {"type": "json_object"})
    assert "Authorization" not in stand.engine.headers[-1], "the key of the gateway is not for the engine"


@on_stand()
async def test_keys_are_made_and_revoked_while_the_gateway_runs(stand):
    with pytest.raises(openai.AuthenticationError) as refused:
        await chat(stand.client("sk-practicum-wrong"))
    assert refused.value.body["code"] == "invalid_api_key"
    second = stand.add_key()
    await asyncio.sleep(1.05)
    await chat(stand.client(second))
    change_key_file(stand.keys, lambda file: file.revoke(stand.key_id, "2026-01-02"))
    await asyncio.sleep(1.05)
    with pytest.raises(openai.AuthenticationError):
        await chat(stand.client())
    stand.keys.write_text("{")
    await asyncio.sleep(1.05)
    await chat(stand.client(second))
    assert stand.secret not in stand.keys.read_text()


@on_stand(limits={"tokens_per_minute": 600})
async def test_a_token_limit_is_told_as_openai_tells_it(stand):
    client = stand.client()
    answer = await client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, max_tokens=100)
    assert answer.headers["x-ratelimit-limit-tokens"] == "600"
    used = answer.parse().usage.total_tokens
    with pytest.raises(openai.RateLimitError) as refused:
        await chat(client, max_tokens=380)
    assert refused.value.body["code"] == "rate_limit_exceeded"
    assert 0 < int(refused.value.response.headers["retry-after"]) <= 61
    with pytest.raises(openai.BadRequestError) as refused:
        await chat(client, max_tokens=600)
    assert refused.value.body["code"] == "request_above_limit"
    assert stand.gateway._keys.authenticate(f"Bearer {stand.secret}".encode()).meter.reserved_tokens == 0
    assert used < 200


@on_stand(limits={"tokens_per_minute": 2000}, default_max_tokens=7)
async def test_a_limited_request_without_max_tokens_gets_the_usual_ones(stand):
    answer = await chat(stand.client(), max_tokens=openai.omit)
    assert answer.usage.completion_tokens == 7


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("html", 502, "upstream_invalid"),
        ("html-502", 502, "upstream_failed"),
        ("busy", 503, "upstream_busy"),
        ("broken", 500, "internal"),
        ("framework", 404, "upstream_refused"),
    ],
)
def test_faults_of_the_engine_are_told_in_openais_shape(tmp_path, fault, status, code):
    async def run():
        async with build_stand(tmp_path) as stand:
            with pytest.raises(openai.APIStatusError) as failed:
                await chat(stand.client(), extra_body={"fault": fault})
            assert (failed.value.status_code, failed.value.body["code"]) == (status, code)
            await chat(stand.client())

    asyncio.run(run())


@on_stand()
async def test_a_refusal_of_the_engine_comes_through(stand):
    with pytest.raises(openai.BadRequestError, match="maximum context length is 4096") as refused:
        await chat(stand.client(), max_tokens=5000)
    assert refused.value.body["code"] == "context_length"


@on_stand()
async def test_a_stream_that_the_engine_breaks_off_ends_with_an_error(stand):
    stream = aiter(await chat(stand.client(), stream=True, extra_body={"breaks_at": 3}))
    assert [(await anext(stream)).choices[0].delta.content for _ in range(2)] == ["t1 ", "t2 "]
    with pytest.raises(openai.APIError, match="broke off"):
        await anext(stream)


@on_stand(num_engines=2, breaker_min_requests=2, breaker_open_s=60)
async def test_another_engine_is_tried_before_the_first_byte(stand):
    # The first engine accepts connections and closes them at once.
    closing = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    stand.gateway.pool.upstreams[0].url = f"http://127.0.0.1:{closing.sockets[0].getsockname()[1]}"
    async with closing:
        # Prompts that begin in different ways, or all would go to the same engine.
        prompts = [[{"role": "user", "content": f"{number} hello"}] for number in range(12)]
        answers = [await chat(stand.client(), messages=prompt) for prompt in prompts]
    assert [answer.usage.completion_tokens for answer in answers] == [5] * 12
    assert len(stand.engines[1].bodies) == 12
    assert stand.gateway._budget.num_retries == stand.gateway._budget.num_open == 0
    assert not stand.gateway.pool.upstreams[0].breaker.may_pass


@on_stand(settings=SLOW, initial_concurrency=1, min_concurrency=1, max_concurrency=1, queue_size=1, queue_timeout_s=0.3)
async def test_the_queue_is_bounded_in_length_and_time(stand):
    first = asyncio.create_task(chat(stand.client(), max_tokens=50))
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(chat(stand.client()))
    await asyncio.sleep(0.05)
    with pytest.raises(openai.InternalServerError) as refused:
        await chat(stand.client())
    assert (refused.value.status_code, refused.value.body["code"]) == (503, "queue_full")
    with pytest.raises(openai.InternalServerError) as late:
        await waiting
    assert late.value.body["code"] == "queue_timeout"
    await first


@on_stand(settings=SLOW)
async def test_a_request_may_say_how_long_it_waits(stand):
    started_s = time.monotonic()
    with pytest.raises(openai.InternalServerError) as late:
        await chat(stand.client(), max_tokens=500, extra_headers={"x-request-timeout-ms": "200"})
    assert (late.value.status_code, late.value.body["code"]) == (504, "deadline_exceeded")
    assert time.monotonic() - started_s < 8, "the whole answer takes ten seconds"
    assert 0 < int(stand.engine.headers[-1]["x-request-timeout-ms"]) <= 200
    await stand.wait_until_idle()


@on_stand(settings=SLOW)
async def test_a_stopped_gateway_lets_streams_end_and_takes_no_others(stand):
    stream = await chat(stand.client(), stream=True, max_tokens=20)
    held = stand.client()
    await held.models.list()
    stand.context.is_stop_requested = True
    await asyncio.sleep(0.1)
    with pytest.raises((openai.APIConnectionError, openai.InternalServerError)):
        await chat(held)
    assert len([chunk async for chunk in stream]) == 21


def send_raw(stand, text, timeout_s=3.0):
    """Send bytes and return what comes back until the connection is closed."""

    async def talk():
        reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
        writer.write(text)
        try:
            async with asyncio.timeout(timeout_s):
                return await reader.read()
        finally:
            writer.close()

    return talk()


HEAD = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n"


@on_stand(max_header_bytes=4096, max_body_bytes=2048, header_timeout_s=0.3, body_timeout_s=0.3)
async def test_bounds_of_requests(stand):
    head = HEAD.format(stand.secret).encode()
    cases = {
        b"GET / HTTP/1.1\r\nx: " + b"a" * 5000: b"431",
        b"GET / HTTP/1.1\r\n" + b"x: a\r\n" * 2000: b"431",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 5000 + b"\r\n\r\n": b"431",
        b"no HTTP at all\r\n\r\n": b"400",
        b"GET / HT": b"408",
        head + b"content-length: 9999\r\n\r\n": b"413",
        head
        + b"transfer-encoding: chunked\r\n\r\n"
        + b"400\r\n"
        + b"a" * 1024
        + b"\r\n"
        + (b"800\r\n" + b"a" * 2048 + b"\r\n"): b"413",
        head + b"content-length: 100\r\n\r\n{": b"408",
    }
    for text, status in cases.items():
        answer = await send_raw(stand, text)
        assert answer.startswith(b"HTTP/1.1 " + status), (text[:60], answer)
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]
    assert await send_raw(stand, b"") == b""
    with pytest.raises(openai.APIStatusError, match="longer than 2048") as refused:
        await chat(stand.client(), user="x" * 20_000)
    assert refused.value.status_code == 413
    await chat(stand.client())


@on_stand(settings=Settings(step_s=0.0), write_timeout_s=0.5)
async def test_a_client_that_does_not_read_is_cut_off(stand):
    body = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": 4000, "stream": True}).encode()
    stand.engine.settings.max_model_tokens = 10**7
    body = body.replace(b"4000", b"9000000")
    _, writer = await asyncio.open_connection("127.0.0.1", stand.port, limit=1024)
    writer.write(HEAD.format(stand.secret).encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
    await asyncio.sleep(0.2)
    await stand.wait_until_idle(20)
    writer.close()
    assert stand.engine.num_generated < 9_000_000


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "unknown_path"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/models", 401, "missing_api_key"),
        ("POST", "/v1/chat/completions", 401, "missing_api_key"),
    ],
)
def test_every_refusal_has_openais_shape(tmp_path, method, path, status, code):
    async def run():
        async with (
            build_stand(tmp_path) as stand,
            aiohttp.ClientSession() as session,
            session.request(method, stand.url + path) as answer,
        ):
            error = (await answer.json())["error"]
            assert (answer.status, error["code"]) == (status, code)
            assert set(error) == {"message", "type", "param", "code"}
            assert answer.headers["x-request-id"]

    asyncio.run(run())


@on_stand()
async def test_state_and_metrics_are_told(stand):
    await chat(stand.client())
    async with aiohttp.ClientSession() as session:
        for path in ("/healthz", "/readyz", "/startupz"):
            async with session.get(stand.url + path) as answer:
                assert answer.status == 200
        async with session.get(stand.url + "/metrics") as answer:
            page = await answer.text()
    assert 'practicum_gateway_upstream_requests_total{upstream="engine-0"} 1.0' in page
    assert 'practicum_gateway_upstream_ready{upstream="engine-0"} 1.0' in page
    assert 'practicum_gateway_requests_total{path="/v1/chat/completions",status="200"} 1.0' in page
    assert f'practicum_gateway_tokens_total{{key="{stand.key_id}",kind="completion"}} 5.0' in page


@on_stand()
async def test_a_client_that_closes_at_the_last_event_has_its_answer(stand):
    body = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": 3, "stream": True}).encode()
    request = HEAD.format(stand.secret).encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body
    for _ in range(50):
        reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
        writer.write(request)
        await reader.readuntil(b"[DONE]")
        writer.transport.abort()
    await asyncio.sleep(0.1)
    totals = stand.gateway.counters.totals
    assert (totals.num_requests, totals.num_clients_gone, totals.completion_tokens) == (50, 0, 150)
    # The connection to the engine was kept for the next request each time.
    assert len({headers["X-Port"] for headers in stand.engine.headers}) == 1
