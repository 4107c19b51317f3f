"""What a report may hold: finite numbers, bounded text, a page that is the run's own and fits."""

from __future__ import annotations

import base64
import gzip
import json
import math
import os

import pytest

from agent_stand import build_step
from practicum_core.errors import Reason
from practicum_core.layout import RunLayout
from practicum_core.metrics import Metric
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.reports import MAX_EVIDENCE_BYTES, MAX_REPORT_BYTES, StepReport
from practicum_jobs.agent.ingest import ProgressSender
from practicum_jobs.agent.reporting import MAX_METRICS, MAX_TEXT, build_final, build_progress, clean_metrics, pack_page

STEP = build_step("report")
NAN, INF = math.nan, math.inf


@pytest.fixture
def run(tmp_path):
    layout = RunLayout(tmp_path / "workspace/run")
    layout.evidence_html.parent.mkdir(parents=True)
    return layout


def succeed(**fields):
    return ObservedStep(Phase.SUCCEEDED, **fields)


def test_a_page_is_packed_the_same_each_time(run):
    run.evidence_html.write_text("<p>证据</p>")
    packed = pack_page(run)
    assert gzip.decompress(base64.b64decode(packed)).decode() == "<p>证据</p>"
    os.utime(run.evidence_html, (1, 1))
    assert pack_page(run) == packed


def test_a_page_is_left_out_where_there_is_none(run):
    assert pack_page(run) is None
    run.evidence_html.mkdir()
    assert pack_page(run) is None


def test_a_page_is_left_out_where_it_stays_too_large(run):
    run.evidence_html.write_bytes(b"x" * (MAX_EVIDENCE_BYTES + 1))
    assert pack_page(run) is not None, "it is small once packed"
    noise = os.urandom(MAX_EVIDENCE_BYTES - 1000)
    run.evidence_html.write_bytes(noise)
    assert pack_page(run) is not None
    run.evidence_html.write_bytes(noise + os.urandom(1001))
    assert pack_page(run) is None


def test_the_largest_report_is_one_that_the_ingest_takes(run):
    run.evidence_html.write_bytes(os.urandom(MAX_EVIDENCE_BYTES - 1000))
    metrics = [Metric(name=f"{number:0100}", value=math.pi, low=-math.pi, high=math.pi) for number in range(5000)]
    seen = succeed(message="证" * 5000, fix="据" * 5000, duration_s=1e300, metrics=metrics)
    report = build_final(STEP, seen, run)
    assert (len(report.metrics), len(report.message), len(report.fix)) == (MAX_METRICS, MAX_TEXT, MAX_TEXT)
    assert len(report.model_dump_json().encode()) < MAX_REPORT_BYTES


def test_only_the_stage_that_draws_the_page_sends_it_and_only_when_it_succeeded(run):
    run.evidence_html.write_text("<p>pack</p>")
    assert build_final(STEP, succeed(), run).evidence_html
    assert build_final(STEP, ObservedStep(Phase.FAILED, reason=Reason.INTERNAL), run).evidence_html is None
    assert build_final(build_step("evaluate"), succeed(), run).evidence_html is None


def link_to_a_file(run, secret):
    run.evidence_html.symlink_to(secret / "index.html")


def link_to_a_folder(run, secret):
    run.evidence_html.parent.rmdir()
    run.evidence_html.parent.symlink_to(secret)


@pytest.mark.parametrize("link", [link_to_a_file, link_to_a_folder])
def test_a_page_that_lies_outside_the_run_is_not_sent(run, tmp_path, link):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/index.html").write_text("the pod's token")
    link(run, tmp_path / "secret")
    assert pack_page(run) is None


def test_a_pipe_in_the_page_s_place_keeps_nobody_waiting(run):
    os.mkfifo(run.evidence_html)
    assert pack_page(run) is None


