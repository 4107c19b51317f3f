"""Measuring processes: what comes back of a result, an error, a killed process, too long a one, and a stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from multiprocessing import forkserver

import psutil
import pytest

from practicum_core.errors import ConfigError, Stopped
from practicum_jobs.context import StageContext
from practicum_jobs.levers.processes import MeasuringProcesses


@pytest.fixture(scope="module", autouse=True)
def own_fork_server():
    """Stop the fork server afterwards: the next one has to import other libraries."""
    forkserver._forkserver._stop()
    yield
    forkserver._forkserver._stop()


@pytest.fixture
def processes(tmp_path):
    return MeasuringProcesses(
        StageContext(tmp_path, "trainprofile", "trainprofile"), ["practicum_core.metrics"], timeout_s=60
    )


def double(number):
    return 2 * number


def refuse(_):
    raise ConfigError("the model has no layers", "choose another")


def fail(_):
    raise ValueError("first line\nsecond line")


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def start_child_and_wait(path):
    child = subprocess.Popen(["sleep", "600"])
    path.write_text(str(child.pid))
    time.sleep(600)


def test_a_result_an_error_and_a_killed_process(processes):
    assert processes.call(double, 21).result == 42
    assert processes.call(refuse, None).problem == "the model has no layers"
    assert processes.call(fail, None).problem == "ValueError: first line"
    assert "ended with -9, as the kernel does where memory runs out" in processes.call(die, None).problem


def test_too_long_a_process_is_stopped_with_what_it_started(tmp_path):
    processes = MeasuringProcesses(StageContext(tmp_path, "trainprofile", "trainprofile"), [], timeout_s=4)
    file = tmp_path / "pid"
    assert processes.call(start_child_and_wait, file).problem == "stopped after 4 s (timeout_s)"
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(int(file.read_text())).status() == psutil.STATUS_ZOMBIE


def test_a_stop_ends_the_process(tmp_path):
    ctx = StageContext(tmp_path, "trainprofile", "trainprofile")
    threading.Timer(1, ctx.request_stop).start()
    with pytest.raises(Stopped):
        MeasuringProcesses(ctx, [], timeout_s=60).call(time.sleep, 600)


def test_somebody_may_look_while_it_runs(processes):
    seen = []
    assert processes.call(time.sleep, 0.7, lambda: seen.append(1)).problem == ""
    assert len(seen) >= 2
