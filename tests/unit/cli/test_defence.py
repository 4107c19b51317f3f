"""The week job of a capstone: the runs that it defends, and the options that it takes over from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from practicum_cli.defence import build_defence, find_unit
from practicum_cli.provenance import build_environment
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.runs import create_run, write_status, write_step_config
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_core.lineage import BuiltOn, Lineage, write_lineage
from practicum_core.phases import Phase
from practicum_core.resolve import resolve_steps
from practicum_core.stages.capstone import CapstoneConfig
from practicum_core.weekjob import WeekJobStatus

EXPERIMENTS = Path("experiments")
SFT = "20260102t030405-0a1b2c"


def resolve(defence, unit="capstone"):
    return {step.name: step.config for step in resolve_steps(build_weekjobs((unit,), defence.request)[0])}


def write_run(week, **options):
    """Write the run of a week as it stands after its end, without what its steps measured."""
    weekjob = build_weekjobs((week,), RunRequest(profile="quick", **options))[0]
    steps = resolve_steps(weekjob)
    environment, diff = build_environment((step.environment for step in steps), ["practicum"])
    path = create_run(EXPERIMENTS, weekjob, environment, diff)
    for step in steps:
        RunLayout(path).stage(step.name).root.mkdir(parents=True)
        write_step_config(RunLayout(path), step)
    write_status(RunLayout(path), WeekJobStatus(phase=Phase.SUCCEEDED))
    return path


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


def test_every_week_without_a_finished_run_is_named_at_once(finish_run):
    finish_run()
    with pytest.raises(ConfigError) as refused:
        build_defence([], "capstone", RunRequest(profile="quick"), EXPERIMENTS)
    assert "week-01" not in refused.value.detail
    assert all(f"no finished run of week-{number:02d} in" in refused.value.detail for number in range(2, 9))
    assert "name the runs" in refused.value.fix


def test_each_length_of_the_course_ends_with_a_defence_of_all_its_weeks():
    assert [find_unit(variant) for variant in (8, 10, 12)] == ["capstone", "capstone", "capstone-extended"]
    expected = {}
    for unit in ("capstone", "capstone-extended"):
        steps = resolve_steps(build_weekjobs((unit,), RunRequest(profile="quick"))[0])
        expected[unit] = next(step.config.expected for step in steps if isinstance(step.config, CapstoneConfig))
    assert set(expected["capstone-extended"]) - set(expected["capstone"]) == {"alignment-risk", "performance"}
    assert len(expected["capstone"]) == 8


def test_a_load_test_is_repeated_against_the_model_of_its_week_and_the_others_on_that_of_theirs(workplace):
    (workplace / "tuned").mkdir()
    first, serving = write_run("week-01", model="model"), write_run("week-07", model="tuned")
    defence = build_defence([first.name, serving.name], "capstone", RunRequest(), EXPERIMENTS)
    configs = resolve(defence)
    assert configs["capstone"].reruns == ("baseline=experiments/evaluate", "loadtest=serving/loadtest")
    assert configs["serve"].model == f"file://{workplace / 'tuned'}"
    assert configs["baseline"].model == configs["model"].model == f"file://{workplace / 'model'}"


def test_a_load_test_is_repeated_with_the_adapters_of_its_week(workplace):
    built_on = [BuiltOn(reference="latest:sft/adapter", unit="sft", run_id=SFT, path="adapter", sha256="0")]
    adapters = ("serve.adapters={a: latest:sft/adapter, b: file:///x}",)
    serving = write_run("week-07", overrides=adapters)
    write_lineage(RunLayout(serving), Lineage(built_on=built_on))
    configs = resolve(build_defence([serving.name], "capstone", RunRequest(), EXPERIMENTS))
    assert configs["serve"].adapters == {"a": f"run:{SFT}/adapter", "b": "file:///x"}


def test_a_run_named_twice_counts_once(finish_run):
    path = finish_run()
    defence = build_defence([path.name, path.name], "capstone", RunRequest(), EXPERIMENTS)
    assert [run.id for run in defence.runs] == [path.name]
    assert isinstance(resolve(defence)["capstone"], CapstoneConfig)
