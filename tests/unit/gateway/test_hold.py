"""Requests that wait for a first engine: none is lost, their number and their time are bounded."""

from __future__ import annotations

import asyncio
import time

import pytest

from practicum_gateway.errors import ApiError
from practicum_gateway.hold import Hold
from practicum_gateway.scaling import Demand, EngineLoad, build_scaling_document, read_engine_load

VLLM_PAGE = """# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 7.0
vllm:num_requests_running{engine="0",model_name="a } b"} 2.0
"""


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_all_that_wait_go_on_when_an_engine_is_ready():
    async def run():
        ready = set()
        hold = Hold(4, time.monotonic, lambda name: name in ready)
        waits = [asyncio.create_task(hold.wait("a", f"owner-{number}", 5, 5)) for number in range(4)]
        other = asyncio.create_task(hold.wait("b", "x", 5, 5))
        await settle()
        assert (hold.count("a"), hold.count("b"), hold.count("c")) == (4, 1, 0)
        hold.release()
        await settle()
        assert hold.count("a") == 4
        ready.add("a")
        hold.release()
        await asyncio.gather(*waits)
        assert (hold.count("a"), hold.count("b")) == (0, 1)
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
        assert hold.count("b") == 0

    asyncio.run(run())


def test_number_and_time_are_bounded_and_one_owner_cannot_take_all_places():
    async def run():
        hold = Hold(2, time.monotonic, lambda _: False)
        first, second = (asyncio.create_task(hold.wait("a", "greedy", 5, 0.2)) for _ in range(2))
        await settle()
        with pytest.raises(ApiError) as full:
            await hold.wait("a", "greedy", 5, 0.2)
        assert (full.value.status, full.value.code, full.value.retry_after_s) == (503, "hold_full", 5.0)
        with pytest.raises(ApiError) as late:
            await hold.wait("a", "other", 5, 0.05)
        assert late.value.code == "hold_timeout"
        with pytest.raises(ApiError) as displaced:
            await second
        assert displaced.value.code == "hold_full"
        with pytest.raises(ApiError) as late:
            await first
        assert late.value.code == "hold_timeout"
        assert hold.count("a") == 0

    asyncio.run(run())


def test_an_engines_queue_is_read_by_vllms_and_llama_cpps_names():
    assert read_engine_load(VLLM_PAGE) == EngineLoad(4, 2)
    assert read_engine_load("llamacpp:requests_deferred 1\nllamacpp:requests_processing 4") == EngineLoad(1, 4)
    assert read_engine_load("vllm:num_requests_waiting nan\nvllm:num_requests_waiting x\n") == EngineLoad(0, 0)
    assert read_engine_load("<html>") is None


def test_the_demand_counts_what_waits_here_and_at_the_engines_once():
    loads = [EngineLoad(4, 8), EngineLoad(0, 6)]
    document = build_scaling_document(Demand(1, 2, 10), loads, 2)
    assert (document["load"], document["own_load"], document["waiting"], document["ready"]) == (21, 13, 7, 2)
    # Engines that tell nothing: the gateway knows what it sent.
    assert build_scaling_document(Demand(0, 0, 10), [], 1)["load"] == 10
    assert build_scaling_document(Demand(0, 0, 0), [EngineLoad(0, 0)], 1)["load"] == 0
