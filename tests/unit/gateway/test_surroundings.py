"""A gateway whose names do not resolve, or whose wall clock jumps: by its file, and never without the option."""

from __future__ import annotations

import asyncio
import socket
import time

import aiohttp
import pytest

from manual_clock import ManualClock
from practicum_core.faults import GatewayFault
from practicum_core.stages.upstreams import UpstreamConfig, UpstreamTable
from practicum_gateway.breaker import BreakerSettings
from practicum_gateway.discovery import Discovery
from practicum_gateway.surroundings import Surroundings
from practicum_gateway.upstream import UpstreamPool

LOOPBACK = UpstreamConfig(name="engine", url="http://127.0.0.1:8000")


async def resolve(host):
    return [host]


def test_a_fault_begins_with_its_file_and_ends_by_the_monotonic_clock_or_with_the_file(tmp_path, monkeypatch):
    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, getattr(time, name))
    clock, path = ManualClock(), tmp_path / "fault.json"
    broken = Surroundings(path, clock, resolve)
    broken.replace_wall_clock()
    before_s = time.time()
    path.write_text(GatewayFault(has_no_names=True, clock_jump_s=3600, for_s=60).model_dump_json())
    clock.now_s += 1
    assert 3600 <= time.time() - before_s < 3700
    assert abs(time.time_ns() / 1e9 - time.time()) < 60
    with pytest.raises(socket.gaierror, match="Temporary failure"):
        asyncio.run(broken.look_up("engine"))
    clock.now_s += 61
    assert asyncio.run(broken.look_up("engine")) == ["engine"]
    assert time.time() - before_s < 3600
    path.write_text(GatewayFault(has_no_names=True, for_s=61).model_dump_json())
    clock.now_s += 1
    assert broken.fault.has_no_names
    path.unlink()
    clock.now_s += 1
    assert broken.fault == GatewayFault()
    path.write_text('{"has_no_names": "perhaps"}')
    clock.now_s += 1
    assert broken.fault == GatewayFault()


def test_engines_are_asked_by_name_only_where_names_may_be_broken(tmp_path):
    [named] = Surroundings(tmp_path / "fault.json", ManualClock()).name_upstreams([LOOPBACK])
    assert named.url == "http://localhost:8000"
    assert Surroundings(None, ManualClock()).name_upstreams([LOOPBACK]) == (LOOPBACK,)


def test_engines_of_a_table_that_is_read_again_are_asked_by_name_too(tmp_path):
    path = tmp_path / "upstreams.json"

    async def run():
        pool = UpstreamPool([], BreakerSettings(), 0.5, time.monotonic)
        around = Surroundings(tmp_path / "fault.json", time.monotonic)
        async with aiohttp.ClientSession(trust_env=False) as session:
            discovery = Discovery(pool, session, path, around.look_up, around.name_upstreams)
            discovery.start()
            for _ in range(3000):
                if pool.upstreams:
                    break
                await asyncio.sleep(0.01)
            await discovery.close()
        return [one.url for one in pool.upstreams]

    path.write_text(UpstreamTable(upstreams=(LOOPBACK,)).model_dump_json())
    assert asyncio.run(run()) == ["http://localhost:8000"]
