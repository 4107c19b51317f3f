"""Each defence of the gateway in the experiment that needs it, and the same experiment with the defence planted out."""

from __future__ import annotations

import asyncio

import pytest

from chaos_stand import LADDER, build_service
from practicum_core.stages.experiments import Experiment, Verdict

NEVER = 1_000_000


def build_experiment(fault, seconds, **settings):
    activity = {"name": "break it", "provider": {"func": "break_answers", "arguments": fault}}
    configuration = {"steady_s": 0.5, "recovery_s": 1.5, "max_recovery_s": 6, **settings}
    method = [{**activity, "pauses": {"after": seconds}}]
    return Experiment.model_validate({"title": "an experiment", "configuration": configuration, "method": method})


CASES = {
    "without a breaker, an engine that only fails gets half of the requests": (
        build_experiment({"kind": "errors"}, 3.0, min_answered=0.85),
        {"ways": ("proxied", "plain"), "breaker_min_requests": 4, "breaker_open_s": 5.0},
        {"breaker_min_requests": NEVER},
        "answered",
    ),
    "without a budget, retries multiply the load of engines that fail": (
        build_experiment({"kind": "errors", "status": 502, "delay_s": 0.4}, 4.0, max_upstream_ratio=1.4),
        {"ways": ("proxied",) * 3, "breaker_min_requests": NEVER, "rate": 30.0},
        {"retry_share": 1.0},
        "upstream_ratio",
    ),
    "a readiness of the port alone does not see an engine that hangs": (
        build_experiment({"kind": "stall", "after_chunks": 0}, 4.0, lowest_rung="extract", max_e2e_s=8),
        # First tokens that are late on a busy machine must not move the ladder: the probes alone do.
        {**LADDER, "probe_timeout_s": 1.0, "ladder_first_token_s": 60.0},
        {"probe_s": 3600.0},
        "ladder_down",
    ),
}
"""Experiment, options of the gateway, what plants the weakness, and what it misses then."""


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Verdict and missed findings of each case, with its defence and without; all made at the same time."""

    async def run(folder, experiment, options):
        async with build_service(folder, **options) as service:
            result = await service.run(experiment)
        return result.verdict, {one.name for one in result.findings if not one.is_met}

    async def run_all():
        runs = [
            run(tmp_path_factory.mktemp("service"), experiment, options)
            for experiment, defended, planted, _ in CASES.values()
            for options in (defended, {**defended, **planted})
        ]
        found = await asyncio.gather(*runs)
        return dict(zip(CASES, zip(found[::2], found[1::2], strict=True), strict=True))

    return asyncio.run(run_all())


@pytest.mark.parametrize("name", CASES)
def test_a_planted_weakness_turns_its_experiment_red(judged, name):
    defended, planted = judged[name]
    assert defended == (Verdict.HELD, set())
    assert planted == (Verdict.DEVIATED, {CASES[name][3]})
