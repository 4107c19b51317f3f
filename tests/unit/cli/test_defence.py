"""The week job of a capstone: the runs that it defends, and the options that it takes over from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from practicum_cli.defence import build_defence
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_core.errors import ConfigError
from practicum_core.resolve import resolve_steps
from practicum_core.stages.capstone import CapstoneConfig

EXPERIMENTS = Path("experiments")


def resolve(defence):
    return {step.name: step.config for step in resolve_steps(build_weekjobs(("capstone",), defence.request)[0])}


def test_a_step_repeats_its_week_with_the_options_seed_model_and_profile_of_that_week(finish_run):
    path = finish_run(overrides=("evaluate.limit=10",), seed=11)
    defence = build_defence([path.name], "capstone", RunRequest(), EXPERIMENTS)
    configs = resolve(defence)
    recorded = defence.runs[0].weekjob.spec
    assert (configs["baseline"].limit, configs["baseline"].seed) == (10, 11)
    assert configs["baseline"].model == recorded.model.uri
    assert defence.request.profile == "quick"
    assert configs["capstone"].weeks == (f"run:{path.name}/evidence/evidence.json",)
    assert configs["capstone"].reruns == ("baseline=experiments/evaluate",)


def test_what_is_asked_for_by_name_counts_more_than_the_record(finish_run):
    path = finish_run(overrides=("evaluate.limit=10",))
    asked = RunRequest(overrides=("capstone.tolerance=0.5",), seed=3)
    defence = build_defence([path.name], "capstone", asked, EXPERIMENTS)
    configs = resolve(defence)
    assert (configs["capstone"].tolerance, configs["snapshot"].seed) == (0.5, 3)


def test_without_a_finished_run_the_week_to_run_is_named(workplace):
    with pytest.raises(ConfigError, match="no finished run of week-01"):
        build_defence([], "capstone", RunRequest(profile="quick"), workplace / EXPERIMENTS)


def test_a_run_named_twice_counts_once(finish_run):
    path = finish_run()
    defence = build_defence([path.name, path.name], "capstone", RunRequest(), EXPERIMENTS)
    assert [run.id for run in defence.runs] == [path.name]
    assert isinstance(resolve(defence)["capstone"], CapstoneConfig)
