"""A step's process and its lock, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time

import psutil
import pytest

from agent_stand import wait_for
from practicum_core.errors import PlatformError, Reason, Stopped
from practicum_core.file_lock import try_lock
from practicum_runtime.child_note import read_child_note
from practicum_runtime.orphan import end_orphans
from practicum_runtime.step_lock import hold_step, is_step_held

SLEEP = "import time; time.sleep(60)"


def test_a_step_is_held_by_one(layout):
    with hold_step(layout):
        with pytest.raises(PlatformError) as caught, hold_step(layout, 0.3):
            pass
        assert caught.value.reason is Reason.RUN_BUSY
        with pytest.raises(Stopped), hold_step(layout, 10, lambda: True):
            pass
    with hold_step(layout):
        pass


def test_a_step_is_held_as_soon_as_the_other_lets_go(layout):
    with hold_step(layout) as lock:
        held = os.dup(lock)
    threading.Timer(0.5, os.close, [held]).start()
    with hold_step(layout, 10):
        pass


def test_the_process_keeps_its_step_for_as_long_as_it_lives(layout, start):
    child = start(SLEEP)
    with layout.lock.open("a") as other:
        assert not try_lock(other.fileno())
        child.sweep()
        assert try_lock(other.fileno())


def test_a_process_is_noted_and_leads_a_group_of_its_own_in_the_session_of_all_steps(layout, start):
    child = start(SLEEP, attempt=3)
    note = json.loads(layout.child.read_text())
    assert (note["pid"], note["attempt"]) == (child.pid, 3)
    assert note["created_s"] == psutil.Process(child.pid).create_time()
    assert (os.getpgid(child.pid), os.getsid(child.pid)) == (child.pid, os.getsid(0))
    assert child.wait(0.01) is None


def test_a_process_that_cannot_be_noted_does_not_run(layout, start, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **rest: started.append(popen(*args, **rest)) or started[-1])
    layout.child.mkdir()
    with pytest.raises(PlatformError, match=r"child\.json: cannot be written"):
        start(SLEEP)
    assert started[0].returncode == -signal.SIGKILL


def test_a_stop_reaches_the_process_once_and_not_its_workers(layout, start):
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


def test_a_process_writes_behind_what_earlier_ones_wrote(layout, start):
    layout.log.write_text("earlier\n")
    child = start("import sys; print(repr(sys.stdin.read()), flush=True); sys.exit('err')")
    assert wait_for(lambda: child.wait(1) is not None)
    assert layout.log.read_text().split() == ["earlier", "''", "err"]


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


def test_a_process_that_ignores_the_stop_is_killed_after_its_grace(layout, start):
    child = start(DEAF)
    wait_for(layout.log.read_text)
    child.stop(1.5)
    assert child.wait(0.1) is None
    child.stop(1.5)
    assert child.is_running
    assert child.wait(1.5) is None
    child.stop(1.5)
    assert (child.poll(), child.was_killed) == (-signal.SIGKILL, True)


def test_a_forced_stop_waits_for_nothing(layout, start):
    child = start(DEAF)
    wait_for(layout.log.read_text)
    child.stop(60, is_forced=True)
    assert (child.poll(), child.was_killed) == (-signal.SIGKILL, True)


def test_a_process_that_ended_by_itself_was_not_stopped(start):
    child = start("raise SystemExit(9)")
    wait_for(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    child.stop(0)
    assert (child.poll(), child.stopped_s, child.was_killed) == (9, None, False)


def test_a_kill_reaches_workers_that_left_the_group(layout, start):
    program = f"""
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True).pid, flush=True)
time.sleep(60)
"""
    child = start(program)
    worker = psutil.Process(int(wait_for(lambda: layout.log.read_text().split())[0]))
    child.kill()
    assert child.poll() == -signal.SIGKILL
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_a_note_of_another_process_with_the_same_id_ends_nothing(layout, start):
    child = start(SLEEP)
    note = json.loads(layout.child.read_text())
    layout.child.write_text(json.dumps(note | {"created_s": note["created_s"] - 5}))
    with pytest.raises(PlatformError) as caught:
        end_orphans([layout], 0.3, lambda: False)
    assert caught.value.reason is Reason.RUN_BUSY
    assert child.is_running
    layout.child.write_text(json.dumps(note))
    end_orphans([layout], 10, lambda: False)
    assert not is_step_held(layout)
    assert child.wait(5) == -signal.SIGTERM


def test_orphans_are_ended_together(run, start):
    layouts = [run.stage(name) for name in ("serve", "gateway", "loadtest")]
    deaf = [start(DEAF, of=layout) for layout in layouts[:2]]
    polite = start(SLEEP, of=layouts[2])
    for layout in layouts[:2]:
        wait_for(layout.log.read_text)
    started_s = time.monotonic()
    end_orphans(layouts, 2.0, lambda: False)
    assert 2.0 <= time.monotonic() - started_s < 4.0, "one grace, not two"
    assert [process.wait(5) for process in (*deaf, polite)] == [-signal.SIGKILL, -signal.SIGKILL, -signal.SIGTERM]
    assert not any(map(is_step_held, layouts))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": 1}', '{"pid": 1, "other": 2}'])
def test_a_note_that_is_not_whole_names_no_process(layout, text):
    layout.child.write_text(text)
    assert read_child_note(layout) is None
