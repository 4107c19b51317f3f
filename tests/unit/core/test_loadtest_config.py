"""Options of a load test that are refused, and latencies that count from the scheduled time."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from practicum_core.resolve import resolve_steps
from practicum_core.stages.loadtest import LoadSample, LoadtestConfig, Objective
from practicum_core.weekjob import WeekJob


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "https://api.example.com/v1"}, "i_own_this_server"),
        ({"url": "http://127.0.0.1.example.com"}, "i_own_this_server"),
        ({"url": "http://127.0.0.1:8000", "engine_url": "http://203.0.113.7"}, "i_own_this_server"),
        ({"url": "127.0.0.1:8000"}, "http://"),
        ({"url": "http://user:secret@127.0.0.1:8000"}, "key_variable"),
        ({"url": ""}, "name the server"),
        ({"rates": (2, 1)}, "must rise"),
        ({"rates": (0,)}, "above 0"),
        ({"rates": ()}, "at least 1"),
        ({"load": "trace"}, "belong together"),
        ({"own_key": True, "key_variable": "KEY"}, "one of them"),
        ({"slo_ttft_s": None}, "needs one"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options, said):
    with pytest.raises(ValidationError, match=said) as caught:
        LoadtestConfig(**options)
    assert "secret" not in str(caught.value.errors()[0]["msg"])


def test_a_server_of_ones_own_may_be_anywhere():
    assert LoadtestConfig(url="https://api.example.com", i_own_this_server=True).url == "https://api.example.com"
    for own in ("http://localhost:8000/v1/", "http://[::1]:8000", "http://gateway.student-01.svc:8080", "step:gateway"):
        assert LoadtestConfig(url=own).url == own.rstrip("/")


def test_latencies_count_from_the_scheduled_time():
    late = LoadSample(
        id="0-0", load=0, rate=1, scheduled_s=1, sent_s=3, first_token_s=3.5, last_token_s=4.5, ended_s=4.75,
        completion_tokens=11,
    )  # fmt: skip
    assert (late.dispatch_s, late.ttft_s, late.tpot_s, late.e2e_s) == (2, 2.5, 0.1, 3.75)
    assert Objective(ttft_s=2.5, tpot_s=0.1, e2e_s=3.75).is_met_by(late)
    assert not Objective(ttft_s=2.4).is_met_by(late)
    assert not Objective(ttft_s=9).is_met_by(late.model_copy(update={"error": "timeout"}))
    assert late.model_copy(update={"completion_tokens": 1}).tpot_s is None


def test_a_week_job_gives_rates_as_numbers():
    spec = {"unit": "serving", "set": {"loadtest.rates": [1, 2.5]}}
    weekjob = WeekJob.model_validate({"metadata": {"name": "week-07"}, "spec": spec})
    assert weekjob.to_document()["spec"]["set"] == {"loadtest.rates": [1, 2.5]}
    [config] = [step.config for step in resolve_steps(weekjob) if step.name == "loadtest"]
    assert config.rates == (1.0, 2.5)
