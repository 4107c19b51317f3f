"""What is executed, what counts as the same failure, and what stands against closing a dossier."""

from __future__ import annotations

import pytest

from practicum_core.dossier_files import (
    Axis,
    Closing,
    Dossier,
    Outcome,
    Repro,
    Reproduction,
    Search,
    SearchVerdict,
    State,
    Symptom,
    TestOutcome,
    Verdict,
)
from practicum_core.errors import DataError
from practicum_jobs.dossier.execution import CleanRoom, judge
from practicum_jobs.dossier.material import Edit, Material, build_tree, read_material
from practicum_jobs.dossier.regression import check_material, list_problems
from practicum_jobs.dossier.texts import NO_FIX

REPRODUCED = Reproduction(verdict=Verdict.REPRODUCED, num_runs=3, num_bad=3)
GONE = Reproduction(verdict=Verdict.NOT_REPRODUCED, num_runs=3, num_bad=0)
FLAKY = Reproduction(verdict=Verdict.FLAKY, num_runs=3, num_bad=1)
FOUND = Search(axis=Axis.ROWS, verdict=SearchVerdict.FOUND, culprits=["r1"], num_candidates=9, num_trials=9)
COIN = FOUND.model_copy(update={"axis": Axis.CONFIG, "verdict": SearchVerdict.FLAKY})
RED, GREEN = TestOutcome(failed=["t"], text="0 != 1"), TestOutcome(passed=["t"])
DOSSIER = Dossier(
    name="d",
    title_en="x",
    title_zh="y",
    source="exercise:x",
    created_at="",
    symptom=Symptom(reason="ValueError", text="loss nan at 3"),
    repro=Repro(timeout_s=20),
    reproduction=REPRODUCED,
    searches=[FOUND],
)
CLOSING = Closing(before=RED, after=GREEN, with_fix=GONE)


def _list(dossier=None, closing=None, *, has_fix=True):
    return list_problems(
        DOSSIER.model_copy(update=dossier or {}), CLOSING.model_copy(update=closing or {}), lambda: has_fix
    )


def test_a_dossier_with_everything_in_place_is_closed():
    assert _list() == []
    assert DOSSIER.state is State.LOCATED
    assert DOSSIER.model_copy(update={"closing": CLOSING}).state is State.CLOSED


@pytest.mark.parametrize(
    ("dossier", "closing", "words"),
    [
        ({"reproduction": None}, {}, "not executed yet"),
        ({"reproduction": FLAKY}, {}, "1 of 3 executions"),
        ({"reproduction": GONE}, {}, "0 of 3 executions"),
        ({"searches": []}, {}, "no cause was found"),
        ({"searches": [FOUND, COIN]}, {}, "was flaky"),
        ({}, {"before": TestOutcome()}, "no regression test"),
        ({}, {"before": GREEN}, "passes without the fix"),
        ({}, {"before": TestOutcome(broken=["t"], text="no module x")}, "cannot be run without the fix"),
        ({}, {"before": RED.model_copy(update={"is_stable": False})}, "differently from run to run without"),
        ({}, {"after": RED}, "fails with the fix"),
        ({}, {"after": TestOutcome(broken=["t"], text="skipped: x")}, "fails with the fix"),
        ({}, {"after": GREEN.model_copy(update={"is_stable": False})}, "differently from run to run with"),
        ({}, {"after": TestOutcome(passed=["u"])}, "did not run with it: t"),
        ({}, {"with_fix": REPRODUCED}, "still show the symptom"),
        ({}, {"with_fix": FLAKY}, "still show the symptom"),
        ({}, {"with_fix": GONE.model_copy(update={"seen": [Symptom(reason="KeyError", text="id")]})}, "something else"),
    ],
)
def test_each_gap_keeps_a_dossier_open(dossier, closing, words):
    problems = _list(dossier, closing)
    assert len(problems) == 1
    assert words in problems[0].en


def test_a_fix_that_changes_nothing_keeps_a_dossier_open():
    assert _list(has_fix=False) == [NO_FIX]


def test_a_closed_dossier_opens_when_its_repro_becomes_flaky():
    closed = DOSSIER.model_copy(update={"closing": CLOSING})
    assert closed.model_copy(update={"reproduction": FLAKY}).state is State.OPEN


