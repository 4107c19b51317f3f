"""Files of experiments: those that come with Practicum, a student's own, and what is wrong with broken ones."""

from __future__ import annotations

import asyncio

import pytest

from practicum_core.errors import ConfigError
from practicum_core.stages.chaos import ChaosConfig
from practicum_jobs.chaos.files import list_builtin, read_experiment
from practicum_jobs.chaos.probes import is_within, measure_full_answers

OWN = """
title: The engine pauses for a moment
configuration: {recovery_s: 10}
steady-state-hypothesis:
  title: the best rung answers
  probes: [{type: probe, name: rung, tolerance: full, provider: {func: get_rung}}]
method:
  - name: stop it
    provider: {func: hang, arguments: {step: serve}}
    pauses: {after: 3}
"""


def test_the_stage_runs_experiments_that_come_with_it():
    assert set(ChaosConfig().experiments) <= set(list_builtin())


@pytest.mark.parametrize("name", list_builtin())
def test_an_experiment_that_comes_with_practicum_is_named_in_both_languages(name):
    experiment = read_experiment(name)
    assert experiment.names.zh != experiment.names.en
    assert experiment.description


def test_a_students_own_experiment_has_ten_lines(tmp_path):
    (tmp_path / "own.yaml").write_text(OWN)
    experiment = read_experiment(str(tmp_path / "own.yaml"))
    assert len(OWN.strip().splitlines()) <= 10
    assert experiment.method_s == 3
    assert experiment.hypothesis.probes[0].tolerance == "full"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("func: hang", "func: hangs", "unknown action 'hangs'.*did you mean 'hang'"),
        ("func: get_rung", "func: rung", "unknown probe 'rung'"),
        ("title: The engine", "titel: The engine", "title"),
        ("after: 3", "after: -3", "after"),
        ("{step: serve}", "{steps: serve}", "action hang: .*steps"),
        ("{func: get_rung}", "{func: get_rung, arguments: {number: 1}}", "probe get_rung: .*number"),
        ("tolerance: full", "tolerance: {type: range}", "probe get_rung: tolerance"),
        ("tolerance: full", "tolerance: {type: range, range: [a, b]}", "probe get_rung"),
        ("method:", "method: []\nother:", "method"),
        ("type: probe, ", "", "probes"),
        ("{func: hang,", "{module: os, func: hang,", "module"),
        ("title: The", "title: [", "experiment"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, before, after, message):
    (tmp_path / "own.yaml").write_text(OWN.replace(before, after, 1))
    with pytest.raises(ConfigError, match=message):
        read_experiment(str(tmp_path / "own.yaml"))


def test_a_missing_file_and_the_known_names_are_told(tmp_path):
    with pytest.raises(ConfigError) as caught:
        read_experiment(str(tmp_path / "missing.yaml"))
    assert "kill" in caught.value.fix


def test_faults_are_for_the_own_service():
    with pytest.raises(ValueError, match="faults are for your own"):
        ChaosConfig(url="https://api.example.com/v1")


@pytest.mark.parametrize("tolerance", [{"type": "range"}, {"type": "range", "range": [1]}, {"type": "regex"}])
def test_a_tolerance_that_says_nothing_is_refused(tolerance):
    with pytest.raises(ConfigError, match="tolerance"):
        is_within(1.0, tolerance)


@pytest.mark.parametrize("number", [0, "three"])
def test_a_number_of_requests_that_is_none_is_refused(number):
    with pytest.raises(ConfigError, match="num_requests"):
        asyncio.run(measure_full_answers(None, number))
