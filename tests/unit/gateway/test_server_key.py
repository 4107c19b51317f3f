"""The key of a run's engines: put into requests to them, and into none to anybody else."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from fake_engine import FakeEngine, serve_engine
from fake_scheduler import Settings
from practicum_core.stage_process import ENDPOINTS_VARIABLE, SERVER_KEY_VARIABLE
from practicum_gateway.server_key import build_middlewares


def test_engines_of_the_run_get_the_key_and_others_do_not():
    async def run():
        own, other = FakeEngine(Settings(api_key="secret")), FakeEngine()
        async with serve_engine(own) as url, serve_engine(other) as other_url:
            told = {ENDPOINTS_VARIABLE: json.dumps({"serve": url}), SERVER_KEY_VARIABLE: "secret"}
            async with aiohttp.ClientSession(middlewares=build_middlewares(told)) as session:
                for address in (url, other_url):
                    body = {"model": "fake", "messages": [], "max_tokens": 1}
                    async with session.post(f"{address}/v1/chat/completions", json=body) as answer:
                        assert answer.status == 200
        return own.headers[0].get("Authorization"), other.headers[0].get("Authorization")

    assert asyncio.run(run()) == ("Bearer secret", None)


@pytest.mark.parametrize(
    "told", [{}, {SERVER_KEY_VARIABLE: "secret"}, {ENDPOINTS_VARIABLE: '{"serve": "http://127.0.0.1:1"}'}]
)
def test_without_key_or_engines_nothing_stands_in_the_way(told):
    assert build_middlewares(told) == ()