def _write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_py", ".py")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("program", "outcome", "seen"),
    [
        ("raise ValueError('loss nan at 77')", Outcome.BAD, "loss nan at 77"),
        ("raise ValueError('shape')", Outcome.UNCLEAR, "shape"),
        ("raise KeyError('loss nan at 3')", Outcome.UNCLEAR, "'loss nan at 3'"),
        ("raise SystemExit(125)", Outcome.UNCLEAR, "exit code 125"),
        ("import time; time.sleep(60)", Outcome.UNCLEAR, "no end within 0.5 s"),
        ("import os; os.kill(os.getpid(), 9)", Outcome.UNCLEAR, "killed by SIGKILL"),
        ("print('fine')", Outcome.GOOD, None),
    ],
)
def test_an_execution_is_judged_by_how_it_fails(program, outcome, seen, tmp_path):
    material = read_material(_write(tmp_path / "repro", program_py=program))
    timeout_s = 0.5 if "sleep" in program else 20
    trial = judge(CleanRoom(tmp_path / "room"), Repro(timeout_s=timeout_s), material, DOSSIER.symptom)
    assert (trial.outcome, trial.seen.text if trial.seen else None) == (outcome, seen)


def test_an_execution_gets_its_rows_and_options_and_nothing_of_the_caller(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_SETTING", "leaks")
    program = (
        "import os, pathlib, yaml\n"
        "assert 'SECRET_SETTING' not in os.environ\n"
        "assert yaml.safe_load(pathlib.Path('config.yaml').read_text()) == {'a': 1}\n"
        "assert pathlib.Path('rows.jsonl').read_text() == '{\"id\": 2}\\n'\n"
        "assert os.environ['HOME'] == os.getcwd()\n"
    )
    folder = _write(tmp_path / "repro", program_py=program)
    (folder / "config.yaml").write_text("a: 1")
    (folder / "rows.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    material = read_material(folder).with_rows(["2"])
    room = CleanRoom(tmp_path / "room")
    assert judge(room, DOSSIER.repro, material, DOSSIER.symptom).outcome is Outcome.GOOD
    assert list((tmp_path / "room").iterdir()) == []


def test_a_change_to_the_platform_reaches_the_execution_and_not_the_platform(tmp_path):
    edit = Edit("plant", "practicum_core/split_names.py", "from __future__ import annotations", "PLANTED = 1")
    program = "import practicum_core.split_names as planted; assert planted.PLANTED == 1"
    material = Material(edits=[edit], files=read_material(_write(tmp_path / "repro", program_py=program)).files)
    assert judge(CleanRoom(tmp_path / "room"), DOSSIER.repro, material, DOSSIER.symptom).outcome is Outcome.GOOD
    with pytest.raises(DataError, match="occurs 0 times"):
        build_tree([Edit("plant", "practicum_core/split_names.py", "not there", "")], tmp_path / "tree")


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        ("assert loss.value() == 1", "passed"),
        ("self.assertEqual(loss.value(), 2)", "failed"),
        ("loss.missing()", "failed"),
        ("self.skipTest('later')", "broken"),
    ],
)
def test_a_regression_test_is_read_by_its_end(test, kind, tmp_path):
    folder = _write(tmp_path / "repro", loss_py="def value(): return 1")
    text = f"import unittest, loss\nclass T(unittest.TestCase):\n    def test_it(self):\n        {test}\n"
    tests = _write(tmp_path / "regression", test_it_py=text)
    outcome = check_material(CleanRoom(tmp_path / "room"), read_material(folder), tests, 20, 1)
    assert getattr(outcome, kind) == ["test_it.T.test_it"]
    assert outcome.is_stable


def test_a_regression_test_that_cannot_be_loaded_is_broken_and_not_red(tmp_path):
    tests = _write(tmp_path / "regression", test_it_py="import nothing_of_this_name")
    outcome = check_material(CleanRoom(tmp_path / "room"), Material(), tests, 20, 1)
    assert outcome.broken == ["unittest.loader._FailedTest.test_it"]
    assert outcome.failed == []


def test_a_regression_test_that_changes_its_mind_is_unstable(tmp_path):
    counter = tmp_path / "counter"
    text = (
        "import pathlib, unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n"
        f"        path = pathlib.Path({str(counter)!r})\n        seen = path.exists()\n        path.touch()\n"
        "        self.assertTrue(seen)\n"
    )
    tests = _write(tmp_path / "regression", test_it_py=text)
    assert not check_material(CleanRoom(tmp_path / "room"), Material(), tests, 20, 2).is_stable


def test_two_rows_of_one_id_are_refused(tmp_path):
    tmp_path.joinpath("rows.jsonl").write_text('{"id": 1}\n{"id": 1}\n')
    with pytest.raises(DataError, match="a second row '1'"):
        read_material(tmp_path)
