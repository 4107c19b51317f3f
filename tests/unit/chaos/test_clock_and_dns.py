"""Faults that need root or a library before the process, made inside of it: the clock jumps, and no name resolves."""

from __future__ import annotations

import asyncio
import socket
import time

import aiohttp
import pytest

from chaos_stand import PATIENT
from fake_engine import FakeEngine, serve_engine
from gateway_stand import HELLO, build_stand
from practicum_core.rungs import Rung

BODY = {"model": "fake", "messages": HELLO, "max_tokens": 3}


async def ask_for(session, stand, seconds):
    """Ask one request after another for so long; return the statuses and rungs of the answers."""
    found = set()
    headers = {"authorization": f"Bearer {stand.secret}"}
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        async with session.post(f"{stand.url}/v1/chat/completions", json=BODY, headers=headers) as answer:
            await answer.read()
            found.add((answer.status, answer.headers.get("x-practicum-degraded", "full")))
    return found


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0], ids=["an hour ahead", "an hour back"])
def test_a_jump_of_the_clock_moves_no_ladder_and_fails_no_request(tmp_path, monkeypatch, jump_s):
    real = time.time

    async def run():
        async with build_stand(tmp_path, **PATIENT) as stand, aiohttp.ClientSession() as session:
            before = await ask_for(session, stand, 0.4)
            monkeypatch.setattr(time, "time", lambda: real() + jump_s)
            during = await ask_for(session, stand, 0.8)
            monkeypatch.setattr(time, "time", real)
            after = await ask_for(session, stand, 0.4)
            return before | during | after, stand.gateway.degradation.ladder.num_changes

    assert asyncio.run(run()) == ({(200, "full")}, 0)


def test_engines_are_asked_at_their_last_addresses_while_no_name_resolves(tmp_path):
    is_down, num_failed = False, 0

    async def resolve(host):
        nonlocal num_failed
        assert host == "engine.test"
        if is_down:
            num_failed += 1
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ["127.0.0.1"]

    async def run():
        nonlocal is_down
        async with serve_engine(FakeEngine()) as url, aiohttp.ClientSession() as session:
            port = url.rpartition(":")[2]
            upstreams = [{"name": "engine", "url": f"http://engine.test:{port}", "discover": True}]
            options = {"upstreams": upstreams, "resolve": resolve, **PATIENT}
            async with build_stand(tmp_path, None, 0, **options) as stand:
                await ask_for(session, stand, 0.3)
                is_down = True
                found = await ask_for(session, stand, 2.5)
                is_down = False
                return found, stand.gateway.degradation.ladder.rung

    assert asyncio.run(run()) == ({(200, "full")}, Rung.FULL)
    assert num_failed >= 2
