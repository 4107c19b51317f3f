"""Each defence of the gateway in the experiment that needs it, and the same experiment with the defence planted out."""

from __future__ import annotations

import asyncio

from chaos_stand import LADDER, build_service
from practicum_core.stages.experiments import Experiment, Verdict

NEVER = 1_000_000


def build_experiment(fault, seconds, **settings):
    activity = {"name": "break it", "provider": {"func": "break_answers", "arguments": fault}}
    configuration = {"steady_s": 0.5, "recovery_s": 1.5, "max_recovery_s": 6, **settings}
    method = [{**activity, "pauses": {"after": seconds}}]
    return Experiment.model_validate({"title": "an experiment", "configuration": configuration, "method": method})


def judge(folder, experiment, ways, defended, planted):
    """Make an experiment on a service and on one with a weakness, at the same time; return what each missed."""

    async def run(name, options):
        async with build_service(folder / name, ways, **options) as service:
            result = await service.run(experiment)
        missed = {one.name for one in result.findings if not one.is_met}
        return result.verdict, missed

    async def run_both():
        return await asyncio.gather(run("defended", defended), run("planted", {**defended, **planted}))

    return asyncio.run(run_both())


def test_without_a_breaker_an_engine_that_only_fails_gets_half_of_the_requests(tmp_path):
    experiment = build_experiment({"kind": "errors"}, 3.0, min_answered=0.85)
    options = {"breaker_min_requests": 4, "breaker_open_s": 5.0}
    defended, planted = judge(tmp_path, experiment, ("proxied", "plain"), options, {"breaker_min_requests": NEVER})
    assert defended == (Verdict.HELD, set())
    assert planted == (Verdict.DEVIATED, {"answered"})


def test_without_a_budget_retries_multiply_the_load_of_engines_that_fail(tmp_path):
    fault = {"kind": "errors", "status": 502, "delay_s": 0.4}
    experiment = build_experiment(fault, 2.0, max_upstream_ratio=1.4)
    options = {"breaker_min_requests": NEVER, "rate": 30.0}
    defended, planted = judge(tmp_path, experiment, ("proxied",) * 3, options, {"retry_share": 1.0})
    assert defended == (Verdict.HELD, set())
    assert planted == (Verdict.DEVIATED, {"upstream_ratio"})


def test_a_readiness_of_the_port_alone_does_not_see_an_engine_that_hangs(tmp_path):
    experiment = build_experiment({"kind": "stall", "after_chunks": 0}, 2.5, lowest_rung="extract", max_e2e_s=8)
    defended, planted = judge(tmp_path, experiment, ("proxied",), LADDER, {"probe_s": 3600.0})
    assert defended == (Verdict.HELD, set())
    assert planted == (Verdict.DEVIATED, {"ladder_down"})
