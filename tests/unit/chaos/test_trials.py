"""Experiments one after another: what an error in one of them, or in its recording, leaves of the others."""

from __future__ import annotations

import asyncio

import pytest

from chaos_stand import LADDER, build_service
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_core.stages.experiments import Experiment, Verdict
from practicum_jobs.chaos.recorder import Recorder
from practicum_jobs.chaos.stage import build_metrics
from practicum_jobs.chaos.trials import Laboratory
from practicum_jobs.load.masking import Masker


def build_experiment(func, **arguments):
    activity = {"name": "it", "provider": {"func": func, "arguments": arguments}, "pauses": {"after": 0.2}}
    settings = {"steady_s": 0.1, "recovery_s": 0.3}
    return Experiment.model_validate({"title": "t", "configuration": settings, "method": [activity]})


LATE = build_experiment("break_answers", kind="latency", delay_s=0.01)
WITHOUT_TARGET = build_experiment("kill", step="engine")


def test_an_error_in_one_experiment_or_in_its_recording_leaves_what_was_found(tmp_path):
    async def run():
        async with build_service(tmp_path, **LADDER) as service:
            runner = service.runner
            recorder = Recorder(None, service.stand.url, "", RunLayout(tmp_path), [], None, runner.zero_s, Masker())
            laboratory = Laboratory(runner, recorder, runner.zero_s)
            trials = [("late", LATE), ("kill", WITHOUT_TARGET), ("late", LATE)]
            made = [await laboratory.make(number, *one, "") for number, one in enumerate(trials)]
            with pytest.raises(ConfigError, match="no run of yours"):
                await laboratory.make(0, "kill", WITHOUT_TARGET, "")
            return made

    trials = asyncio.run(run())
    assert [one.result.verdict for one in trials] == [Verdict.HELD, Verdict.BROKEN_OFF, Verdict.HELD]
    assert trials[1].result.error.startswith("engine: no run of yours is known")
    assert ["records no traffic" in one.not_recorded for one in trials] == [True, False, True]
    metrics = {one.name: one.value for one in build_metrics(trials, {})}
    assert {name: metrics[name] for name in ("num_held", "num_broken_off", "num_not_recorded")} == {
        "num_held": 2,
        "num_broken_off": 1,
        "num_not_recorded": 2,
    }
