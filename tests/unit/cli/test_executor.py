"""The local executor against real processes: ends, crashes, stops, kills, two at once."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.run_lock import is_run_held
from practicum_cli.runs import create_run, find_run, read_run, read_whole_run
from practicum_core.environment import CodeVersion, Hardware, RunEnvironment
from practicum_core.errors import ConfigError, DataError, PlatformError, Reason
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase
from practicum_runtime.step_lock import is_step_held

DRIVER = Path(__file__).with_name("executor_driver.py")
_SPEC = importlib.util.spec_from_file_location("executor_driver", DRIVER)
driver = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(driver)
ENVIRONMENT = RunEnvironment(
    created_at="2026-01-02T03:04:05+00:00",
    command=["practicum"],
    code=CodeVersion(version="0", source_sha256="0" * 64),
    locks={},
    packages={},
    python="3.11",
    platform="test",
    hardware=Hardware(cpu="test", physical_cores=1, logical_cores=1, memory_bytes=1),
    num_threads=1,
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("PRACTICUM_CACHE", str(tmp_path / "cache"))
    return make_run(tmp_path / "experiments")


def make_run(root, run_id=None, **options):
    weekjob = build_weekjobs(("week-01",), RunRequest(profile="quick", model=f"file://{root}", **options))[0]
    return RunLayout(create_run(root, weekjob, ENVIRONMENT, "", run_id=run_id))


def start(run, *arguments, **behaviour):
    variables = {**os.environ, "PRACTICUM_TEST_BEHAVIOUR": json.dumps(behaviour)}
    command = [sys.executable, str(DRIVER), str(run.root), *arguments]
    return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True)


def execute(run, **behaviour):
    """Execute it in this process, which nobody stops or kills."""
    errors = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(errors):
        patch.setenv("PRACTICUM_TEST_BEHAVIOUR", json.dumps(behaviour))
        return driver.execute(run.root), errors.getvalue()


def wait_for(condition, timeout_s=20.0):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.05)


def count_starts(run, step):
    path = run.stage(step).root / "starts.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


def has_ended(pid):
    """An orphan whose new parent does not collect it stays a zombie."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def read_events(run):
    return [json.loads(line) for line in run.events.read_text().splitlines()]


def test_a_run_ends_whole(run):
    code, _ = execute(run)
    assert code == 0
    whole = read_whole_run(run.root)
    assert [stage.name for stage in whole.status.stages] == ["model", "snapshot", "evaluate", "report"]
    assert whole.status.reason is Reason.GATES_PASSED
    assert whole.status.evidence == "evidence/index.html"
    assert run.stage("model").log.read_text() == "model says hello\n"
    finished = [event for event in read_events(run) if event["event"] == "step_finished"]
    assert [event["step"] for event in finished] == ["model", "snapshot", "evaluate", "report"]
    assert all(event["wall_s"] > 0 for event in finished)


def test_finished_steps_are_not_run_again(run):
    assert execute(run, snapshot="bad-data")[0] == 3
    assert read_run(run.root).status.message == "snapshot: rows.jsonl:3: broken"
    assert execute(run)[0] == 0
    assert (count_starts(run, "model"), count_starts(run, "snapshot")) == (1, 2)


def test_a_finished_run_is_left_as_it_is(run):
    execute(run)
    before = {path: path.stat().st_mtime_ns for path in run.stages.rglob("record.json")}
    assert execute(run)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in run.stages.rglob("record.json")} == before


def test_a_crash_is_tried_once_more(run):
    assert execute(run, model="crash-once")[0] == 0
    assert count_starts(run, "model") == 2


def test_a_stage_without_record_or_reason_is_a_crash(run):
    assert execute(run, model="crash")[0] == 70
    status = read_run(run.root).status
    assert (status.phase, status.reason) == (Phase.FAILED, Reason.STAGE_CRASHED)
    assert "exit code 9" in status.message
    assert str(run.stage("model").log) in status.message


def test_a_stage_killed_by_signal_9_is_told_as_memory(run):
    assert execute(run, model="killed")[0] == 4
    status = read_run(run.root).status
    assert status.reason is Reason.OUT_OF_MEMORY
    assert "SIGKILL" in status.message
    assert count_starts(run, "model") == 1


def test_half_a_record_is_never_read_as_whole(run):
    assert execute(run, model="half")[0] == 3
    assert read_run(run.root).status.reason is Reason.RUN_INCOMPLETE
    with pytest.raises(DataError):
        read_whole_run(run.root)
    assert execute(run)[0] == 0
    assert count_starts(run, "model") == 2


