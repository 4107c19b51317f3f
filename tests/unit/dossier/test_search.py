"""Delta debugging and the conclusions of a search, on executions that are functions."""

from __future__ import annotations

import itertools
import random

import pytest

from practicum_core.dossier_files import Axis, Outcome, SearchVerdict, Symptom
from practicum_jobs.dossier.delta import minimize
from practicum_jobs.dossier.execution import Trial
from practicum_jobs.dossier.material import Material
from practicum_jobs.dossier.search import Investigation, build_config_space, build_row_space

ROWS = {f"r{number}": "{}" for number in range(40)}
GOOD, BAD = Trial(Outcome.GOOD, None, 0.0), Trial(Outcome.BAD, None, 0.0)
OTHER = Trial(Outcome.UNCLEAR, Symptom(reason="KeyError", text="id"), 0.0)


def search_rows(execute, repeats=3):
    log = []
    space = build_row_space(Material(rows=ROWS))
    return Investigation(space, execute, lambda chosen, trial: log.append(chosen), repeats).run(), log


def test_every_pair_and_every_single_culprit_is_found_among_sixteen():
    names = [f"r{number}" for number in range(16)]
    for culprits in (set(some) for size in (1, 2) for some in itertools.combinations(names, size)):
        asked = []

        def fails(some, culprits=culprits, asked=asked):
            asked.append(tuple(some))
            return Outcome.BAD if culprits <= set(some) else Outcome.GOOD

        assert set(minimize(names, fails)) == culprits
        assert len(asked) == len(set(asked)), "a subset was executed twice"


def test_one_culprit_costs_two_tests_for_each_halving():
    asked = []
    names = [f"r{number}" for number in range(1024)]
    minimize(names, lambda some: asked.append(1) or (Outcome.BAD if "r700" in some else Outcome.GOOD))
    assert len(asked) <= 20


def test_a_row_that_alone_fails_is_found_and_proved_without_it():
    found, log = search_rows(lambda material: BAD if "r17" in material.rows else GOOD)
    assert (found.verdict, found.culprits) == (SearchVerdict.FOUND, ["r17"])
    assert found.num_trials == len(log)
    assert log[-3:] == [[name for name in ROWS if name != "r17"]] * 3


def test_several_rows_that_each_fail_are_all_named():
    found, _ = search_rows(lambda material: BAD if {"r3", "r30"} & set(material.rows) else GOOD)
    assert (found.verdict, sorted(found.culprits)) == (SearchVerdict.FOUND, ["r3", "r30"])


def test_no_row_is_blamed_where_any_row_fails():
    found, _ = search_rows(lambda material: BAD if material.rows else GOOD)
    assert (found.verdict, found.culprits) == (SearchVerdict.NOT_HERE, [])


def test_no_row_is_blamed_where_more_rows_fail_than_a_search_names():
    found, _ = search_rows(lambda material: BAD if set(material.rows) - {"r0", "r20", "r39"} else GOOD)
    assert found.verdict is SearchVerdict.NOT_HERE


def test_a_coin_is_called_flaky_and_names_nothing():
    generator = random.Random(5)
    for _ in range(200):
        found, _ = search_rows(lambda material: BAD if generator.random() < 0.5 else GOOD, repeats=5)
        assert found.verdict is not SearchVerdict.FOUND
        assert found.culprits == [] or found.verdict is SearchVerdict.UNCLEAR


def test_a_test_that_is_flaky_only_without_the_culprit_is_found_out():
    turns = itertools.cycle([GOOD, GOOD, BAD])
    found, _ = search_rows(lambda material: BAD if "r17" in material.rows else next(turns))
    assert found.verdict is not SearchVerdict.FOUND


def test_another_failure_without_the_culprit_is_no_proof():
    found, _ = search_rows(lambda material: BAD if "r17" in material.rows else OTHER)
    assert found.verdict is SearchVerdict.UNCLEAR
    assert "KeyError: id" in found.detail


@pytest.mark.parametrize("trial", [GOOD, OTHER])
def test_what_does_not_fail_is_not_searched(trial):
    found, log = search_rows(lambda _: trial)
    assert found.verdict is SearchVerdict.UNCLEAR
    assert "0 of 3" in found.detail
    assert len(log) == 3


def search_config(execute, bad, good):
    space = build_config_space(Material(config=bad), good)
    return Investigation(space, execute, lambda *_: None, 2).run()


def test_the_option_that_makes_the_difference_is_named():
    bad, good = {"a": 1, "b": 2, "c": 3, "d": 4}, {"a": 9, "b": 9, "c": 9, "e": 5}
    found = search_config(lambda material: BAD if material.config.get("c") == 3 else GOOD, bad, good)
    assert (found.axis, found.verdict, found.culprits) == (Axis.CONFIG, SearchVerdict.FOUND, ["c"])
    assert found.num_candidates == 5


def test_an_option_whose_absence_fails_is_named():
    found = search_config(lambda material: GOOD if "e" in material.config else BAD, {"a": 1}, {"a": 2, "e": 5})
    assert (found.verdict, found.culprits) == (SearchVerdict.FOUND, ["e"])


def test_options_are_not_blamed_where_the_good_ones_fail_too():
    found = search_config(lambda _: BAD, {"a": 1}, {"a": 2})
    assert found.verdict is SearchVerdict.NOT_HERE
    assert search_config(lambda _: BAD, {"a": 1}, {"a": 1}).verdict is SearchVerdict.NOT_HERE
