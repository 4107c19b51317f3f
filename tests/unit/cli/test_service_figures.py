"""The figures of a running service in a terminal: of a real gateway under load, and of none."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway_stand import HELLO, build_stand
from practicum_cli.commands import inspect
from practicum_cli.service_figures import compute_figures, describe_figures, measure_services
from practicum_core.errors import PlatformError, Reason
from practicum_core.phases import Phase
from practicum_core.rungs import Rung
from practicum_core.weekjob import StageStatus, WeekJobStatus


def build_status(url):
    steps = [StageStatus(name="gateway", phase=Phase.SERVING, endpoint=url), StageStatus(name="x", phase=Phase.QUEUED)]
    return WeekJobStatus(phase=Phase.RUNNING, stages=steps)


def test_the_figures_are_what_was_asked_between_two_readings(tmp_path):
    async def run():
        async with build_stand(tmp_path, ladder=True, knowledge="builtin:tickets", probe_s=30) as stand:
            chat = stand.client().chat.completions
            await chat.create(model="fake", messages=HELLO, max_tokens=2)
            going = asyncio.get_running_loop()

            async def send():
                for _ in range(3):
                    await chat.create(model="fake", messages=HELLO, max_tokens=2)
                stand.gateway.degradation.ladder.pin(Rung.SHORT)
                stand.gateway.degradation.choose()

            def wait(seconds):
                asyncio.run_coroutine_threadsafe(send(), going).result(timeout=20)

            return await asyncio.to_thread(measure_services, build_status(stand.url), 1.0, wait)

    found = asyncio.run(run())["gateway"]
    assert round(found.requests_per_s * found.seconds) == 3
    assert found.failed_share == 0
    assert 0 < found.p95_s <= found.seconds
    assert (found.rung, found.num_engines, found.num_left_out, found.num_waiting) == ("short", 1, 0, 0)
    assert found.first_byte_p95_s is None
    text = describe_figures("gateway", found, "zh")
    assert "降级层: 缩短上下文与回答" in text
    assert "失败比例: 0.0%" in text


def test_a_run_that_serves_nothing_says_so():
    with pytest.raises(PlatformError) as fault:
        measure_services(build_status("http://127.0.0.1:9"), 0.1)
    assert fault.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert "http://127.0.0.1:9 does not answer" in fault.value.detail


def test_the_command_measures_a_run_that_serves_and_refuses_any_other(finish_run, command, monkeypatch):
    finish_run()
    code, _, err = command("status", "latest", "--figures")
    assert (code, "no gateway that answers requests now" in err) == (75, True)
    code, _, err = command("status", "--figures")
    assert (code, "--figures needs a RUN" in err) == (2, True)
    figures = compute_figures({}, {("practicum_gateway_finished_requests_total", (("outcome", "failed"),)): 4.0}, 2.0)
    monkeypatch.setattr(inspect, "measure_services", lambda status, seconds: {"gateway": figures})
    code, out, _ = command("status", "latest", "--figures", "--json")
    assert (code, json.loads(out)["figures"]["gateway"]["failed_share"]) == (0, 1.0)
    assert "requests per second: 2.00" in command("status", "latest", "--figures")[1]
