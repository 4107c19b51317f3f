"""Actions on real processes, keys and a real Redis: what they break, and that it is as it was when they are undone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import psutil
import pytest

from chaos_stand import LADDER, PARENT, PATIENT, build_service
from practicum_core.errors import ConfigError
from practicum_core.faults import GATEWAY_FAULT_FILE
from practicum_core.layout import RunLayout
from practicum_core.stages.experiments import Experiment, Verdict
from practicum_jobs.chaos.actions import act, leave_out
from practicum_jobs.chaos.files import read_experiment
from practicum_jobs.chaos.local_servers import LocalServers
from practicum_jobs.chaos.world import Addresses, World
from practicum_runtime.child_note import write_child_note
from redis_server import serve_redis

WRITER = """
import sys, time
while True:
    try:
        with open(sys.argv[1], "ab", buffering=0) as file:
            file.write(b"line\\n")
    except OSError:
        pass
    time.sleep(0.01)
"""


def start_server(tmp_path, *command):
    """Start a process that stands for the server ``engine`` of a run; return it and the world of that run."""
    run = RunLayout(tmp_path / "run")
    layout = run.stage("engine")
    layout.root.mkdir(parents=True)
    layout.port.write_text('{"port": 4000}')
    process = subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, text=True)
    write_child_note(layout, process.pid, 1)
    return process, World(LocalServers(run, "chaos"), None, Addresses("http://127.0.0.1:9"))


def wait_until(condition):
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_writes_fail_as_on_a_full_disk_until_it_is_undone(tmp_path):
    path = tmp_path / "log"
    process, world = start_server(tmp_path, WRITER, str(path))
    with process:
        wait_until(lambda: path.exists() and path.stat().st_size > 50)
        undo = asyncio.run(act("fill_disk", world, {"step": "engine"}))
        time.sleep(0.1)
        size = path.stat().st_size
        time.sleep(0.2)
        assert path.stat().st_size == size
        assert undo.by_hand == f"prlimit --pid {process.pid} --fsize=unlimited:"
        asyncio.run(undo.run())
        wait_until(lambda: path.stat().st_size > size + 50)
        process.kill()


def test_the_kernel_kills_the_largest_process_alone_where_memory_runs_out(tmp_path, monkeypatch):
    monkeypatch.setattr("practicum_jobs.chaos.local_servers._END_S", 0.2)
    process, world = start_server(tmp_path, PARENT)
    with process:
        child = psutil.Process(int(process.stdout.readline()))
        wait_until(lambda: child.memory_info().rss > 80 << 20)
        undo = asyncio.run(act("run_out_of_memory", world, {"step": "engine"}))
        wait_until(lambda: child.status() == psutil.STATUS_ZOMBIE)
        assert process.poll() is None
        asyncio.run(undo.run())
        process.kill()


def test_a_hang_needs_one_target(tmp_path):
    world = World(LocalServers(RunLayout(tmp_path), "chaos"), None, Addresses("http://127.0.0.1:9"))
    with pytest.raises(ConfigError, match="name step or port"):
        asyncio.run(act("hang", world, {}))
    with pytest.raises(ConfigError, match="no process of yours listens on port 1 "):
        asyncio.run(act("hang", world, {"port": 1}))
    with pytest.raises(ConfigError, match="no key of their own"):
        asyncio.run(act("revoke_key", world, {}))


def test_a_revoked_key_is_an_error_that_says_so_and_moves_no_ladder(tmp_path):
    experiment = shorten(read_experiment("revoked-key"))

    async def run():
        async with build_service(tmp_path, **PATIENT) as service:
            return await service.run(experiment)

    result = asyncio.run(run())
    assert result.verdict is Verdict.HELD, result.findings
    assert result.failures.keys() == {"http_401"}
    assert result.num_full > 0


def test_names_that_do_not_resolve_take_the_ladder_down_and_it_comes_back(tmp_path):
    process, world = start_server(tmp_path, WRITER, str(tmp_path / "log"))
    run = RunLayout(tmp_path / "run")
    layout = run.stage("engine")
    document = shorten(read_experiment("dns")).model_dump(by_alias=True, mode="json")
    names, connections = document["method"]
    names["provider"]["arguments"] |= {"step": "engine", "for_s": 30}
    connections["provider"]["arguments"] |= {"for_s": 0.3}
    experiment = Experiment.model_validate(document)

    async def make():
        async with build_service(layout.root, run=run, faults=True, **LADDER) as service:
            with pytest.raises(ConfigError, match=r"gateway\.faults=true"):
                await act("break_surroundings", world, {"step": "engine"})
            layout.config.write_text("faults: true")
            return await service.run(experiment)

    with process:
        result = asyncio.run(make())
        process.kill()
    assert result.verdict is Verdict.HELD, result.findings
    assert result.num_degraded > 0
    assert not (layout.root / GATEWAY_FAULT_FILE).exists()


def test_requests_are_answered_while_redis_hangs(tmp_path):
    with serve_redis() as server:
        method = [
            {
                "name": "stop Redis",
                "provider": {"func": "hang", "arguments": {"port": server.port}},
                "pauses": {"after": 1.5},
            }
        ]
        settings = {"steady_s": 0.5, "recovery_s": 1, "min_answered": 1, "max_e2e_s": 5}
        experiment = Experiment.model_validate({"title": "Redis hangs", "configuration": settings, "method": method})

        async def run():
            async with build_service(tmp_path, redis_url=server.url, num_replicas=2) as service:
                return await service.run(experiment)

        result = asyncio.run(run())
    assert result.verdict is Verdict.HELD, result.findings
    assert result.num_full == result.num_requests


NETWORK = (("latency", "loss", "reset"), ("refused",))
"""Those of one service are made one after another."""


def test_faults_of_the_network(tmp_path):
    async def run(names):
        # The ladder is calm for longer than the fault lasts before it goes up, so that it cannot return in the midst.
        async with build_service(tmp_path / names[0], rate=8.0, **PATIENT | {"ladder_up_s": 1.6}) as service:
            return {name: await service.run(shorten(read_experiment(name))) for name in names}

    async def run_all():
        first, second = await asyncio.gather(*map(run, NETWORK))
        return first | second

    results = asyncio.run(run_all())
    assert not {name: one.findings for name, one in results.items() if one.verdict is not Verdict.HELD}
    assert sum(one.num_lost for one in results.values()) == 0
    assert results["latency"].num_full == results["latency"].num_requests
    assert {one.after for one in results["refused"].changes} >= {"extract", "full"}


def shorten(experiment):
    """Return an experiment with times of a second or two."""
    document = experiment.model_dump(by_alias=True, mode="json")
    for activity in document["method"]:
        activity["pauses"] = {"after": 1.4}
        arguments = activity["provider"]["arguments"]
        arguments |= {name: value for name, value in (("for_s", 1.4), ("delay_s", 0.1)) if name in arguments}
    document["configuration"] |= {"steady_s": 0.2, "recovery_s": 1.0}
    return Experiment.model_validate(document)


def test_without_servers_on_this_machine_what_needs_their_processes_is_left_out_unless_nothing_else_is_asked_for():
    asked = [(name, read_experiment(name)) for name in ("kill", "slow-first-token", "hang", "errors", "full-disk")]
    kept, left_out = leave_out(asked)
    assert [name for name, _ in kept] == ["slow-first-token", "errors"]
    assert left_out == ["kill", "hang", "full-disk"]
    assert leave_out(asked[:1]) == (asked[:1], [])
