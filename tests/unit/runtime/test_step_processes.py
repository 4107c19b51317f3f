"""Several processes at once: wait for any of them, stop one while others run, end all."""

from __future__ import annotations

import os
import signal
import time

import pytest

from agent_stand import wait_for
from practicum_runtime.step_processes import StepProcesses, wait_for_any

SLEEP = "import time; time.sleep({})"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"


@pytest.fixture
def processes(run, start):
    made = StepProcesses()

    def starting(step, program):
        process = start(program, of=run.stage(step))
        made.add(step, process)
        return process

    made.start = starting
    return made


@pytest.fixture(params=["woken", "polled"])
def way(request, monkeypatch):
    """Both ways of waiting: woken by the kernel, and polled where it offers no descriptors of processes."""
    if request.param == "polled":
        monkeypatch.delattr(os, "pidfd_open")
    return request.param


def measure(call, *arguments):
    started_s = time.monotonic()
    call(*arguments)
    return time.monotonic() - started_s


def test_the_wait_ends_with_the_first_process_that_ends(processes, way):
    server, task = processes.start("serve", SLEEP.format(60)), processes.start("loadtest", SLEEP.format(0.6))
    assert measure(processes.wait_for_end, 30) < 10
    assert (server.poll(), task.poll()) == (None, 0)


def test_the_wait_is_no_longer_than_asked_for(processes, way):
    processes.start("serve", SLEEP.format(60))
    assert 0.3 <= measure(processes.wait_for_end, 0.3) < 5


def test_an_end_that_nobody_looked_at_is_not_waited_beyond(processes, way):
    processes.start("serve", SLEEP.format(60))
    task = processes.start("loadtest", "raise SystemExit(3)")
    assert task.wait(10) == 3
    assert measure(processes.wait_for_end, 30) < 10
    task.sweep()
    assert measure(processes.wait_for_end, 0.3) >= 0.3


def test_waiting_takes_no_processor_time(processes):
    processes.start("serve", SLEEP.format(60))
    before_s = time.process_time()
    processes.wait_for_end(1.0)
    assert time.process_time() - before_s < 0.02


def test_nothing_is_waited_for_where_nothing_runs(processes, way):
    assert measure(processes.wait_for_end, 30) < 5
    assert measure(wait_for_any, [], 30) < 5


def test_where_no_more_files_can_be_opened_processes_are_polled(processes, monkeypatch):
    def refuse(pid):
        raise OSError(24, "Too many open files")

    processes.start("loadtest", SLEEP.format(0.3))
    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert measure(processes.wait_for_end, 30) < 10


def test_one_is_stopped_while_another_runs_on_and_may_be_started_again(processes):
    server, task = processes.start("serve", SLEEP.format(60)), processes.start("loadtest", SLEEP.format(60))
    server.stop(30)
    wait_for(lambda: not server.is_running)
    assert server.poll() == -signal.SIGTERM
    assert processes.list_running() == [("loadtest", task)]
    server.sweep()
    again = processes.start("serve", SLEEP.format(60))
    assert processes.get("serve") is again
    assert processes.list_running() == [("serve", again), ("loadtest", task)]


def test_all_are_asked_at_once_and_share_one_grace(run, processes):
    deaf = [processes.start(step, DEAF) for step in ("serve", "gateway", "loadtest")]
    polite = processes.start("chaos", SLEEP.format(60))
    for step in ("serve", "gateway", "loadtest"):
        wait_for(run.stage(step).log.read_text)
    took_s = measure(processes.end_all, 1.5)
    assert 1.5 <= took_s < 4.5, "one grace, not three"
    assert [process.poll() for process in deaf] == [-signal.SIGKILL] * 3
    assert (polite.poll(), polite.was_killed) == (-signal.SIGTERM, False)
    assert all(process.is_swept for process in (*deaf, polite))
    assert measure(processes.end_all, 30) < 5
