"""The ladder on the way of the requests: what each rung answers, over real sockets before fake engines."""

from __future__ import annotations

import asyncio
import contextlib
import json

import aiohttp
import openai
import pytest

from fake_engine import FakeEngine, serve_engine
from gateway_stand import build_stand, find_port
from practicum_core.faults import GATEWAY_FAULT_FILE, GatewayFault
from practicum_core.rungs import Rung

QUESTION = "How long does a refund take?"
ANSWER = "A refund is paid within 5 working days"
FAST = {
    "ladder": True,
    "knowledge": "builtin:tickets",
    "ladder_down_s": 0.2,
    "ladder_up_s": 0.3,
    "ladder_window_s": 0.5,
    "probe_s": 0.1,
    "probe_timeout_s": 0.5,
    "breaker_open_s": 0.2,
}


async def ask(stand, question=QUESTION, **options):
    """Ask; return the answer and the headers of its rung."""
    messages = [{"role": "user", "content": question}]
    raw = await stand.client().chat.completions.with_raw_response.create(
        messages=messages, **{"model": "fake", "max_tokens": 5, **options}
    )
    return raw.parse(), raw.headers.get("x-practicum-degraded"), raw.headers.get("x-practicum-degraded-reason")


async def pin(tmp_path, stand, rung):
    (tmp_path / "gateway-rung.json").write_text(json.dumps({"rung": rung}))
    await wait_for(stand, rung)


async def wait_for(stand, rung, timeout_s=20.0):
    async with asyncio.timeout(timeout_s):
        while stand.gateway.degradation.ladder.rung != rung:  # noqa: ASYNC110 - the ladder wakes nobody
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def build_mortal(folder, **options):
    """Serve a gateway before an engine; yield its stand, what ends the engine (``aclose``), and what serves it anew."""
    port, engine = find_port(), FakeEngine()
    async with contextlib.AsyncExitStack() as serving:
        url = await serving.enter_async_context(serve_engine(engine, port))
        upstreams = [{"name": "engine", "url": url}]
        async with build_stand(folder, num_engines=0, upstreams=upstreams, **options) as stand:
            yield stand, serving, lambda: serve_engine(engine, port)


