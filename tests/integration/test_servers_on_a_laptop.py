"""A server beside the task that uses it, by the real command: started, probed, killed, restarted, stopped, kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

STAND = Path(__file__).parents[1] / "stand"


class Course:
    """A folder in which the unit of the made-up stages is run by the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join(filter(None, [str(STAND), os.environ.get("PYTHONPATH", "")]))
        self.processes: list[subprocess.Popen[str]] = []
        self.variables = {**os.environ, "PRACTICUM_STAGE_PACKAGES": "made_up", "PYTHONPATH": path}

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "practicum_cli.main", *map(str, arguments)]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: object) -> str:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        return out + err

    def find_run(self) -> Path:
        [path] = self.folder.glob("experiments/greetings/*-??????")
        return path

    def read_status(self) -> dict:
        try:
            return json.loads((self.find_run() / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def wait_for(self, condition, process: subprocess.Popen[str], timeout_s: float = 60.0):
        deadline_s = time.monotonic() + timeout_s
        while not (found := condition()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s, self.read_status()
            time.sleep(0.05)
        return found

    def find_server(self) -> tuple[int, str] | None:
        """Return process and address of the server while it is ready."""
        stages = {stage["name"]: stage for stage in self.read_status().get("stages", [])}
        server = stages.get("greeter", {})
        return (int(server["child"]), server["endpoint"]) if server.get("phase") == "Serving" else None

    def read_record(self, step: str) -> dict:
        return json.loads((self.find_run() / "stages" / step / "record.json").read_text())

    def read_events(self) -> list[dict]:
        return [json.loads(line) for line in (self.find_run() / "events.jsonl").read_text().splitlines()]

    def list_events(self) -> list[tuple[str, str]]:
        return [(event["event"], event.get("step", "")) for event in self.read_events()]


@pytest.fixture
def course(tmp_path):
    course = Course(tmp_path)
    yield course
    # Whatever a test did, no process of it is left.
    for process in course.processes:
        if process.poll() is None:
            process.kill()
            process.communicate()
    for child in psutil.process_iter(["cmdline"]):
        if any(str(tmp_path) in word for word in child.info["cmdline"] or ()):
            child.kill()


def write_week(folder, **spec):
    document = {
        "apiVersion": "practicum.dev/v1alpha1",
        "kind": "WeekJob",
        "metadata": {"name": "greetings"},
        "spec": {"unit": "greetings", **spec},
    }
    (folder / "week.yaml").write_text(json.dumps(document))
    return folder / "week.yaml"


def test_the_command_knows_the_added_unit(course):
    shown = course.run("weeks", "greetings")
    assert "Step greeter (stage greeter, environment base)" in shown
    assert "--set caller." in shown


def test_a_server_lives_beside_its_user_and_is_killed_once(course):
    process = course.start("run", "greetings", "--set", "caller.num_greetings=40", "--set", "greeter.greeting=hi")
    pid, url = course.wait_for(course.find_server, process)
    course.wait_for((course.find_run() / "stages/caller/progress.json").exists, process)
    with urllib.request.urlopen(f"{url}/greet", timeout=5) as answer:  # noqa: S310 - loopback
        assert json.load(answer)["greeting"] == "hi"
    os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    caller, greeter = course.read_record("caller"), course.read_record("greeter")
    assert (caller["num_greetings"], len(caller["servers"])) == (40, 2)
    assert 0 < greeter["num_requests"] < 40
    status = course.read_status()
    assert [stage["phase"] for stage in status["stages"]] == ["Succeeded"] * 3
    assert [stage["attempt"] for stage in status["stages"]] == [2, 1, 1]
    assert (status["phase"], status["reason"]) == ("Succeeded", "GatesPassed")
    # The evidence is drawn when the server has ended, which then left its record.
    events = course.list_events()
    assert events.index(("step_finished", "greeter")) < events.index(("step_started", "report"))
    assert events.count(("server_ready", "greeter")) == 2
    ends = [
        one["phase"] for one in course.read_events() if one["event"] == "step_finished" and one["step"] == "greeter"
    ]
    assert ends == ["Failed", "Succeeded"]
    assert status["stages"][0]["durationSeconds"] > 0
    assert not any(child.is_running() and child.pid == pid for child in psutil.process_iter())
    for command in ("status", "summarize"):
        shown = course.run(command)
        assert "Succeeded" in shown, shown


def test_a_kept_server_answers_until_the_run_is_stopped(course):
    week = write_week(course.folder, serving={"keep": True}, set={"caller.num_greetings": 2})
    process = course.start("run", week)
    course.wait_for(lambda: course.read_status().get("phase") == "Serving", process)
    _, url = course.find_server()
    shown = course.run("status", "latest:greetings")
    assert f"serves greeter at {url}" in shown
    assert any(line.split()[:2] == ["greeter", "Serving"] and url in line for line in shown.splitlines()), shown
    with urllib.request.urlopen(f"{url}/greet", timeout=5) as answer:  # noqa: S310 - loopback
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert course.read_status()["phase"] == "Succeeded"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/greet", timeout=5)  # noqa: S310 - loopback


def test_a_server_that_never_becomes_ready_is_started_anew_and_then_fails_the_week(course):
    course.variables["MADE_UP_STARTUP_S"] = "3"
    week = write_week(course.folder, serving={"maxRestarts": 1}, set={"greeter.startup_s": 1000})
    process = course.start("run", week)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4, out + err
    assert "ServerNotReady: greeter: http://127.0.0.1:" in err
    assert "/readyz did not answer for 3 s" in err
    assert course.list_events().count(("step_started", "greeter")) == 2
    assert ("step_started", "caller") not in course.list_events()


def test_servers_of_two_runs_do_not_meet(course):
    processes = [course.start("run", "greetings", "--out", name, "--set", "caller.num_greetings=3") for name in "ab"]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