def test_a_signal_stops_at_a_checkpoint_and_the_run_goes_on(run):
    """SIGINT and SIGHUP are the same to it: see the test of the stop request."""
    process = start(run, evaluate="checkpoint")
    wait_for((run.stage("evaluate").root / "ready").exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert read_run(run.root).status.phase is Phase.SUSPENDED
    assert not is_step_held(run.stage("evaluate"))
    assert execute(run, evaluate="checkpoint")[0] == 0
    assert (count_starts(run, "model"), count_starts(run, "evaluate")) == (1, 2)


def test_a_second_signal_kills(run):
    process = start(run, model="deaf")
    wait_for((run.stage("model").root / "ready").exists)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert not is_step_held(run.stage("model"))
    assert execute(run)[0] == 0


def test_a_stage_that_ignores_the_stop_is_killed_after_its_grace(run):
    process = start(run, "0.5", model="deaf")
    wait_for((run.stage("model").root / "ready").exists)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert "by force" in run.status.read_text()


def test_an_executor_killed_leaves_an_orphan_that_the_next_ends(run):
    process = start(run, model="checkpoint")
    wait_for((run.stage("model").root / "ready").exists)
    wait_for(run.stage("model").child.exists)
    process.kill()
    process.communicate(timeout=30)
    orphan = json.loads(run.stage("model").child.read_text())["pid"]
    assert psutil.pid_exists(orphan)
    assert is_step_held(run.stage("model"))
    assert not is_run_held(run)
    assert execute(run, model="checkpoint")[0] == 0
    assert has_ended(orphan)
    assert "orphan_ended" in [event["event"] for event in read_events(run)]
    assert (count_starts(run, "model"), count_starts(run, "snapshot")) == (2, 1)


def test_an_orphan_without_a_note_is_waited_for_and_never_doubled(run):
    process = start(run, model="checkpoint")
    wait_for((run.stage("model").root / "ready").exists)
    wait_for(run.stage("model").child.exists)
    process.kill()
    process.communicate(timeout=30)
    pid = json.loads(run.stage("model").child.read_text())["pid"]
    run.stage("model").child.unlink()
    busy = start(run, "0.5")
    _, errors = busy.communicate(timeout=30)
    assert busy.returncode == 75
    assert "RunBusy" in errors
    assert count_starts(run, "model") == 1
    (run.stage("model").root / "checkpoint").touch()
    wait_for(lambda: has_ended(pid))
    assert execute(run)[0] == 0
    assert count_starts(run, "model") == 1


def test_two_executors_never_work_on_one_run(run):
    first = start(run, model="checkpoint")
    wait_for((run.stage("model").root / "ready").exists)
    code, errors = execute(run)
    assert code == 75
    assert "RunBusy" in errors
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=30)
    assert count_starts(run, "model") == 1


def test_runs_beside_each_other_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setenv("PRACTICUM_CACHE", str(tmp_path / "cache"))
    runs = [make_run(tmp_path / "experiments") for _ in range(3)]
    processes = [start(run) for run in runs]
    assert [process.communicate(timeout=60) and process.returncode for process in processes] == [0, 0, 0]
    assert all(count_starts(run, "report") == 1 for run in runs)


def test_two_runs_with_one_id(tmp_path):
    make_run(tmp_path, "20260102t030405-000000")
    with pytest.raises(PlatformError) as caught:
        make_run(tmp_path, "20260102t030405-000000")
    assert caught.value.reason is Reason.RUN_BUSY
    assert [path.name for path in (tmp_path / "experiments").iterdir()] == ["20260102t030405-000000"]


def test_references(tmp_path):
    first = make_run(tmp_path, "20260102t030405-000000").root
    second = make_run(tmp_path, "20260102t030406-000000").root
    assert find_run("latest", tmp_path) == second
    assert find_run("latest:experiments", tmp_path) == second
    assert find_run("20260102t030405", tmp_path) == first
    assert find_run(str(first), tmp_path) == first
    assert find_run(f"experiments/{first.name}", tmp_path) == first
    with pytest.raises(ConfigError, match="names 2 runs"):
        find_run("2026", tmp_path)
    with pytest.raises(ConfigError, match="did you mean"):
        find_run("20260102t030405-00000x", tmp_path)
    with pytest.raises(ConfigError, match="no such run") as caught:
        find_run("latest:sft", tmp_path)
    assert caught.value.fix == "start one with `practicum run sft`"


@pytest.mark.parametrize("name", ["weekjob.yaml", "status.json", "environment.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_half_written_run_directory_is_recognised(run, name, damage):
    path = run.root / name
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError) as caught:
        read_run(run.root)
    assert caught.value.reason is Reason.RUN_INCOMPLETE
    assert execute(run)[0] == 3
    assert count_starts(run, "model") == 0


def test_a_step_that_ends_between_the_look_and_the_deed_is_not_started_again(run, monkeypatch):
    class SlowToAct(driver.LocalExecutor):
        def _apply(self, desired):
            for _, process in self._processes.list_running():
                process.wait(10)
            super()._apply(desired)

    monkeypatch.setattr(driver, "LocalExecutor", SlowToAct)
    assert driver.execute(run.root) == 0
    assert [count_starts(run, step) for step in ("model", "snapshot", "evaluate", "report")] == [1, 1, 1, 1]
