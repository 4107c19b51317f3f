"""The models that engines told: kept, and told to clients without asking an engine again."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import openai
import pytest
from aiohttp import web

from fake_engine import MODEL
from gateway_stand import build_stand
from practicum_core.stages.upstreams import UpstreamConfig
from practicum_gateway.breaker import BreakerSettings
from practicum_gateway.discovery import Discovery
from practicum_gateway.upstream import UpstreamPool


def test_models_are_told_without_asking_an_engine(tmp_path):
    async def run():
        async with build_stand(tmp_path, num_engines=2) as stand:
            for upstream in stand.gateway.pool.upstreams:
                upstream.url = "http://127.0.0.1:9"
            assert [model.id async for model in await stand.client().models.list()] == [MODEL]
            # It says nothing about the engine.
            assert not any(one.breaker._outcomes for one in stand.gateway.pool.upstreams)
            for service in stand.gateway.pool.services.values():
                service.cards = {}
            with pytest.raises(openai.InternalServerError) as refused:
                await stand.client().models.list()
            assert (refused.value.status_code, refused.value.body["code"]) == (503, "not_ready")

    asyncio.run(run())


def test_a_list_in_two_packets_is_read_whole_and_a_senseless_one_is_passed_over():
    whole = json.dumps({"data": [{"id": MODEL}]}).encode()
    answers = [[b"[" * 100_000]]

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for packet in answers.pop() if answers else [whole[:9], whole[9:]]:
            await response.write(packet)
            await asyncio.sleep(0.1)
        return response

    async def run():
        app = web.Application()
        app.router.add_get("/v1/models", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        config = UpstreamConfig(name="engine", url=f"http://127.0.0.1:{runner.addresses[0][1]}")
        pool = UpstreamPool([config], BreakerSettings(), 0.5, time.monotonic)
        async with aiohttp.ClientSession() as session:
            discovery = Discovery(pool, session, None)
            discovery.start()
            for _ in range(100):
                if pool.is_known:
                    break
                await asyncio.sleep(0.05)
            assert pool.list_models() == [{"id": MODEL}]
            await discovery.close()
        await runner.cleanup()

    asyncio.run(run())
