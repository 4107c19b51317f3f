"""What tests of experiments share: engines, some behind the fault proxy, a gateway, client processes and a runner."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import aiohttp

from fake_engine import FakeEngine, serve_engine
from gateway_stand import Stand, build_stand
from practicum_core.stages.experiments import Experiment, ExperimentResult
from practicum_jobs.chaos.local_servers import LocalServers
from practicum_jobs.chaos.runner import Runner
from practicum_jobs.chaos.traffic import Traffic
from practicum_jobs.chaos.trials import build_result
from practicum_jobs.chaos.world import Addresses, World
from practicum_jobs.faultproxy.listener import serve_proxy
from practicum_jobs.faultproxy.proxy import FaultProxy
from practicum_jobs.load.fleet import Target, start_fleet
from practicum_jobs.load.prompts import Prompt

PROMPTS = [Prompt(({"role": "user", "content": "How long does a refund take?"},))]
LADDER = {
    "ladder": True,
    "knowledge": "builtin:tickets",
    "ladder_up_s": 0.3,
    "ladder_window_s": 0.5,
    "ladder_settle_s": 0.5,
    "ladder_down_s": 0.3,
    "probe_s": 0.1,
    "probe_timeout_s": 0.5,
    "breaker_open_s": 0.3,
}
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; held = bytearray(80 << 20); time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
"""A program with one child, which holds more memory than it, and whose id it prints."""
PATIENT = {**LADDER, "ladder_up_s": 0.6, "ladder_settle_s": 3.0, "probe_timeout_s": 3.0, "request_timeout_s": 5.0}
"""For a ladder that must not move because other tests need the processors."""


@dataclass
class Service:
    """A service that experiments are made on."""

    stand: Stand
    world: World
    runner: Runner

    async def run(self, experiment: Experiment) -> ExperimentResult:
        course = await self.runner.run(0, experiment)
        return build_result("own", experiment, course, 0.0, "")


@contextlib.asynccontextmanager
async def build_service(folder, ways=("proxied",), rate=15.0, run=None, **options):
    """Serve a gateway before engines of its own; each way is ``proxied`` or ``plain``, and all proxied are one."""
    async with contextlib.AsyncExitStack() as stack:
        engines = {way: await stack.enter_async_context(serve_engine(FakeEngine())) for way in sorted(set(ways))}
        proxy = ""
        if "proxied" in engines:
            proxy = await stack.enter_async_context(serve_proxy(FaultProxy(engines["proxied"]), "127.0.0.1", 0))
            engines["proxied"] = proxy
        upstreams = [{"name": f"engine-{number}", "url": engines[way]} for number, way in enumerate(ways)]
        folder.mkdir(exist_ok=True)
        built = build_stand(folder, None, 0, upstreams=upstreams, **{"sticky_bytes": 0, **options})
        stand = await stack.enter_async_context(built)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        addresses = Addresses(stand.url, stand.secret, proxy, "", "fake", stand.keys)
        world = World(LocalServers(run, "chaos"), session, addresses)
        url = f"{stand.url}/v1/chat/completions"
        zero_s = time.monotonic()
        target = Target(url, stand.secret, "fake", is_chat=True, ignore_eos=True, timeout_s=8.0)
        fleet = await stack.enter_async_context(start_fleet(target, 1, zero_s))
        traffic = Traffic(fleet, PROMPTS, rate, 4, 8.0, 7)
        await traffic.start()
        yield Service(stand, world, Runner(world, traffic, 20.0, zero_s, lambda: False))
