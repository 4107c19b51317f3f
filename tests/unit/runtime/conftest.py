"""Steps of a run directory whose processes a test starts; all of them have ended after the test."""

from __future__ import annotations

import os
import sys

import pytest

from practicum_core.layout import RunLayout
from practicum_runtime.step_lock import hold_step
from practicum_runtime.step_process import start_step


@pytest.fixture
def run(tmp_path):
    made = RunLayout(tmp_path / "run")
    made.root.mkdir()
    return made


@pytest.fixture
def layout(run):
    made = run.stage("model")
    made.root.mkdir(parents=True)
    return made


@pytest.fixture
def start(layout):
    """Return a function that starts a program, or a Python text, as the process of a step."""
    processes = []

    def starting(*program, of=layout, attempt=1):
        arguments = ["-c", program[0]] if len(program) == 1 else [str(word) for word in program]
        with hold_step(of) as lock:
            processes.append(start_step(of, [sys.executable, *arguments], os.environ, attempt, lock))
        return processes[-1]

    yield starting
    for process in processes:
        process.sweep()
