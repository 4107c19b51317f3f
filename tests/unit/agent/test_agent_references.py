"""Pods whose week job names earlier runs of the workspace: the real agent and a real stage."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from agent_stand import build_step
from practicum_core.content_hash import hash_path
from practicum_core.layout import RunLayout
from practicum_core.lineage import read_lineage
from practicum_core.pointers import Pointers
from practicum_core.reports import PodStep
from practicum_core.step_files import read_record
from run_folder import write_finished_run

AGENT = ("-m", "practicum_jobs.agent")
QUICK = {"audit.model": None, "audit.workers": 1, "audit.clean_copy": False}
EARLIER = "20250102t030405-0a1b2c"
ROWS = "".join(json.dumps({"instruction": f"Name thing {n}", "output": f"thing {n}"}) + "\n" for n in range(20))


@pytest.fixture
def clean(place):
    """The clean copy that an earlier week 2 left in the workspace."""
    run = write_finished_run(place.experiments / "data" / EARLIER, "data")
    path = run.stage("audit").artifacts / "clean/train.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(ROWS)
    Pointers(place.experiments).set("best", f"data/{EARLIER}", "")
    return path


def build_audit(uri, attempt=1, **options):
    return build_step("audit", attempt, unit="data", data={"uri": uri}, set=QUICK | options)


def get_run(place, step: PodStep):
    return RunLayout(place.experiments / "data" / step.run_id)


@pytest.mark.parametrize("uri", ["latest:data", "latest:data/clean", f"run:{EARLIER}", "pointer:best/clean"])
def test_a_stage_reads_what_an_earlier_run_of_the_workspace_left(place, server, clean, uri):
    step = build_audit(uri)
    code, said = place.finish(step, program=AGENT)
    assert code == 0, said
    run = get_run(place, step)
    (locked,) = read_lineage(run).built_on
    assert (locked.reference, locked.run, locked.sha256) == (uri, f"data/{EARLIER}", hash_path(clean.parent))
    record = read_record(run, "audit")
    assert (record.num_rows, record.uri) == (20, uri)
    assert yaml.safe_load(run.stage("audit").config.read_text())["data"] == uri


def test_a_retry_reads_what_the_first_pod_found_and_refuses_what_changed(place, server, clean):
    step = build_audit("latest:data", **{"audit.max_length": 64})
    assert place.finish(step, program=AGENT)[0] == 0
    first = read_lineage(get_run(place, step))
    later = write_finished_run(place.experiments / "data" / "20250203t040506-0a1b2c", "data")
    (later.stage("audit").artifacts / "clean").mkdir(parents=True)
    (later.stage("audit").artifacts / "clean/train.jsonl").write_text(ROWS)
    get_run(place, step).stage("audit").record.unlink()
    retried = build_audit("latest:data", 2, **{"audit.max_length": 64})
    assert place.finish(retried, program=AGENT)[0] == 0
    assert read_lineage(get_run(place, step)) == first
    get_run(place, step).stage("audit").record.unlink()
    clean.write_text(ROWS * 2)
    code, said = place.finish(build_audit("latest:data", 3, **{"audit.max_length": 64}), program=AGENT)
    assert code == 3, said
    assert f"clean of run data/{EARLIER} changed since this run started" in server.finals[-1].message


def test_nothing_found_is_one_sentence_that_names_the_week(place, server):
    code, said = place.finish(build_audit("latest:data"), program=AGENT)
    assert code == 2, said
    (report,) = server.finals
    assert report.message == f"latest:data: no finished run of week-02 in {place.experiments}"
    assert report.fix == "run week-02 first"
    assert "Traceback" not in said


ESCAPES = {
    "another workspace": "latest:data/../../../student-02",
    "percent signs": "latest:data/%2e%2e/%2e%2e/practicum",
    "absolute": f"run:{EARLIER}//var/run/practicum/token",
    "the token by a link": "latest:data/stages/audit/artifacts/token",
    "a folder with a link to it": "latest:data/stages/audit/artifacts",
    "a pointer that was edited": "pointer:away",
    "a link for a run": "run:20250304t050607-0a1b2c",
    "backslashes": f"run:{EARLIER}/..\\..",
    "an own path with dots": f"run:../{EARLIER}/token",
}


@pytest.mark.parametrize("uri", ESCAPES.values(), ids=ESCAPES)
def test_no_spelling_leads_out_of_the_workspace(place, server, clean, uri):
    secret = place.folder / "secrets"
    secret.mkdir()
    (secret / "token").write_text("the pod's own token")
    (clean.parents[1] / "token").symlink_to(secret / "token")
    (place.experiments / "pointers/away.json").write_text(json.dumps({"run": "../../secrets"}))
    (place.experiments / "data/20250304t050607-0a1b2c").symlink_to(secret)
    step = build_audit("latest:data")
    step = step.model_copy(update={"config": {**step.config, "data": uri}})
    code, said = place.finish(step, program=AGENT)
    assert code in (2, 3), said
    (report,) = server.finals
    assert re.search("no path inside|leads out|names no run|leaves the run", report.message), report.message
    assert "the pod's own token" not in said + report.message
    assert not get_run(place, step).stage("audit").record.exists()


def test_a_folder_of_runs_that_is_a_link_out_of_the_workspace_is_refused(place, server, clean):
    elsewhere = place.folder / "elsewhere"
    place.experiments.rename(elsewhere)
    place.experiments.symlink_to(elsewhere)
    code, said = place.finish(build_audit("latest:data"), program=AGENT)
    assert code == 2, said
    assert "leads out of the workspace" in server.finals[0].message
