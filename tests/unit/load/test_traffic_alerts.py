"""Alerts on recorded traffic: the rule of the chart with shorter windows, fired and over when they should be."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml

from practicum_core.traffic import TraceRequest
from practicum_jobs.load.alerts import RULES, list_alerts

CHART_RULES = Path(__file__).parents[3] / "charts/practicum/files/rules.yaml"
ERRORS = RULES[:1]


def build_requests(spans):
    """Build two requests a second; ``spans`` says from when on they end with which status."""
    found, statuses = [], dict(spans)
    for tick in range(120):
        at_s = tick / 2
        status = statuses[max(start for start in statuses if start <= at_s)]
        found.append(TraceRequest(at_s=at_s, path="/v1/chat/completions", status=status, total_s=0.1))
    return found


def list_changes(spans, rules=ERRORS):
    return [(one.after, round(one.at_s)) for one in list_alerts(build_requests(spans), rules)]


def test_an_alert_fires_in_a_fault_and_is_over_soon_after_it():
    (fired, fired_s), (over, over_s) = list_changes({0: 200, 20: 502, 30: 200})
    assert (fired, over) == ("firing", "quiet")
    assert 20 <= fired_s <= 25
    assert 30 <= over_s <= 34


@pytest.mark.parametrize("spans", [{0: 200}, {0: 200, 20: 502, 20.5: 200}])
def test_without_errors_beyond_the_budget_nothing_fires(spans):
    assert list_changes(spans) == []


def test_an_alert_that_is_not_over_has_no_end():
    assert [name for name, _ in list_changes({0: 200, 50: 502})] == ["firing"]


def test_silence_changes_nothing_and_no_traffic_has_no_alerts():
    bad = build_requests({0: 502})[:40]
    assert [one.after for one in list_alerts(bad, ERRORS)] == ["firing"]
    assert list_alerts([]) == []


def test_the_threshold_is_that_of_the_chart():
    document = yaml.safe_load(CHART_RULES.read_text(encoding="utf-8"))
    rules = {one.get("alert"): one for group in document["groups"] for one in group["rules"]}
    bounds = set(re.findall(r"> ([0-9.]+)", rules["PracticumErrorBudgetBurnsFast"]["expr"]))
    assert bounds == {f"{RULES[0].budget * RULES[0].burn_rate:g}"}


def test_an_hour_of_traffic_is_judged_in_seconds():
    requests = [
        TraceRequest.model_construct(at_s=number / 10, status=200, rung="", total_s=0.1) for number in range(36_000)
    ]
    started_s = time.monotonic()
    assert list_alerts(requests) == []
    assert time.monotonic() - started_s < 10
