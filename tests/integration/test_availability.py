"""The unit ``availability`` by the real command, with the fake engine for vLLM: killed, and its streams cut off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from practicum_core.layout import RunLayout
from practicum_core.stages.chaos import ChaosRecord
from practicum_core.stages.describe import DescribeRecord
from practicum_core.stages.experiments import Verdict
from practicum_core.stages.replays import ReplayVerdict
from practicum_core.stages.rungcheck import RungcheckRecord
from practicum_core.stages.traces import TracesRecord
from practicum_core.traffic import TRAFFIC
from practicum_jobs.load.recording import read_recording, read_trace_file
from practicum_jobs.text.pii import find_pii

STAND = Path(__file__).parents[1] / "stand"
KILL = """
title: The engine is killed
configuration: {steady_s: 2, recovery_s: 10, max_recovery_s: 60, lowest_rung: extract}
method:
  - name: kill it
    provider: {func: kill, arguments: {step: serve}}
"""
CUT = """
title: Streams break off
configuration: {steady_s: 2, recovery_s: 8}
method:
  - name: cut every stream
    provider: {func: break_answers, arguments: {kind: cut, after_chunks: 3}}
    pauses: {after: 4}
"""

DISK = """
title: The gateway's disk is full
configuration: {steady_s: 1, recovery_s: 2, deepest_rung: full, min_answered: 1}
method:
  - name: let its writes fail
    provider: {func: fill_disk, arguments: {step: gateway}}
    pauses: {after: 2}
"""

# Beside other tests, client and engine wait for processors.
ROOMY = 'replay.tolerances=["schedule_s=2","fault_s=5","step_s=15","outcome_share=0.3","latency_s=2"]'


def run_unit(folder, *words):
    path = os.pathsep.join(filter(None, [str(STAND), os.environ.get("PYTHONPATH", "")]))
    variables = {**os.environ, "PRACTICUM_STAGE_PACKAGES": "faulty", "PYTHONPATH": path}
    command = [sys.executable, "-m", "practicum_cli.main", "run", "faulty", "--profile", "quick", *words]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two experiments: its folder and its record."""
    folder = tmp_path_factory.mktemp("availability")
    (folder / "kill.yaml").write_text(KILL)
    (folder / "cut.yaml").write_text(CUT)
    (folder / "disk.yaml").write_text(DISK)
    names = json.dumps([str(folder / f"{name}.yaml") for name in ("kill", "cut", "disk")])
    options = (f"chaos.experiments={names}", "chaos.rate=4", "replay.replayed=cut", "replay.replays=1", ROOMY)
    code, out = run_unit(folder, *(word for option in options for word in ("--set", option)))
    assert code == 0, out
    [root] = folder.glob("experiments/faulty/*-??????")
    run = RunLayout(root)
    return run, ChaosRecord.model_validate_json(run.stage("chaos").record.read_text())


def test_a_killed_engine_takes_the_ladder_down_and_nobody_is_left_without_an_answer(finished):
    _, record = finished
    killed = record.results[0]
    assert killed.verdict is Verdict.HELD
    assert [change.after for change in killed.changes] == ["extract", "short", "full"]
    assert killed.num_lost == 0
    assert killed.num_full + killed.num_degraded + killed.num_errors == killed.num_requests
    assert killed.num_degraded > 0
    assert killed.num_full > 0
    assert killed.back_s is not None


def test_streams_that_break_off_end_with_an_error_of_the_apis_shape(finished):
    _, record = finished
    cut = record.results[1]
    assert cut.verdict is Verdict.HELD
    assert cut.num_lost == 0
    assert cut.failures.keys() <= {"in_stream", "http_502", "http_503"}
    assert cut.failures["in_stream"] > 0


def test_a_full_disk_of_the_gateway_is_not_noticed(finished):
    _, record = finished
    assert record.results[2].verdict is Verdict.HELD
    assert record.results[2].num_full == record.results[2].num_requests


def test_each_rung_was_measured_and_is_in_the_report(finished):
    run, _ = finished
    measured = RungcheckRecord.model_validate_json(run.stage("rungcheck").record.read_text())
    assert [one.rung for one in measured.qualities] == ["full", "short", "extract", "faq", "apology"]
    assert measured.qualities[0].num_answered == measured.qualities[0].num_rows == 16
    assert measured.qualities[0].completion_tokens > measured.qualities[1].completion_tokens > 0
    assert "What each rung is worth" in run.evidence_html.read_text(encoding="utf-8")