async def fetch(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


def test_without_it_nothing_is_degraded(tmp_path):
    async def run():
        async with build_stand(tmp_path) as stand:
            answer, rung, _ = await ask(stand)
            assert answer.choices[0].message.content.startswith("t1")
            assert rung is None
            assert (await fetch(f"{stand.url}/ladder"))[0] == 404
            assert "gateway_ladder" not in (await fetch(f"{stand.url}/metrics"))[1]

    asyncio.run(run())


def test_an_engine_that_dies_and_comes_back_takes_the_ladder_down_and_up(tmp_path):
    async def run():
        async with build_mortal(tmp_path, **FAST) as (stand, serving, serve_again):
            assert (await ask(stand))[1] is None
            await serving.aclose()
            # The first request mostly meets the dead engine itself, before any probe does.
            answer, rung, reason = await ask(stand)
            assert rung == "extract"
            assert reason in {"upstream_unreachable", "not_ready", "engine_out"}
            assert answer.choices[0].message.content.startswith(ANSWER)
            assert answer.choices[0].message.content.endswith("[refund-time: When a refund arrives]")
            assert answer.model == "practicum-extract"
            await wait_for(stand, Rung.EXTRACT)
            assert (await ask(stand))[1:] == ("extract", "engine_out")
            # Taken out for the engine's sake, it could give nobody the lower rungs.
            assert (await fetch(f"{stand.url}/readyz"))[0] == 200
            page = json.loads((await fetch(f"{stand.url}/ladder"))[1])
            assert (page["rung"], page["signals"]["is_engine_out"]) == ("extract", True)
            async with serve_again():
                await wait_for(stand, Rung.FULL)
                answer, rung, _ = await ask(stand)
                assert rung is None
                assert answer.choices[0].message.content.startswith("t1")
                steps = [
                    (one.before, one.after, one.reason) for one in stand.gateway.degradation.history.list_changes()
                ]
                assert steps == [
                    ("full", "extract", "engine_out"),
                    ("extract", "short", "calm"),
                    ("short", "full", "calm"),
                ]
                metrics = (await fetch(f"{stand.url}/metrics"))[1]
                assert 'ladder_steps_total{after="extract",before="full",reason="engine_out"} 1.0' in metrics
                assert 'ladder_answers_total{reason="engine_out",rung="extract"}' in metrics
                assert "practicum_gateway_ladder_rung 0.0" in metrics

    asyncio.run(run())


def test_without_engine_and_knowledge_base_stored_answers_are_left_and_both_come_back(tmp_path):
    async def run():
        async with build_mortal(tmp_path, **FAST, faults=True) as (stand, serving, serve_again):
            (tmp_path / GATEWAY_FAULT_FILE).write_text(GatewayFault(has_no_search=True).model_dump_json())
            async with asyncio.timeout(20):
                while not stand.gateway.degradation.signals.is_retrieval_out:  # noqa: ASYNC110 - it wakes nobody
                    await asyncio.sleep(0.02)
            # While the engine answers, nobody notices.
            assert (await ask(stand))[1] is None
            await serving.aclose()
            await wait_for(stand, Rung.FAQ)
            answer, rung, reason = await ask(stand)
            assert (rung, reason) == ("faq", "engine_out")
            assert answer.model == "practicum-faq"
            with pytest.raises(openai.InternalServerError, match="nothing but the model"):
                await ask(stand, "How long does it take until a refund is there?")
            (tmp_path / GATEWAY_FAULT_FILE).unlink()
            async with serve_again():
                await wait_for(stand, Rung.FULL)
            steps = [one.after for one in stand.gateway.degradation.ladder.changes]
            assert steps == ["faq", "extract", "short", "full"]

    asyncio.run(run())


def test_a_request_that_finds_no_engine_ready_is_answered_by_a_lower_rung_too(tmp_path):
    async def run():
        async with build_stand(tmp_path, **{**FAST, "probe_s": 60}) as stand:
            [upstream] = stand.gateway.pool.upstreams
            # As where it takes no connections any more, and no probe has told the ladder yet.
            stand.gateway.pool.learn(upstream, None)
            answer, rung, reason = await ask(stand)
            assert (rung, reason) == ("extract", "not_ready")
            assert answer.choices[0].message.content.startswith(ANSWER)

    asyncio.run(run())


def test_an_engine_that_hangs_is_found_by_its_probes(tmp_path):
    async def run():
        async with build_stand(tmp_path, **FAST) as stand:
            stand.engine.fault = "silent"
            await wait_for(stand, Rung.EXTRACT)
            assert (await ask(stand))[1] == "extract"
            stand.engine.fault = None
            await wait_for(stand, Rung.FULL)

    asyncio.run(run())


def test_the_short_rung_asks_the_model_for_less(tmp_path):
    async def run():
        async with build_stand(tmp_path, **FAST, short_max_tokens=3, short_messages=2) as stand:
            await pin(tmp_path, stand, "short")
            roles = ["system", "user", "assistant", "user"]
            messages = [{"role": role, "content": role} for role in roles]
            raw = await stand.client().chat.completions.with_raw_response.create(
                model="fake", messages=messages, max_tokens=50, temperature=0.25
            )
            assert raw.headers["x-practicum-degraded"] == "short"
            assert raw.headers["x-practicum-degraded-reason"] == "manual"
            assert raw.parse().usage.completion_tokens == 3
            seen = next(body for body in stand.engine.bodies if "messages" in body)
            assert [one["role"] for one in seen["messages"]] == ["system", "user"]
            assert (seen["max_tokens"], seen["temperature"]) == (3, 0.25)

    asyncio.run(run())


def test_the_small_rung_asks_the_other_engine_for_its_own_model(tmp_path):
    async def run():
        small = FakeEngine()
        async with serve_engine(small) as url, build_stand(tmp_path, **FAST, small_upstream=url) as stand:
            stand.engine.fault = "broken"
            await wait_for(stand, Rung.SMALL)
            before = len(small.bodies)
            answer, rung, reason = await ask(stand, model="large")
            assert (rung, reason) == ("small", "engine_out")
            assert answer.choices[0].message.content.startswith("t1")
            asked = [body for body in small.bodies[before:] if "messages" in body]
            assert [body["model"] for body in asked] == ["fake"]

    asyncio.run(run())


def test_a_streamed_extract_is_what_openais_client_reads(tmp_path):
    async def run():
        async with build_stand(tmp_path, **FAST) as stand:
            await pin(tmp_path, stand, "extract")
            stream = await stand.client().chat.completions.create(
                model="fake",
                messages=[{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
                stream=True,
                stream_options={"include_usage": True},
            )
            chunks = [chunk async for chunk in stream]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            assert text.startswith(ANSWER)
            assert chunks[-1].usage.total_tokens == 0
            whole = await stand.client().completions.create(model="fake", prompt="退款多久到账？")
            assert "refund-time-zh" in whole.choices[0].text
            assert not [body for body in stand.engine.bodies if "messages" in body]

    asyncio.run(run())


TOOL = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize("options", [{"question": "What is the capital of France?"}, {"n": 2}, {"tools": [TOOL]}])
def test_what_only_a_model_can_answer_gets_an_apology(tmp_path, options):
    async def run():
        async with build_stand(tmp_path, **FAST) as stand:
            await pin(tmp_path, stand, "extract")
            with pytest.raises(openai.InternalServerError) as caught:
                await ask(stand, **options)
            assert caught.value.status_code == 503
            assert caught.value.code == "degraded"
            assert caught.value.response.headers["x-practicum-degraded"] == "apology"
            assert caught.value.response.headers["retry-after"] == "5"

    asyncio.run(run())


def test_the_stored_answers_need_no_search(tmp_path):
    async def run():
        async with build_stand(tmp_path, **FAST) as stand:
            await pin(tmp_path, stand, "faq")
            answer, rung, _ = await ask(stand)
            assert rung == "faq"
            assert answer.choices[0].message.content.startswith(ANSWER)

    asyncio.run(run())


def test_a_broken_file_moves_nothing_and_without_one_the_signals_choose(tmp_path):
    async def run():
        async with build_stand(tmp_path, **FAST) as stand:
            await pin(tmp_path, stand, "faq")
            (tmp_path / "gateway-rung.json").write_text('{"rung": "basement"}')
            await asyncio.sleep(0.6)
            assert stand.gateway.degradation.ladder.rung is Rung.FAQ
            (tmp_path / "gateway-rung.json").unlink()
            await wait_for(stand, Rung.FULL)

    asyncio.run(run())


def test_a_model_whose_engine_went_is_answered_without_one(tmp_path):
    """Another engine stays, which has another model."""

    async def run():
        ports, others = (find_port(), find_port()), FakeEngine()
        others.models = ["other"]
        async with serve_engine(others, ports[1]) as other_url, contextlib.AsyncExitStack() as first:
            url = await first.enter_async_context(serve_engine(FakeEngine(), ports[0]))
            upstreams = [{"name": "a", "url": url}, {"name": "b", "url": other_url}]
            async with build_stand(tmp_path, num_engines=0, upstreams=upstreams, **FAST) as stand:
                while len(stand.gateway.pool.list_models()) < 2:  # noqa: ASYNC110 - the engines tell nobody
                    await asyncio.sleep(0.02)
                assert (await ask(stand))[1] is None
                await first.aclose()
                for _ in range(3):
                    assert (await ask(stand))[1] == "extract"

    asyncio.run(run())
