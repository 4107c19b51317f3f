"""The stage's process and its log as the agent sees them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from agent_stand import wait_for
from practicum_core.errors import PlatformError, Reason, Stopped
from practicum_core.file_lock import try_lock
from practicum_core.layout import StageLayout
from practicum_jobs.agent.stage_child import LogTail, hold_step, open_container_log, start_stage

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def layout(tmp_path):
    made = StageLayout(tmp_path / "run/stages/model")
    made.root.mkdir(parents=True)
    return made


@pytest.fixture
def start(layout):
    children = []

    def starting(program, attempt=1):
        with hold_step(layout, lambda: False) as lock:
            children.append(start_stage(layout, ["-c", program], os.environ, attempt, lock))
        return children[-1]

    yield starting
    for child in children:
        child.sweep()


def test_a_log_is_copied_from_where_the_pod_began(tmp_path):
    log, out = tmp_path / "log.txt", io.BytesIO()
    log.write_bytes(b"an earlier attempt\n")
    tail = LogTail(log, out)
    tail.copy()
    assert out.getvalue() == b""
    with log.open("ab") as handle:
        handle.write("第一行\nhalf a".encode())
    tail.copy()
    with log.open("ab") as handle:
        handle.write(b" line\xff\n" + b"x" * 200_000)
    tail.copy()
    tail.copy()
    assert out.getvalue() == "第一行\nhalf a line".encode() + b"\xff\n" + b"x" * 200_000


def test_a_log_that_is_not_there_yet_is_copied_whole(tmp_path):
    log, out = tmp_path / "log.txt", io.BytesIO()
    tail = LogTail(log, out)
    tail.copy()
    log.write_bytes(b"hello\n")
    tail.copy()
    log.unlink()
    tail.copy()
    assert out.getvalue() == b"hello\n"


def test_in_a_ray_head_the_first_process_prints_the_log(tmp_path):
    first = tmp_path / "output"
    first.write_bytes(b"ray start\n")
    with open_container_log({"KUBERAY_GEN_RAY_START_CMD": "ray start"}, first) as out:
        out.write(b"step 1\n")
    assert first.read_bytes() == b"ray start\nstep 1\n"
    assert open_container_log({}, first) is sys.stdout.buffer
    assert open_container_log({"KUBERAY_GEN_RAY_START_CMD": ""}, tmp_path / "not/there") is sys.stdout.buffer


def test_a_step_is_held_by_one(layout):
    with hold_step(layout, lambda: False):
        with pytest.raises(PlatformError) as caught, hold_step(layout, lambda: False, wait_s=0.3):
            pass
        assert caught.value.reason is Reason.RUN_BUSY
        with pytest.raises(Stopped), hold_step(layout, lambda: True):
            pass
    with hold_step(layout, lambda: False, wait_s=0):
        pass


def test_a_step_is_held_as_soon_as_the_other_lets_go(layout):
    with hold_step(layout, lambda: False) as lock:
        held = os.dup(lock)
    threading.Timer(0.5, os.close, [held]).start()
    with hold_step(layout, lambda: False, wait_s=10):
        pass


def test_the_stage_keeps_its_step_for_as_long_as_it_lives(layout, start):
    child = start(SLEEP)
    with layout.lock.open("a") as other:
        assert not try_lock(other.fileno())
        child.sweep()
        assert try_lock(other.fileno())


def test_a_stage_is_noted_and_leads_a_session_of_its_own(layout, start):
    child = start(SLEEP, attempt=3)
    note = json.loads(layout.child.read_text())
    assert (note["pid"], note["attempt"]) == (child.pid, 3)
    assert note["created_s"] == psutil.Process(child.pid).create_time()
    assert os.getsid(child.pid) == child.pid
    assert child.wait(0.01) is None


def test_a_stage_that_cannot_be_noted_does_not_run(layout, start, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **rest: started.append(popen(*args, **rest)) or started[-1])
    layout.child.mkdir()
    with pytest.raises(PlatformError, match=r"child\.json: cannot be written"):
        start(SLEEP)
    assert started[0].returncode == -signal.SIGKILL


def test_a_stop_reaches_the_stage_once_and_not_its_workers(layout, start):
    program = f"""
import signal, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
signal.signal(signal.SIGTERM, lambda *_: print("stop", worker.poll(), flush=True))
print("ready", worker.pid, flush=True)
while True:
    time.sleep(0.05)
"""
    child = start(program)
    ready = wait_for(lambda: layout.log.read_text().split())
    child.request_stop()
    child.request_stop()
    wait_for(lambda: "stop" in layout.log.read_text())
    assert layout.log.read_text().splitlines()[1:] == ["stop None"]
    child.sweep()
    assert child.wait(0) == -signal.SIGKILL
    worker = int(ready[1])
    wait_for(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)
    child.request_stop()


def test_a_stage_writes_behind_what_earlier_ones_wrote(layout, start):
    layout.log.write_text("earlier\n")
    child = start("import sys; print(repr(sys.stdin.read()), flush=True); sys.exit('err')")
    assert wait_for(lambda: child.wait(1) is not None)
    assert layout.log.read_text().split() == ["earlier", "''", "err"]
