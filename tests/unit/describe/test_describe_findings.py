"""What records say of a deployment: its weaknesses are those that experiments, replays and load tests showed."""

from __future__ import annotations

from practicum_core.deployment import Capacity, Words
from practicum_core.rungs import Rung
from practicum_core.stages.experiments import ExperimentResult, Finding, RungUse, Verdict
from practicum_core.stages.replays import ReplayComparison, ReplaysRecord, ReplayVerdict
from practicum_jobs.describe.findings import list_alerts, list_rungs, list_tried, list_weaknesses
from practicum_jobs.load.alerts import RULES

CAPACITY = Capacity(run="r", model="m", rate=4.0, objective=Words(en="o", zh="o"), bottleneck="decode")


def build_result(name, verdict, **changes):
    values = {
        "name": name,
        "title_en": name,
        "title_zh": name,
        "verdict": verdict,
        "start_s": 0,
        "end_s": 9,
        "repeat": "x",
    }
    return ExperimentResult(**{**values, **changes})


def build_record(results, **changes):
    about = {"stage": "chaos", "step": "chaos", "started_at": "", "finished_at": "", "duration_s": 1}
    return ReplaysRecord(results=results, **{**about, **changes})


def list_texts(records, capacity=None, num_engines=2, *, has_alarm=True):
    return [one.en for one in list_weaknesses(records, capacity, num_engines, has_alarm=has_alarm)]


def test_what_held_is_no_weakness_and_what_deviated_is_one():
    missed = [
        Finding(name="end_p99", shown="31 s", bound="<= 30 s", is_met=False),
        Finding(name="lost", shown="0", bound="0", is_met=True),
    ]
    results = [
        build_result("kill", Verdict.HELD, back_s=74.0),
        build_result("hang", Verdict.DEVIATED, findings=missed),
        build_result("cut", Verdict.NOT_STEADY),
    ]
    record = build_record(results)
    assert list_texts([record]) == [
        "hang: the service did not hold (end p99)",
        "cut: not known, the service was not steady before",
    ]
    assert [one.is_held for one in list_tried([record])] == [True, False, False]
    assert "for 74 s at the longest" in list_texts([record], num_engines=1)[-1]


def test_replays_that_differ_a_bottleneck_and_alerts_that_nobody_hears_are_weaknesses():
    unlike = ReplayComparison(number=1, verdict=ReplayVerdict.DIFFERS, findings=[], steps=[], num_requests=1)
    same = unlike.model_copy(update={"verdict": ReplayVerdict.SAME})
    late = unlike.model_copy(update={"verdict": ReplayVerdict.NOT_COMPARABLE})
    replays = build_record([build_result("errors", Verdict.DEVIATED)], recording="run:x", replays=[same, unlike, late])
    texts = list_texts([replays], CAPACITY, has_alarm=False)
    assert texts[0].startswith("1 of 3 replays of the same fault went another way")
    assert texts[1].startswith("1 of 3 replays of the same fault prove nothing")
    assert texts[2] == "beyond 4 requests/s the SLO is missed; the first bottleneck is decode"
    assert "nobody is called" in texts[3]
    assert list_tried([replays]) == []


def test_rungs_have_what_their_answers_took_and_every_alert_is_named_in_both_languages():
    use = RungUse(rung=Rung.EXTRACT, num_requests=5, e2e_p50_s=0.01, e2e_p95_s=0.02)
    [full, extract] = list_rungs([Rung.FULL, Rung.EXTRACT], [build_record([], rungs=[use])])
    assert (full.num_requests, extract.num_requests, extract.e2e_p95_s) == (0, 5, 0.02)
    assert [one.name for one in list_alerts()] == [rule.name for rule in RULES]
    assert all(one.summary.zh != one.summary.en for one in list_alerts())
