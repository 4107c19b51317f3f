"""Gates over figures that only some data allow."""

import pytest

from practicum_core.gates import check_gates
from practicum_core.metrics import StageMetric
from practicum_core.units.data import DATA
from practicum_core.units.evaluate import EVALUATE
from practicum_core.units.evaluate_and_iterate import EVALUATE_AND_ITERATE
from practicum_core.units.iterate import ITERATION_GATES


def measure(**values):
    return [StageMetric(stage="audit", name=name, value=value) for name, value in values.items()]


def test_recall_is_not_asked_of_data_that_name_no_flaws():
    results = check_gates(DATA.gates, measure(num_rows=10, clean_copy_failures=0))
    assert [gate.name for gate in results] == ["rows_read", "clean_copy"]
    assert all(gate.passed for gate in results)


def test_recall_is_held_against_its_threshold_where_it_was_measured():
    figures = measure(num_rows=10, clean_copy_failures=0, min_recall=0.94, min_precision=1.0)
    results = {gate.name: gate.passed for gate in check_gates(DATA.gates, figures)}
    assert results == {"rows_read": True, "recall": False, "precision": True, "clean_copy": True}


def test_a_gate_that_is_not_optional_still_fails_without_a_figure():
    results = {gate.name: gate.passed for gate in check_gates(DATA.gates, measure(num_rows=10))}
    assert results["clean_copy"] is False


def test_a_week_that_evaluates_and_iterates_keeps_every_gate_of_both():
    names = {gate.name for gate in EVALUATE_AND_ITERATE.gates}
    assert names == {gate.name for gate in (*EVALUATE.gates, *ITERATION_GATES)}


@pytest.mark.parametrize("gate", EVALUATE_AND_ITERATE.gates, ids=lambda gate: gate.name)
def test_a_gate_that_too_few_items_pass_says_so_in_both_languages(gate):
    is_said = ("too few items pass" in gate.title_en, "样本不足时也会通过" in gate.title_zh)
    assert is_said == (gate.metric.endswith("regressed"),) * 2
