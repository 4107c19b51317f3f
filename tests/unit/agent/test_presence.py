"""``--stop``: another process of the container finds the agent, asks it to stop, and waits for its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from agent_stand import ROOT, wait_for
from practicum_jobs.agent.__main__ import main
from practicum_jobs.agent.presence import announce, find_agent

STOP = ("-m", "practicum_jobs.agent", "--stop")


@pytest.fixture
def note(tmp_path, monkeypatch):
    """Where the note lies: this process is in the container of the agent that a test names."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / "practicum-agent.json"


def stop(process_variables, wait_s):
    started_s = time.monotonic()
    command = [sys.executable, *STOP, "--wait", str(wait_s)]
    code = subprocess.run(command, env=process_variables, check=False, timeout=30).returncode
    return code, time.monotonic() - started_s


def start_agent(place, behaviour, **waits):
    process = place.start(behaviour=behaviour, waits=waits)
    place.wait_until_ready()
    return process, place.variables


def test_stop_waits_for_the_agent_s_end_at_a_checkpoint(place, server):
    process, variables = start_agent(place, "checkpoint")
    code, _ = stop(variables, 20)
    # It has ended: all that a test's process has to do is to collect its exit code.
    assert (code, process.wait(2), server.finals) == (0, 143, [])
    assert (place.run.stage("model").root / "checkpoint").exists()
    assert stop(variables, 20)[0] == 0, "none runs any more"


def test_stop_says_when_the_agent_does_not_end_in_time(place):
    process, variables = start_agent(place, "deaf")
    code, waited_s = stop(variables, 0.5)
    assert (code, process.poll()) == (1, None)
    assert waited_s > 0.5


def test_an_agent_is_found_as_long_as_it_runs(note):
    assert find_agent() is None
    with announce():
        assert find_agent().pid == os.getpid()
    assert not note.exists()
    assert find_agent() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"pid": "x", "created_s": 1}', '{"pid": null}'])
def test_a_note_that_says_nothing_names_no_agent(note, text):
    note.write_text(text)
    assert find_agent() is None
    assert main(["--stop"]) == 0


def test_a_process_that_got_the_agent_s_number_later_is_left_alone(note):
    """An agent that was killed leaves its note behind."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=ROOT) as other:
        created_s = psutil.Process(other.pid).create_time()
        note.write_text(json.dumps({"pid": other.pid, "created_s": created_s - 5}))
        assert main(["--stop", "--wait", "0"]) == 0
        assert other.poll() is None
        note.write_text(json.dumps({"pid": other.pid, "created_s": created_s}))
        wait_for(lambda: main(["--stop", "--wait", "5"]) == 0)
        assert other.wait(5) == -15


@pytest.mark.parametrize(("runs_s", "wait_s", "code"), [("1.2", 20, 0), ("20", 0.5, 1)], ids=["ends", "goes on"])
def test_a_pod_of_ray_workers_is_kept_until_they_have_trained(tmp_path, runs_s, wait_s, code):
    # Ray gives its worker this name; here it is another program's.
    worker = subprocess.Popen(["bash", "-c", f"exec -a ray::RayTrainWorker.execute sleep {runs_s}"])
    try:
        wait_for(lambda: "ray::" in " ".join(psutil.Process(worker.pid).cmdline()))
        found, waited_s = stop({**os.environ, "TMPDIR": str(tmp_path)}, wait_s)
    finally:
        worker.kill()
        worker.wait()
    assert found == code
    assert waited_s >= min(float(runs_s), wait_s) - 0.5
