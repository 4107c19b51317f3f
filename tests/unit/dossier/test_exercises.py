"""Every planted bug: the searches name the known answer, and the worked solution closes the dossier."""

from __future__ import annotations

import html

import pytest

from practicum_core.dossier_files import PAGE_NAME, SearchVerdict, State, read_dossier
from practicum_core.stages.dossier import DossierConfig
from practicum_jobs.context import StageContext
from practicum_jobs.dossier import run
from practicum_jobs.dossier.exercises import list_exercises, read_exercise


def test_there_are_planted_bugs_of_every_kind():
    exercises = {name: read_exercise(name) for name in list_exercises()}
    assert {axis for one in exercises.values() for axis in one.answer} >= {"rows", "config", "edits"}
    assert any(set(one.axes) - set(one.answer) for one in exercises.values()), "no hypothesis is ever dropped"
    for one in exercises.values():
        assert set(one.answer) <= set(one.axes)


@pytest.mark.parametrize("name", list_exercises())
def test_a_planted_bug_is_named_and_closed(name, tmp_path):
    ctx = StageContext(tmp_path, "dossier", "dossier")
    record = run(DossierConfig(exercises=[name], repeats=2), ctx)
    folder = ctx.layout.artifacts / name
    dossier, exercise = read_dossier(folder), read_exercise(name)
    assert {axis: sorted(names) for axis, names in dossier.culprits.items()} == exercise.answer
    dropped = [one.axis for one in dossier.searches if one.verdict is SearchVerdict.NOT_HERE]
    assert dropped == [axis for axis in exercise.axes if axis not in exercise.answer]
    assert dossier.closing.problems == []
    assert (dossier.state, dossier.minimal.verdict) == (State.CLOSED, "reproduced")
    page = html.unescape((folder / PAGE_NAME).read_text())
    assert exercise.cause.en in page
    assert exercise.cause.zh in page
    figures = {metric.name: metric.value for metric in record.metrics}
    assert (figures["num_closed"], figures["causes_missed"], figures["not_green_after"]) == (1, 0, 0)
