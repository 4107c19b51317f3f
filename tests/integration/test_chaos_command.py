"""``practicum chaos``: an experiment on a service of one's own, on a plain server, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from gateway_stand import build_stand, find_port
from practicum_cli.main import main
from practicum_cli.run_lock import hold_run
from practicum_core.api_keys import KEY_FILE
from practicum_core.faults import FAULT_KEY_FILE
from practicum_core.layout import RunLayout, build_run_id
from practicum_jobs.faultproxy.listener import serve_proxy
from practicum_jobs.faultproxy.proxy import FaultProxy
from practicum_runtime.child_note import write_child_note

PROXY_KEY = "k"
STAND = Path(__file__).parents[1] / "stand"
HANG = """
title: The engine pauses for a moment
configuration: {steady_s: 0.5, recovery_s: 1.5}
method:
  - name: stop it
    provider: {func: hang, arguments: {step: serve}}
    pauses: {after: 1}
"""
SLOW = """
  - name: and delay its answers
    provider: {func: break_answers, arguments: {kind: latency, delay_s: 0.1}}
    pauses: {after: 1}
"""
LADDER = {"ladder": True, "knowledge": "builtin:tickets", "ladder_up_s": 0.3, "ladder_settle_s": 0.5, "probe_s": 0.2}


def build_command(folder, *words):
    return [sys.executable, "-m", "practicum_cli.main", "chaos", *words, "--out", str(folder / "experiments")]


def practicum(folder, *words):
    done = subprocess.run(build_command(folder, *words), capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def serve_gateway(folder, engine_port):
    """Serve a gateway with a ladder and a fault proxy in a thread of this process; gives the ports of both."""
    ready, done, found = threading.Event(), threading.Event(), []

    async def run():
        async with serve_proxy(FaultProxy(f"http://127.0.0.1:{engine_port}", PROXY_KEY), "127.0.0.1", 0) as proxy:
            options = {"upstreams": [{"name": "engine", "url": proxy}], "key_file": KEY_FILE, **LADDER}
            async with build_stand(folder, None, 0, **options) as stand:
                found.extend([stand.port, int(proxy.rpartition(":")[2])])
                ready.set()
                while not done.is_set():  # noqa: ASYNC110 - set by another thread
                    await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(20)
    try:
        yield found
    finally:
        done.set()
        thread.join(20)


@pytest.fixture
def service(tmp_path):
    """A run whose executor is this process: a fake engine as a process, a gateway before it; gives the engine."""
    experiments = tmp_path / "experiments"
    run = RunLayout(experiments / "service" / build_run_id(dt.datetime.now(dt.UTC), b"\1\2\3"))
    port = find_port()
    engine = run.stage("serve")
    engine.root.mkdir(parents=True)
    engine.port.write_text(f'{{"port": {port}}}')
    (tmp_path / "hang.yaml").write_text(HANG)
    command = [sys.executable, str(STAND / "fake_engine.py"), str(port)]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        write_child_note(engine, process.pid, 1)
        with serve_gateway(experiments, port) as ports, hold_run(run):
            for step, number in zip(("gateway", "faultproxy"), ports, strict=True):
                run.stage(step).root.mkdir()
                run.stage(step).port.write_text(f'{{"port": {number}}}')
            (run.stage("faultproxy").root / FAULT_KEY_FILE).write_text(PROXY_KEY)
            yield psutil.Process(process.pid), port
        process.kill()


def test_an_experiment_on_the_service_that_runs_here(tmp_path, service):
    engine, _ = service
    (tmp_path / "hang.yaml").write_text(HANG + SLOW.lstrip("\n"))
    code, out = practicum(tmp_path, str(tmp_path / "hang.yaml"), "--rate", "8")
    assert code == 0, out
    assert "verdict     held" in out
    assert "hypothesis  Requests are answered in full" in out
    assert "method      stop it; and delay its answers" in out
    assert f"repeat      practicum chaos {tmp_path}/hang.yaml http://127.0.0.1:" in out
    assert engine.status() != psutil.STATUS_STOPPED
    # Who repeats it as it says gets another verdict where the engine is gone.
    engine.kill()
    [repeat] = [line.removeprefix("repeat ").strip() for line in out.splitlines() if line.startswith("repeat ")]
    code, out = practicum(tmp_path, *repeat.split()[2:], "--set", "chaos.steady_timeout_s=1")
    assert code == 1, out
    assert "verdict     not steady: the hypothesis did not hold before the fault, so nothing was broken" in out


def test_a_plain_server_has_no_ladder_and_gets_a_verdict_too(tmp_path, service):
    _, port = service
    code, out = practicum(tmp_path, str(tmp_path / "hang.yaml"), f"http://127.0.0.1:{port}", "--rate", "8")
    assert code == 0, out
    assert "verdict     held" in out
    assert "ladder_back" not in out
    (tmp_path / "hang.yaml").write_text(HANG.replace("{steady_s", "{lowest_rung: extract, steady_s"))
    code, out = practicum(tmp_path, str(tmp_path / "hang.yaml"), f"http://127.0.0.1:{port}")
    assert code == 2, out
    assert "expects a ladder to go down, and the server has none" in out


def test_ctrl_c_takes_the_fault_back(tmp_path, service):
    engine, _ = service
    (tmp_path / "hang.yaml").write_text(HANG.replace("after: 1", "after: 60"))
    command = build_command(tmp_path, str(tmp_path / "hang.yaml"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        deadline_s = time.monotonic() + 60
        while engine.status() != psutil.STATUS_STOPPED:
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 143, out
    assert engine.status() != psutil.STATUS_STOPPED


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kill"], "no service runs here, and no URL is given"),
        (["kill", "https://api.example.com/v1"], "neither on this machine nor in the own cluster"),
        (["kill", "http://127.0.0.1:9", "--run", "latest"], "no such run"),
        (["kill", "http://127.0.0.1:9", "--key-file", "a", "--key-variable", "B"], "give one of them"),
    ],
)
def test_what_cannot_be_broken_is_refused_before_anything_starts(tmp_path, capsys, words, message):
    assert main(["chaos", *words, "--out", str(tmp_path / "experiments")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "experiments").exists()


def test_an_unknown_action_is_told(tmp_path):
    (tmp_path / "own.yaml").write_text(HANG.replace("func: hang", "func: hangs"))
    code, out = practicum(tmp_path, str(tmp_path / "own.yaml"), "http://127.0.0.1:9")
    assert code == 2, out
    assert "unknown action 'hangs'; did you mean 'hang'?" in out
