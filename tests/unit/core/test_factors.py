"""Which differences between two runs are factors, and that one intention counts once."""

from __future__ import annotations

import pytest

from practicum_core.environment import CodeVersion, Hardware, Repository, RunEnvironment
from practicum_core.factors import RunFacts, count_factors, find_differences
from practicum_core.resolve import resolve_steps
from practicum_core.stages.model import ModelLock
from practicum_core.stages.snapshot import DataLock, SplitLock
from practicum_core.weekjob import WeekJob


def build_facts(environment=None, locks=None, **spec):
    spec = {"unit": "sft", "profile": "quick", "data": {"uri": "builtin:tickets"}, **spec}
    weekjob = WeekJob.model_validate({"metadata": {"name": "x"}, "spec": spec})
    steps = {step.name: step.config.model_dump(mode="json") for step in resolve_steps(weekjob)}
    return RunFacts(weekjob.spec, steps, build_environment(**(environment or {})), **(locks or {}))


def build_environment(source="a", commit="c", lock="l", cpu="cpu", threads=2):
    return RunEnvironment(
        created_at="2026-01-02T03:04:05+00:00",
        command=[],
        code=CodeVersion(version="0", source_sha256=source, repository=Repository(commit=commit, is_dirty=False)),
        locks={"base": lock, "train": "t"},
        packages={},
        python="3.11",
        platform="linux",
        hardware=Hardware(cpu=cpu, physical_cores=2, logical_cores=2, memory_bytes=1),
        num_threads=threads,
    )


def build_model_lock(sha256, uri="builtin:smollm2-135m"):
    return ModelLock(uri=uri, num_parameters=1, tokenizer_sha256="t", chat_template_sha256="c", sha256=sha256, files=[])


def build_data_lock(**splits):
    return DataLock(
        uri="builtin:tickets",
        splits={name: SplitLock(sha256=sha256, num_rows=1, size_bytes=1) for name, sha256 in splits.items()},
    )


def name_factors(first, second):
    return [entry.name for entry in find_differences(first, second) if entry.kind == "factor"]


def name_context(first, second):
    return [entry.name for entry in find_differences(first, second) if entry.kind == "context"]


@pytest.mark.parametrize(
    ("change", "factors"),
    [
        ({}, []),
        ({"seed": 8}, ["seed"]),
        ({"model": {"uri": "hf://a/b"}}, ["model"]),
        ({"data": {"uri": "builtin:tickets?rows=200"}}, ["data"]),
        ({"set": {"sft.learning_rate": 0.5}}, ["sft.learning_rate"]),
        ({"set": {"sft.learning_rate": 0.5, "sft.lora_r": 4}}, ["sft.learning_rate", "sft.lora_r"]),
        ({"set": {"evaluate.seed": 9}}, ["evaluate.seed"]),
        ({"waive_leakage": ["near:train-test"]}, ["waive_leakage"]),
        ({"resources": {"workers": 2}}, ["sft.num_workers"]),
        ({"set": {"report.max_samples": 3}}, []),
        ({"environment": {"source": "b"}}, ["code"]),
        ({"environment": {"lock": "m"}}, ["environment.base"]),
        ({"environment": {"commit": "d"}}, []),
        ({"environment": {"cpu": "other", "threads": 4}}, []),
    ],
)
def test_factors(change, factors):
    differences = find_differences(build_facts(), build_facts(**change))
    assert [entry.name for entry in differences if entry.kind == "factor"] == factors
    assert count_factors(differences) == len(factors)


def test_a_repeated_difference_is_shown_with_both_values():
    (entry,) = find_differences(build_facts(), build_facts(seed=8))
    assert (entry.first, entry.second) == ("7", "8")


def test_profile_acts_through_options_and_is_context():
    first, second = build_facts(), build_facts(profile="full")
    assert name_context(first, second) == ["profile"]
    assert {"sft.max_steps", "sft.train_rows", "evaluate.limit"} <= set(name_factors(first, second))


def test_another_unit_is_one_factor_beside_the_options_of_shared_steps():
    first = build_facts()
    second = build_facts(unit="experiments", set={"evaluate.candidate": "run:stages/sft/artifacts/merged"})
    assert name_factors(first, second) == ["unit"]


def test_hashes_decide_where_both_runs_have_them():
    first = build_facts(locks={"model": build_model_lock("a"), "data": build_data_lock(train="1", test="2")})
    moved = build_facts(
        model={"uri": "file:///elsewhere"},
        locks={"model": build_model_lock("a", "file:///elsewhere"), "data": build_data_lock(train="1", test="2")},
    )
    assert name_factors(first, moved) == []
    assert name_context(first, moved) == ["model_uri"]
    changed = build_facts(locks={"model": build_model_lock("b"), "data": build_data_lock(train="9", test="8")})
    assert name_factors(first, changed) == ["data.test", "data.train", "model"]


def test_order_of_the_runs_does_not_change_what_differs():
    first, second = build_facts(seed=8), build_facts(set={"sft.method": "full"})
    assert name_factors(first, second) == name_factors(second, first) == ["seed", "sft.method"]


def test_another_split_is_one_factor_although_the_snapshot_is_told_of_it():
    first, second = build_facts(), build_facts(set={"evaluate.control_split": "control"})
    assert name_factors(first, second) == ["evaluate.control_split"]
