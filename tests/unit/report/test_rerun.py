"""The command that asks for the same run again says what the week job says."""

from __future__ import annotations

import shlex

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from practicum_core.lineage import Lineage
from practicum_core.weekjob import WeekJob
from practicum_jobs.report.rerun import _write_value, build_run_command


def _build(name="week-03", **spec):
    return WeekJob.model_validate({"metadata": {"name": name}, "spec": {"unit": "sft", "profile": "quick", **spec}})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, ""),
        (
            {"set": {"sft.method": "qlora", "sft.learning_rate": 0.0005}},
            "--set sft.learning_rate=0.0005 --set sft.method=qlora",
        ),
        ({"data": {"uri": "builtin:tickets?general_every=5"}}, ""),
        ({"data": {"uri": "builtin:tickets"}}, "--data builtin:tickets"),
        ({"data": {"uri": "file:///a b"}}, "--data 'file:///a b'"),
        ({"model": {"uri": "hf://a/b"}}, "--model hf://a/b"),
        ({"control": "sft/20260102t030405-0a1b2c"}, "--control sft/20260102t030405-0a1b2c"),
    ],
)
def test_options_are_said(spec, words):
    command = build_run_command(_build(**spec), "ID")
    assert command == f"practicum run week-03 --variant 10 --profile quick --seed 7 {words}".strip()


def test_the_week_follows_the_variant():
    assert "week-04 --variant 12" in build_run_command(_build(name="mine", variant=12), "ID")
    assert " sft --variant 8" in build_run_command(_build(name="mine", variant=8), "ID")


def test_what_no_option_says_is_taken_from_the_file():
    command = build_run_command(_build(resources={"workers": 2}), "20260102t030405-0a1b2c")
    assert command == "practicum run experiments/sft/20260102t030405-0a1b2c/weekjob.yaml"


def test_the_runs_that_it_was_built_on_are_named_and_not_the_latest_of_then():
    locked = {"unit": "sft", "run_id": "20260102t030405-0a1b2c", "path": "stages/sft/artifacts/merged", "sha256": "0"}
    references = ("latest:sft", "pointer:best/merged")
    lineage = Lineage.model_validate({"built_on": [{"reference": reference, **locked} for reference in references]})
    weekjob = _build(model={"uri": references[0]}, set={"evaluate.candidate": references[1]})
    words = shlex.split(build_run_command(weekjob, "ID", lineage))
    assert words[words.index("--model") + 1] == "run:20260102t030405-0a1b2c"
    assert words[-1] == 'evaluate.candidate="run:20260102t030405-0a1b2c/merged"'
    adapters = _build(unit="serving", set={"serve.adapters": ["a=latest:sft", "b=file:///x"]})
    named = shlex.split(build_run_command(adapters, "ID", lineage))[-1]
    assert named == 'serve.adapters=["a=run:20260102t030405-0a1b2c", "b=file:///x"]'


@given(
    st.one_of(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"])),
        st.integers(),
        st.booleans(),
        st.none(),
        st.floats(1e-9, 1e9),
    )
)
def test_a_value_read_back_as_yaml_is_the_same(value):
    word = shlex.split(shlex.join([f"sft.key={_write_value(value)}"]))[0]
    assert yaml.safe_load(word.partition("=")[2]) == value
