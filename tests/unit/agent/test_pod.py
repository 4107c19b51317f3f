"""A pod from its start to its end: the real agent as a process, the controller's own ingest, a stage program."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

import psutil
import pytest
import yaml

from agent_stand import IngestServer, build_step, wait_for
from practicum_cli.provenance import build_environment
from practicum_cli.runs import create_run
from practicum_core.environment import RunEnvironment
from practicum_core.errors import Reason
from practicum_core.layout import RunLayout
from practicum_core.stages import get_stage
from practicum_core.step_files import read_record
from practicum_jobs.agent.__main__ import main

LOCAL_DRIVER = Path(__file__).parents[1] / "cli/executor_driver.py"
AGENT = ("-m", "practicum_jobs.agent")


def has_ended(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_stage_that_succeeds_is_reported_with_what_it_measured(place, server):
    code, said = place.finish(build_step("evaluate"))
    assert code == 0, said
    assert "evaluate says hello" in said
    (report,) = server.finals
    assert (report.outcome, report.progress, report.duration_s, report.evidence_html) == ("succeeded", 1.0, 0.5, None)
    assert {metric.name: metric.value for metric in report.metrics}["num_rows"] == 60
    assert server.history.load_reports()[report.uid]["evaluate", 1].report == report
    assert read_record(place.run, "evaluate").step == "evaluate"


def test_its_files_are_those_of_a_local_run(place, monkeypatch, tmp_path):
    """So that ``practicum summarize`` and the report read a student's workspace like a laptop's folder."""
    step = build_step()
    code, said = place.finish(step)
    assert code == 0, said
    local = execute_here(tmp_path, step.weekjob, monkeypatch)
    for path in ("weekjob.yaml", "stages/model/config.yaml"):
        assert yaml.safe_load((place.run.root / path).read_text()) == yaml.safe_load((local.root / path).read_text())
    environments = [RunEnvironment.model_validate_json(run.environment.read_bytes()) for run in (place.run, local)]
    assert environments[0].hardware == environments[1].hardware
    assert environments[0].code.source_sha256 == environments[1].code.source_sha256
    assert environments[0].packages[get_stage("model").environment]["pydantic"]
    mine, theirs = ([find_event(run, name) for name in ("step_started", "step_finished")] for run in (place.run, local))
    assert [set(event) for event in mine] == [set(event) for event in theirs]
    assert set(list_files(place.run.stage("model"))) == set(list_files(local.stage("model")))


def execute_here(folder, weekjob, monkeypatch):
    spec = importlib.util.spec_from_file_location("executor_driver", LOCAL_DRIVER)
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    monkeypatch.setenv("PRACTICUM_CACHE", str(folder / "cache"))
    environment, diff = build_environment(["base"], ["practicum"])
    path = create_run(folder / "local", weekjob, environment, diff)
    monkeypatch.setenv("PRACTICUM_TEST_BEHAVIOUR", json.dumps({"snapshot": "bad-data"}))
    assert driver.execute(path) == 3
    return RunLayout(path)


def find_event(run, name):
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    return next(line for line in lines if line["event"] == name and line["step"] == "model")


def list_files(layout):
    return [path.name for path in layout.root.iterdir() if path != layout.lock]


def test_a_real_stage_sends_its_evidence_page(place, server):
    code, said = place.finish(build_step("report"), program=AGENT)
    assert code == 0, said
    (report,) = server.finals
    page = place.run.evidence_html.read_bytes()
    assert gzip.decompress(base64.b64decode(report.evidence_html)) == page
    assert server.history.read_evidence(report.uid, "report", 1) == report.evidence_html
    assert place.finish(build_step("report"), program=AGENT)[0] == 0
    assert server.finals == [report, report], "the second pod of an attempt tells the same"


def test_a_later_pod_reports_the_whole_record_again_and_runs_nothing(place, server):
    place.finish(build_step("evaluate"))
    code, said = place.finish(build_step("evaluate", attempt=2), "crash")
    assert code == 0, said
    assert place.count_starts("evaluate") == 1
    assert [report.attempt for report in server.finals] == [1, 2]
    assert server.finals[0].metrics == server.finals[1].metrics


def test_a_record_made_with_other_options_is_not_reported_again(place):
    place.finish(build_step())
    assert place.finish(build_step(seed=8))[0] == 0
    assert place.count_starts() == 2


def test_progress_is_reported_while_the_stage_runs(place, server):
    process = place.start(behaviour="checkpoint")
    report = wait_for(lambda: next((one for one in server.told if one.progress), None))
    assert (report.outcome, report.progress, report.message, report.eta_s) == ("running", 0.25, "halfway", 3)
    process.terminate()
    process.communicate(timeout=20)


def test_a_stop_ends_at_a_checkpoint_tells_nothing_and_the_next_pod_goes_on(place, server):
    process = place.start(behaviour="checkpoint")
    stage = place.wait_until_ready()
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert (place.run.stage("model").root / "checkpoint").exists()
    assert has_ended(stage)
    assert (server.finals, place.read_events()[-1]["phase"]) == ([], "Suspended")
    code, said = place.finish(build_step(attempt=2), "checkpoint")
    assert code == 0, said
    assert (place.count_starts(), [report.attempt for report in server.finals]) == (2, [2])


def test_a_stage_that_does_not_heed_the_stop_is_killed_after_its_grace(place, server):
    process = place.start(behaviour="deaf", waits={"grace": 0.5})
    stage = place.wait_until_ready()
    process.terminate()
    process.communicate(timeout=20)
    assert (process.returncode, has_ended(stage), server.finals) == (143, True, [])
    assert "before its checkpoint" in place.read_events()[-1]["message"]


def test_a_stage_that_ends_whole_although_it_was_stopped_has_succeeded(place, server):
    process = place.start(behaviour="checkpoint")
    place.wait_until_ready()
    os.kill(process.pid, signal.SIGSTOP)
    (place.run.stage("model").root / "checkpoint").touch()
    wait_for(place.run.stage("model").record.exists)
    process.terminate()
    os.kill(process.pid, signal.SIGCONT)
    process.communicate(timeout=20)
    assert (process.returncode, [report.outcome for report in server.finals]) == (0, ["succeeded"])


def test_a_second_pod_waits_for_the_first_and_tells_the_same(place, server):
    first = place.start(behaviour="checkpoint")
    place.wait_until_ready()
    second = place.start(behaviour="crash")
    wait_for(lambda: is_lock_open(second.pid, place.run.stage("model").lock))
    time.sleep(0.5)
    assert second.poll() is None
    (place.run.stage("model").root / "checkpoint").touch()
    assert [process.wait(20) for process in (first, second)] == [0, 0]
    assert (place.count_starts(), [report.outcome for report in server.finals]) == (1, ["succeeded", "succeeded"])


def test_a_pod_that_waits_in_vain_says_that_the_step_is_busy(place, server):
    place.start(behaviour="checkpoint")
    place.wait_until_ready()
    code, said = place.finish(build_step(attempt=2), waits={"lock": 0.3})
    assert code == 75, said
    (report,) = server.finals
    assert (report.attempt, report.reason) == (2, Reason.RUN_BUSY)
    assert "another process works on this step" in report.message
    assert place.count_starts() == 1


def test_a_pod_that_is_stopped_while_it_waits_ends_as_stopped(place, server):
    place.start(behaviour="checkpoint")
    place.wait_until_ready()
    second = place.start(build_step(attempt=2))
    wait_for(lambda: is_lock_open(second.pid, place.run.stage("model").lock))
    second.terminate()
    assert (second.wait(20), server.finals) == (143, [])


def is_lock_open(pid, path):
    return any(file.path == str(path) for file in psutil.Process(pid).open_files())


def test_a_stage_outlives_a_killed_agent_and_keeps_the_next_pod_waiting(place):
    first = place.start(behaviour="checkpoint")
    stage = place.wait_until_ready()
    first.kill()
    first.communicate(timeout=10)
    second = place.start(build_step(attempt=2), "checkpoint")
    wait_for(lambda: is_lock_open(second.pid, place.run.stage("model").lock))
    time.sleep(0.5)
    assert (second.poll(), has_ended(stage), place.count_starts()) == (None, False, 1)
    (place.run.stage("model").root / "checkpoint").touch()
    assert second.wait(20) == 0
    assert place.count_starts() == 1, "the stage wrote a whole record: it is told and not made again"


FAILURES = {
    "killed": (4, Reason.OUT_OF_MEMORY, "killed by signal 9 (SIGKILL)"),
    "crash": (70, Reason.STAGE_CRASHED, "ended with exit code 9 and without a record"),
    "half": (3, Reason.RUN_INCOMPLETE, "not whole JSON"),
    "bad-data": (3, Reason.DATA_INVALID, "rows.jsonl:3: broken"),
}


@pytest.mark.parametrize(("behaviour", "wanted"), FAILURES.items(), ids=FAILURES)
def test_a_stage_that_fails_is_reported_with_its_reason(place, server, behaviour, wanted):
    code, said = place.finish(build_step(), behaviour)
    (report,) = server.finals
    assert (code, report.outcome, report.reason) == (wanted[0], "failed", wanted[1]), said
    assert wanted[2] in report.message
    assert report.fix
    assert (report.progress, report.metrics) == (None, [])
    event = place.read_events()[-1]
    assert (event["event"], event["reason"], event["fix"]) == ("step_finished", report.reason, report.fix)


@pytest.mark.parametrize("behaviour", ["half", "bad-data"])
def test_what_a_failed_attempt_left_is_not_taken_for_the_next_one_s(place, server, behaviour):
    place.finish(build_step(), behaviour)
    place.finish(build_step(attempt=2), "crash")
    assert [report.reason for report in server.finals][1] is Reason.STAGE_CRASHED
    assert place.count_starts() == 2


def test_odd_text_and_numbers_of_a_stage_end_no_agent(place, server):
    """Half a surrogate pair is no text that a report can hold, and a whole number may be too large for a float."""
    process = place.start(behaviour="odd")
    place.wait_until_ready()
    progress = wait_for(lambda: next((one for one in server.told if one.message), None))
    (place.run.stage("model").root / "go-on").touch()
    said = "".join(process.communicate(timeout=20))
    assert (process.returncode, progress.message, progress.eta_s) == (3, "? here", None), said
    assert [report.message for report in server.finals] == ["row ? is odd"]


def test_a_fault_of_the_agent_itself_is_reported_and_leaves_no_stage_behind(place, server):
    place.run.root.mkdir(parents=True)
    # A socket cannot be opened, for a reason that nobody explains.
    os.mknod(place.run.events, stat.S_IFSOCK | 0o600)
    code, said = place.finish(build_step(), "deaf")
    (report,) = server.finals
    assert (code, report.reason) == (70, Reason.INTERNAL), said
    assert "OSError: [Errno 6]" in said
    assert "OSError" not in report.message
    assert has_ended(json.loads(place.run.stage("model").child.read_text())["pid"])


def test_a_workspace_that_refuses_is_reported(place, server):
    place.experiments.write_text("a file where the folder should be")
    code, said = place.finish()
    (report,) = server.finals
    assert (code, report.reason) == (4, Reason.PERMISSION_DENIED), said
    assert str(place.experiments) in report.message


def test_each_pod_adds_its_surroundings(place, tmp_path):
    """A later image with other code is noted, and the packages of both environments stand in the file."""
    for number, (step, environment) in enumerate([("model", "base"), ("evaluate", "train")]):
        build = tmp_path / f"{number}.json"
        fields = {"lock_sha256": f"{number}" * 64, "version": "1", "source_sha256": f"{number}" * 64}
        build.write_text(json.dumps({"environment": environment, **fields}))
        assert place.finish(build_step(step), PRACTICUM_BUILD_FILE=build)[0] == 0
    merged = RunEnvironment.model_validate_json(place.run.environment.read_bytes())
    assert merged.locks == {"base": "0" * 64, "train": "1" * 64}
    assert merged.code.source_sha256 == "0" * 64
    changed = [event for event in place.read_events() if event["event"] == "code_changed"]
    assert [(event["step"], event["source_sha256"]) for event in changed] == [("evaluate", "1" * 64)]


def test_a_step_that_may_not_run_is_reported_and_starts_nothing(place, server):
    step = build_step(model={"uri": "file:///etc"})
    code, said = place.finish(step)
    (report,) = server.finals
    assert (code, report.reason, place.count_starts()) == (2, Reason.CONFIG_INVALID, 0), said
    assert "outside the workspace" in report.message


STEP = build_step().model_dump_json()
WRONG = {
    "no step": ({"PRACTICUM_STEP": ""}, "PRACTICUM_STEP"),
    "half a step": ({"PRACTICUM_STEP": STEP[:50]}, "PRACTICUM_STEP"),
    "no uid": ({"PRACTICUM_STEP": STEP.replace("a1b2c3d4-", "nothex!!-")}, "PRACTICUM_STEP"),
    "a step that leaves": ({"PRACTICUM_STEP": STEP.replace('"step":"model"', '"step":"../x"')}, "folder's"),
    "a unit that leaves": ({"PRACTICUM_STEP": STEP.replace('"unit":"experiments"', '"unit":"../x"')}, "folder's"),
    "no address": ({"PRACTICUM_INGEST_URL": ""}, "https://"),
    "a token in the clear": ({"PRACTICUM_INGEST_URL": "http://localhost:1"}, "https://"),
    "no such port": ({"PRACTICUM_INGEST_URL": "https://localhost:99999"}, "https://"),
    "half an address": ({"PRACTICUM_INGEST_URL": "https://[::1"}, "https://"),
}


@pytest.mark.parametrize(("variables", "text"), WRONG.values(), ids=WRONG)
def test_a_pod_that_is_told_nonsense_ends_with_a_sentence(place, server, monkeypatch, capfd, variables, text):
    monkeypatch.setattr(os, "environ", place.build_variables(build_step(), **variables))
    assert main([]) == 2
    said = capfd.readouterr().err
    assert said.startswith("ConfigInvalid: ")
    assert text in said
    assert (server.told, list(place.workspace.iterdir())) == ([], [])


# What the ingest does to a report.


def test_a_refusal_that_may_pass_is_tried_again(place, server):
    """As in the moment before the controller has seen the pod."""
    process = place.start()
    known = dict(server.pods)
    server.pods.clear()
    wait_for(lambda: server.requests)
    server.pods |= known
    said = "".join(process.communicate(timeout=30))
    assert (process.returncode, len(server.finals)) == (0, 1), said
    assert "did not take the report: 403" in said
    assert "403 the token's pod runs no stage" in said


@pytest.mark.parametrize("fault", ["cut", "taken"])
def test_a_broken_answer_is_tried_again_and_counts_once(place, server, fault):
    server.faults.append(fault)
    code, said = place.finish()
    assert (code, server.requests) == (0, 2), said
    assert next(iter(server.pods)) not in said, "the token"
    assert next(iter(server.history.load_reports().values())).keys() == {("model", 1)}


def test_a_report_waits_for_an_ingest_that_is_away(place, tls, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    process = place.start(PRACTICUM_INGEST_URL=f"https://localhost:{port}")
    wait_for(place.run.stage("model").record.exists)
    time.sleep(0.5)
    assert process.poll() is None
    with IngestServer(tls, tmp_path / "later.sqlite", port) as later:
        later.pods = place.server.pods
        process.communicate(timeout=30)
        assert (process.returncode, [report.outcome for report in later.finals]) == (0, ["succeeded"])


def test_an_ingest_that_never_takes_it_loses_nothing(place, server):
    server.faults += [503] * 1000
    code, said = place.finish(build_step("evaluate"), waits={"final": 1.0})
    assert (code, server.finals) == (75, []), said
    server.faults.clear()
    assert place.finish(build_step("evaluate", attempt=2))[0] == 0
    assert (place.count_starts("evaluate"), server.finals[0].outcome) == (1, "succeeded")


def test_a_report_that_will_never_be_taken_is_sent_once(place, server):
    server.faults += [422] * 3
    code, said = place.finish()
    assert (code, server.requests) == (75, 1), said


def test_an_ingest_with_another_authority_gets_no_token(place, server, tmp_path):
    """The connection ends before the token is sent."""
    from controller_process import write_certificate  # noqa: PLC0415 - this test's alone

    write_certificate(tmp_path)
    with IngestServer(tmp_path, tmp_path / "other.sqlite") as other:
        code, said = place.finish(waits={"final": 1.0}, PRACTICUM_INGEST_URL=f"https://localhost:{other.port}")
        assert (code, other.requests) == (75, 0), said
    assert "CERTIFICATE_VERIFY_FAILED" in said


def test_a_stopped_pod_goes_on_telling_for_a_moment_only(place, server):
    server.faults += [503] * 1000
    process = place.start(behaviour="crash", waits={"last": 1.0})
    wait_for(lambda: server.requests)
    process.terminate()
    process.communicate(timeout=20)
    assert (process.returncode, server.finals) == (143, [])