def test_the_gateway_recorded_the_same_steps(finished):
    run, record = finished
    gateway = json.loads(run.stage("gateway").record.read_text())
    replayed = read_replays(run)
    # Those that are manual are of the step that measures each rung.
    seen = [(one["before"], one["after"]) for one in gateway["rung_changes"] if one["reason"] != "manual"]
    results = [*record.results, *replayed.results]
    assert seen == [(one.before, one.after) for result in results for one in result.changes]
    assert gateway["num_degraded"] >= sum(result.num_degraded for result in results)


def read_replays(run):
    return ChaosRecord.model_validate_json(run.stage("replay").record.read_text())


def test_the_recorded_fault_was_replayed_with_the_same_steps(finished):
    run, record = finished
    replayed = read_replays(run)
    recorded = replayed.recorded
    assert recorded.name.endswith("cut.yaml")
    assert [one.verdict for one in replayed.replays] == [ReplayVerdict.SAME]
    steps = [str(recorded.changes[0].before), *(str(one.after) for one in recorded.changes)]
    assert len(steps) >= 3
    assert all(set(one.steps) <= set(steps) for one in replayed.replays)
    compared = {one.name for one in replayed.replays[0].findings}
    assert compared >= {"schedule", "arrivals", "fault_window", "steps", "step_times", "alerts", "outcomes", "lost"}
    assert recorded.changes == [
        one.model_copy(update={"at_s": round(one.at_s - record.results[1].start_s, 3)})
        for one in record.results[1].changes
    ]


def test_what_was_recorded_has_bodies_without_personal_data_and_the_gateways_own_file_has_none(finished):
    run, _ = finished
    [own] = run.stage("gateway").root.rglob(TRAFFIC)
    assert all(one.prompt is None for one in read_trace_file(own).requests)
    recordings = sorted((run.stage("chaos").artifacts / "recordings").iterdir())
    assert [one.name for one in recordings] == ["cut", "disk", "kill"]
    for folder in recordings:
        _, trace = read_recording(folder)
        assert trace.header.has_bodies
        prompts = [turn["content"] for one in trace.requests for turn in one.prompt]
        assert prompts
        assert not [text for text in prompts if find_pii(text)]


def test_the_report_has_the_time_line_and_says_so(finished):
    run, record = finished
    page = run.evidence_html.read_text(encoding="utf-8")
    assert 'id="experiments"' in page
    assert 'id="replays"' in page
    assert "replays-replay" in page
    assert page.count("timeline-chaos-") >= 2
    assert "The engine is killed" in page
    assert "a sentence of the knowledge base" in page
    assert sum(point.num_sent for point in record.timeline) == sum(one.num_requests for one in record.results)
    assert max(point.depth for point in record.timeline) == 3
    assert {use.rung for use in record.rungs} >= {"full", "extract"}
    assert "What the answers of each rung took" in page


def test_the_report_shows_a_degraded_request_by_the_traces_of_client_and_gateway(finished):
    run, record = finished
    traces = TracesRecord.model_validate_json(run.stage("traces").record.read_text())
    counts = {metric.name: metric.value for metric in traces.metrics}
    assert counts["num_traces"] >= counts["num_from_client"] >= sum(one.num_full for one in record.results)
    assert counts["num_degraded"] >= sum(one.num_degraded for one in record.results)
    assert traces.shown.rung
    assert [span.place for span in traces.shown.spans[:2]] == ["client", "gateway"]
    assert traces.shown.request_id == traces.shown.trace_id
    page = run.evidence_html.read_text(encoding="utf-8")
    assert 'id="trace"' in page
    assert traces.shown.trace_id in page
    assert "client: sent to last byte" in page


def test_the_deployment_is_described_in_both_languages_from_what_runs(finished):
    run, record = finished
    layout = run.stage("describe")
    described = DescribeRecord.model_validate_json(layout.record.read_text()).deployment
    assert [one.name for one in described.components] == ["serve", "faultproxy", "gateway"]
    assert all(one.is_ready and one.url for one in described.components)
    assert [one.rung for one in described.rungs] == ["full", "short", "extract", "faq", "apology"]
    assert [one.is_held for one in described.tried] == [True] * len(record.results)
    assert described.components[2].versions.keys() >= {"aiohttp", "uvicorn"}
    for language, said in (("en", "Known weaknesses"), ("zh", "已知弱点")):
        text = (layout.artifacts / f"deployment.{language}.md").read_text(encoding="utf-8")
        assert said in text
        assert "errors_burn" in text
        assert "/readyz" in text
    assert 'id="deployment"' in run.evidence_html.read_text(encoding="utf-8")
