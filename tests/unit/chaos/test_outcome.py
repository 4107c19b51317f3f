"""What clients got in an experiment, what follows from it, and the time line."""

from __future__ import annotations

import pytest

from practicum_core.rungs import Rung, RungChange
from practicum_core.stages.experiments import ExperimentResult, Settings, Verdict
from practicum_core.stages.load_results import LoadSample
from practicum_jobs.chaos.outcome import (
    Outcome,
    build_timeline,
    classify,
    count_returns,
    decide_verdict,
    find_tail_s,
    list_findings,
    list_unlike_repeats,
    measure_rungs,
)

OWN_ERROR = '{"error":{"message":"later","code":"degraded"}}'


def build_sample(at_s=0.0, took_s=1.0, **fields):
    return LoadSample(load=0, rate=1, scheduled_s=at_s, sent_s=at_s, ended_s=at_s + took_s, **fields)


def build_changes(*steps):
    return [RungChange(at_s=at_s, before=before, after=after, reason="calm") for at_s, before, after in steps]


DOWN_AND_UP = build_changes((2.5, "full", "extract"), (5.5, "extract", "short"), (6.5, "short", "full"))


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"status": 200}, Outcome.FULL),
        ({"status": 200, "rung": "short"}, Outcome.DEGRADED),
        ({"status": 503, "error": "http_503", "error_text": OWN_ERROR}, Outcome.ERROR),
        ({"status": 200, "error": "in_stream", "error_text": '{"message": "broke off", "code": "x"}'}, Outcome.ERROR),
        ({"status": 500, "error": "http_500", "error_text": "Internal Server Error"}, Outcome.LOST),
        ({"status": 200, "error": "in_stream", "error_text": '{"id":"cmpl-0","choices":[{"del'}, Outcome.LOST),
        ({"status": 200, "error": "cut_off", "error_text": "the stream ended without [DONE]"}, Outcome.LOST),
        ({"error": "connect", "error_text": "Cannot connect"}, Outcome.LOST),
        ({"error": "timeout", "error_text": "no end within 40 s"}, Outcome.LOST),
    ],
)
def test_a_request_is_lost_without_an_answer_and_without_an_error_of_the_apis_shape(fields, outcome):
    assert classify(build_sample(**fields)) is outcome


def find(findings):
    return {one.name: one.is_met for one in findings}


def test_a_ladder_that_goes_down_and_comes_back_holds():
    findings = list_findings([build_sample()], DOWN_AND_UP, Rung.FULL, Settings(lowest_rung="extract"))
    assert find(findings) == dict.fromkeys(("lost", "ladder_down", "ladder_back", "returns", "end_p99"), True)
    assert decide_verdict(findings, was_steady=True, left_behind=[]) is Verdict.HELD


@pytest.mark.parametrize(
    ("samples", "changes", "last", "missed"),
    [
        ([build_sample(error="lost")], DOWN_AND_UP, Rung.FULL, "lost"),
        ([build_sample()], [], Rung.FULL, "ladder_down"),
        ([build_sample()], DOWN_AND_UP[:2], Rung.SHORT, "ladder_back"),
        ([build_sample()], DOWN_AND_UP * 2, Rung.FULL, "returns"),
        ([build_sample(took_s=31.0)], DOWN_AND_UP, Rung.FULL, "end_p99"),
    ],
)
def test_each_shortfall_is_a_finding_of_its_own(samples, changes, last, missed):
    findings = list_findings(samples, changes, last, Settings(lowest_rung="extract"))
    assert [name for name, is_met in find(findings).items() if not is_met] == [missed]
    assert decide_verdict(findings, was_steady=True, left_behind=[]) is Verdict.DEVIATED


def test_what_was_not_steady_has_not_failed_and_what_stays_is_worst():
    findings = list_findings([build_sample(error="lost")], [], Rung.FULL, Settings())
    assert decide_verdict(findings, was_steady=False, left_behind=[]) is Verdict.NOT_STEADY
    assert decide_verdict(findings, was_steady=False, left_behind=["serve is stopped"]) is Verdict.NOT_UNDONE


def test_only_steps_up_from_the_same_rung_are_returns():
    assert count_returns(DOWN_AND_UP) == 1
    assert count_returns([]) == 0
    assert count_returns(build_changes((1, "full", "short"), (2, "short", "extract"), (3, "extract", "short"))) == 1


def test_repeats_of_an_experiment_are_compared_by_the_steps_of_the_ladder():
    def build(name, changes):
        return ExperimentResult(
            name=name, title_en=name, title_zh=name, verdict="held", start_s=0, end_s=1, changes=changes, repeat=""
        )

    later = build_changes((12.5, "full", "extract"), (19.5, "extract", "short"), (21.0, "short", "full"))
    alike = [build("errors", DOWN_AND_UP), build("errors", later), build("kill", DOWN_AND_UP[:1])]
    assert list_unlike_repeats(alike) == []
    assert list_unlike_repeats([*alike, build("errors", DOWN_AND_UP[:2])]) == ["errors"]


def test_the_tail_is_the_time_of_the_99th_of_100():
    samples = [build_sample(took_s=float(number)) for number in range(1, 101)]
    assert find_tail_s(samples) == 99.0
    assert find_tail_s([]) == 0.0


def test_each_rung_that_answered_is_measured_and_failed_requests_are_not_its_answers():
    samples = [
        *(build_sample(took_s=took_s, status=200, first_token_s=0.25) for took_s in (1.0, 2.0, 3.0)),
        build_sample(took_s=9.0, status=200, error="in_stream", error_text='{"message": "broke off"}'),
        build_sample(took_s=0.1, status=200, rung="extract"),
        build_sample(took_s=0.2, status=503, error="http_503", error_text=OWN_ERROR, rung="apology"),
    ]
    full, extract, apology = measure_rungs(samples)
    assert (full.rung, full.num_requests, full.first_token_p50_s, full.e2e_p50_s) == ("full", 3, 0.25, 2.0)
    assert (extract.rung, extract.num_requests, extract.first_token_p50_s) == ("extract", 1, None)
    assert (apology.rung, apology.e2e_p95_s) == ("apology", 0.2)
    assert measure_rungs([]) == []


def test_the_time_line_has_every_second_with_the_deepest_rung_in_it():
    samples = [
        build_sample(at_s=0.2, took_s=0.5, status=200),
        build_sample(at_s=2.6, took_s=0.2, status=200, rung="extract"),
        build_sample(at_s=2.7, took_s=1.1, error="http_503", error_text=OWN_ERROR),
    ]
    timeline = build_timeline(samples, DOWN_AND_UP, 7.2)
    assert [one.at_s for one in timeline] == list(range(8))
    assert [one.depth for one in timeline] == [0, 0, 3, 3, 3, 3, 1, 0]
    counts = [(one.num_sent, one.num_full, one.num_degraded, one.num_failed) for one in timeline[:4]]
    assert counts == [(1, 1, 0, 0), (0, 0, 0, 0), (2, 0, 1, 0), (0, 0, 0, 1)]