def test_what_is_no_number_in_json_is_left_out():
    metrics = [
        Metric(name="a", value=NAN),
        Metric(name="b", value=INF),
        Metric(name="c", value=-INF),
        Metric(name="d", value=1, low=NAN, high=INF),
        Metric(name="e", value=2, low=0, high=3),
    ]
    assert [(one.name, one.value, one.low, one.high) for one in clean_metrics(metrics)] == [
        ("d", 1, None, None),
        ("e", 2, 0, 3),
    ]
    many = [Metric(name="x", value=NAN)] * 5 + [Metric(name=str(number), value=0) for number in range(MAX_METRICS + 1)]
    assert [one.name for one in clean_metrics(many)] == [str(number) for number in range(MAX_METRICS)]


@pytest.mark.parametrize("duration_s", [None, NAN, INF, -1.0, 2.5])
def test_a_duration_is_a_number_of_seconds_or_nothing(run, duration_s):
    told = build_final(STEP, succeed(duration_s=duration_s), run).duration_s
    assert told == {-1.0: 0.0, 2.5: 2.5}.get(duration_s)


PROGRESS = {
    "nothing yet": (None, (None, "", None)),
    "as a stage writes it": ('{"fraction": 0.5, "message": "半", "eta_s": 7}', (0.5, "半", 7.0)),
    "half a file": ('{"fraction": 0.5, "mess', (None, "", None)),
    "no mapping": ("[1]", (None, "", None)),
    "out of range": ('{"fraction": 1.5, "message": null, "eta_s": -3}', (1.0, "", 0.0)),
    "below": ('{"fraction": -0.1}', (0.0, "", None)),
    "no numbers": ('{"fraction": NaN, "message": 3, "eta_s": Infinity}', (None, "3", None)),
    "texts": ('{"fraction": "0.5", "eta_s": [1]}', (None, "", None)),
    "too large a number": ('{"fraction": 1%s, "eta_s": 1%s}' % ("0" * 400, "0" * 400), (None, "", None)),  # noqa: UP031
    "half a surrogate pair": (r'{"message": "a\ud800b"}', (None, "a?b", None)),
    "too long": (json.dumps({"message": "x" * 5000}), (None, "x" * MAX_TEXT, None)),
}


@pytest.mark.parametrize(("text", "wanted"), PROGRESS.values(), ids=PROGRESS)
def test_progress_is_what_the_stage_s_file_says_as_far_as_a_report_can(run, text, wanted):
    layout = run.stage("report")
    layout.root.mkdir(parents=True)
    if text is not None:
        layout.progress.write_text(text)
    report = build_progress(STEP, layout)
    assert (report.outcome, (report.progress, report.message, report.eta_s)) == ("running", wanted)
    assert StepReport.model_validate_json(report.model_dump_json()) == report


class Taker:
    """Stands for the ingest: takes reports, or does not."""

    def __init__(self):
        self.is_up, self.offered = True, []

    def send_progress(self, report):
        self.offered.append(report.progress)
        return self.is_up


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("practicum_jobs.agent.ingest.time.monotonic", lambda: now[0])
    return now


def build(progress):
    return StepReport(uid="u", step="sft", attempt=1, outcome="running", progress=progress)


def test_progress_is_sent_when_it_changed_and_once_in_an_interval(clock):
    taker = Taker()
    sender = ProgressSender(taker, interval_s=2.0)
    for time_s, progress in ((0, 0.1), (1.9, 0.2), (2.0, 0.3), (3.0, 0.4), (9.0, 0.3), (10.0, 0.5)):
        clock[0] = 100.0 + time_s
        sender.offer(build(progress))
    assert taker.offered == [0.1, 0.3, 0.5]


def test_an_ingest_that_does_not_answer_is_left_in_peace_for_a_while(clock):
    taker = Taker()
    sender = ProgressSender(taker, interval_s=2.0)
    taker.is_up = False
    for time_s in (0, 5, 9.9, 10):
        clock[0] = 100.0 + time_s
        sender.offer(build(0.1))
    assert len(taker.offered) == 2
    taker.is_up = True
    for time_s in (20, 22, 24):
        clock[0] = 100.0 + time_s
        sender.offer(build(0.1))
    assert len(taker.offered) == 3, "what was not taken is sent again, what was taken is not"
