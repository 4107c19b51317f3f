"""The fault proxy between a client and a fake engine: what passes, and what each fault does to an answer."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import time

import aiohttp
import pytest
from aiohttp import web

from fake_engine import FakeEngine, serve_engine
from practicum_jobs.faultproxy.listener import serve_proxy
from practicum_jobs.faultproxy.proxy import FaultProxy

BODY = {"model": "fake", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 6, "stream": True}


@contextlib.asynccontextmanager
async def build_stand():
    """Serve a proxy before an engine; gives the engine, the proxy's address and a session."""
    engine = FakeEngine()
    async with (
        serve_engine(engine) as url,
        aiohttp.ClientSession() as session,
        serve_proxy(FaultProxy(url), "127.0.0.1", 0) as address,
    ):
        yield engine, address, session


async def ask(session, url):
    async with session.post(f"{url}/v1/chat/completions", json=BODY) as answer:
        return answer.status, await answer.text()


async def is_refused(session, url):
    try:
        await ask(session, url)
    except aiohttp.ClientConnectorError as error:
        return error.os_error.errno == errno.ECONNREFUSED
    except aiohttp.ClientError:
        return False  # cut off as the port closed
    return False


async def set_fault(session, url, **fault):
    async with session.put(f"{url}/faults", json=fault) as answer:
        return answer.status


def test_without_a_fault_everything_passes_as_it_is():
    async def run():
        async with build_stand() as (engine, url, session):
            status, text = await ask(session, url)
            assert status == 200
            assert text.count("data: ") == 8
            assert text.endswith("data: [DONE]\n\n")
            assert engine.bodies[-1] == BODY
            async with session.get(f"{url}/v1/models") as answer:
                assert [one["id"] for one in (await answer.json())["data"]] == ["fake"]
            async with session.get(f"{url}/metrics") as answer:
                assert "vllm:num_requests_running" in await answer.text()

    asyncio.run(run())


def test_answers_begin_late():
    async def run():
        async with build_stand() as (_, url, session):
            assert await set_fault(session, url, kind="slow_first_token", delay_s=0.5) == 200
            started_s = time.monotonic()
            assert (await ask(session, url))[0] == 200
            assert time.monotonic() - started_s >= 0.5

    asyncio.run(run())


def test_every_second_request_fails_without_the_shape_of_an_error_until_the_fault_is_cleared():
    async def run():
        async with build_stand() as (_, url, session):
            await set_fault(session, url, kind="errors", status=502, every=2)
            assert [(await ask(session, url))[0] for _ in range(4)] == [200, 502, 200, 502]
            async with session.delete(f"{url}/faults") as answer:
                assert (await answer.json())["kind"] == "none"
            assert [(await ask(session, url))[0] for _ in range(2)] == [200, 200]

    asyncio.run(run())


def test_streams_break_off():
    async def run():
        async with build_stand() as (_, url, session):
            await set_fault(session, url, kind="cut", after_chunks=2)
            with pytest.raises(aiohttp.ClientPayloadError):
                await ask(session, url)

    asyncio.run(run())


def test_an_event_in_the_middle_is_half_a_json_text():
    async def run():
        async with build_stand() as (_, url, session):
            await set_fault(session, url, kind="malformed", after_chunks=2)
            events = [line[6:] for line in (await ask(session, url))[1].splitlines() if line.startswith("data: ")]
            broken = [event for event in events if event != "[DONE]" and not _is_json(event)]
            assert len(broken) == 1
            assert events[-1] == "[DONE]"

    asyncio.run(run())


def _is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_a_long_way_makes_every_part_late_and_keeps_them_as_far_apart():
    async def run():
        async with build_stand() as (_, url, session):
            began_s = time.monotonic()
            await ask(session, url)
            usual_s = time.monotonic() - began_s
            await set_fault(session, url, kind="latency", delay_s=0.3)
            began_s = time.monotonic()
            status, text = await ask(session, url)
            # There and back again once, whatever the number of parts.
            assert 0.6 <= time.monotonic() - began_s <= usual_s + 0.6 + 2
            assert (status, text.count("data: ")) == (200, 8)

    asyncio.run(run())


def test_lost_packets_make_some_parts_late_and_nothing_is_missing():
    async def run():
        async with build_stand() as (_, url, session):
            await set_fault(session, url, kind="loss", delay_s=0.2, every=4)
            began_s = time.monotonic()
            for _ in range(4):  # on a busy machine all events of an answer may come as one part
                status, text = await ask(session, url)
                assert (status, text.count("data: ")) == (200, 8)
            assert time.monotonic() - began_s >= 0.2

    asyncio.run(run())


def test_a_stream_stalls_until_the_fault_ends():
    async def run():
        async with build_stand() as (_, url, session):
            await set_fault(session, url, kind="stall", for_s=0.6)
            began_s = time.monotonic()
            status, text = await ask(session, url)
            assert time.monotonic() - began_s >= 0.5
            assert (status, text.count("data: ")) == (200, 8)

    asyncio.run(run())


def test_connections_are_reset():
    async def run():
        async with build_stand() as (_, url, session):
            await set_fault(session, url, kind="reset")
            with pytest.raises((ConnectionResetError, aiohttp.ClientOSError)):
                await ask(session, url)

    asyncio.run(run())


def test_connections_are_refused_for_a_while():
    async def run():
        async with build_stand() as (_, url, session):
            assert await set_fault(session, url, kind="refused", for_s=2.0) == 200
            refused = []
            async with asyncio.timeout(20):
                while not any(refused) or refused[-1]:
                    refused.append(await is_refused(session, url))
                    await asyncio.sleep(0.05)
            assert (await ask(session, url))[0] == 200

    asyncio.run(run())


def test_faults_need_the_key_where_there_is_one():
    async def run():
        proxy = FaultProxy("http://127.0.0.1:9", "the key")
        async with aiohttp.ClientSession() as session:
            runner = web.AppRunner(proxy.build_app(), access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            assert await set_fault(session, url, kind="errors") == 401
            assert proxy.fault.kind == "none"
            session.headers["authorization"] = "Bearer the key"
            assert await set_fault(session, url, kind="errors") == 200
            assert proxy.fault.kind == "errors"
            await runner.cleanup()

    asyncio.run(run())


def test_a_fault_that_is_none_is_refused():
    async def run():
        async with build_stand() as (_, url, session):
            assert await set_fault(session, url, kind="earthquake") == 400
            assert (await ask(session, url))[0] == 200

    asyncio.run(run())


def test_an_engine_that_is_gone_ends_the_connection():
    async def run():
        async with aiohttp.ClientSession() as session:
            runner = web.AppRunner(FaultProxy("http://127.0.0.1:9").build_app(), access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await ask(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
            await runner.cleanup()

    asyncio.run(run())


def test_a_port_that_another_process_took_meanwhile_is_opened_again_after_it():
    async def run():
        async with build_stand() as (_, url, session):
            assert await set_fault(session, url, kind="refused", for_s=1.0) == 200
            began_s, other = time.monotonic(), None
            while other is None:
                with contextlib.suppress(OSError):  # the proxy has it still
                    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", int(url.rpartition(":")[2]))
                await asyncio.sleep(0.01)
            await asyncio.sleep(max(0.0, began_s + 1.2 - time.monotonic()))
            other.close()
            deadline_s = time.monotonic() + 10
            while time.monotonic() < deadline_s:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{url}/healthz") as answer:
                        return answer.status
                await asyncio.sleep(0.05)
        return None

    assert asyncio.run(run()) == 200
