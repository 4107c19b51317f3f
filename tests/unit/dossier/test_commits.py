"""The search over commits, on a repository that the test makes."""

from __future__ import annotations

import pytest

from practicum_core.dossier_files import Outcome, Repro, SearchVerdict, Symptom
from practicum_core.errors import ConfigError
from practicum_jobs.dossier.commits import CommitSearch, History, run_git
from practicum_jobs.dossier.execution import CleanRoom, Trial, judge
from practicum_jobs.dossier.material import read_material

SYMPTOM = Symptom(reason="AssertionError", text="leak")
PROGRAM = "import loader\nif loader.LEAKS: raise AssertionError('leak')\n"
FINE, LEAKS, BROKEN = "LEAKS = False", "LEAKS = True", "import nothing_of_this_name"
COMMITS = [FINE, FINE, FINE, FINE, LEAKS, LEAKS, LEAKS, LEAKS]


@pytest.fixture
def make_history(tmp_path):
    def make(contents):
        repository = tmp_path / "repository"
        repository.mkdir()
        run_git(repository, "init", "--quiet")
        settings = ["-c", "user.name=student-01", "-c", "user.email=student-01@example.org"]
        for number, content in enumerate(contents):
            (repository / "loader.py").write_text(f"{content}  # {number}\n")
            run_git(repository, "add", "-A")
            run_git(repository, *settings, "commit", "--quiet", "-m", f"change {number}")
        return History(repository, f"HEAD~{len(contents) - 1}", "HEAD")

    return make


def search(history, tmp_path, execute=None, repeats=2):
    folder = tmp_path / "repro"
    folder.mkdir(exist_ok=True)
    (folder / "program.py").write_text(PROGRAM)
    (folder / "loader.py").write_text(LEAKS)
    room = CleanRoom(tmp_path / "room")
    real = lambda material: judge(room, Repro(), material, SYMPTOM)  # noqa: E731 - the usual judge
    return CommitSearch(history, read_material(folder), execute or real, lambda *_: None, repeats).run()


def test_the_first_bad_commit_is_named_and_the_repository_is_left_alone(make_history, tmp_path):
    history = make_history(COMMITS)
    branch = run_git(history.repository, "symbolic-ref", "HEAD")
    found = search(history, tmp_path)
    assert found.verdict is SearchVerdict.FOUND
    assert [one.partition(" ")[2] for one in found.culprits] == ["change 4"]
    assert found.num_candidates == 7
    assert run_git(history.repository, "symbolic-ref", "HEAD") == branch
    assert run_git(history.repository, "status", "--porcelain") == ""
    assert len(run_git(history.repository, "worktree", "list").splitlines()) == 1


def test_commits_that_fail_with_something_else_are_skipped(make_history, tmp_path):
    found = search(make_history([FINE, FINE, FINE, BROKEN, FINE, LEAKS, LEAKS, LEAKS]), tmp_path)
    assert [one.partition(" ")[2] for one in found.culprits] == ["change 5"]


def test_nothing_is_named_where_only_skipped_commits_are_left(make_history, tmp_path):
    found = search(make_history([FINE, BROKEN, BROKEN, LEAKS]), tmp_path)
    assert (found.verdict, found.culprits) == (SearchVerdict.UNCLEAR, [])


@pytest.mark.parametrize(
    ("contents", "verdict"),
    [([LEAKS, FINE, LEAKS], SearchVerdict.NOT_HERE), ([FINE, FINE, FINE], SearchVerdict.UNCLEAR)],
    ids=["the good commit fails too", "the bad commit ends well"],
)
def test_commits_that_are_not_what_was_said_are_not_searched(contents, verdict, make_history, tmp_path):
    found = search(make_history(contents), tmp_path)
    assert (found.verdict, found.culprits) == (verdict, [])


def test_a_commit_that_changes_its_mind_ends_the_search(make_history, tmp_path):
    turns = iter([Outcome.BAD, Outcome.BAD, Outcome.GOOD, Outcome.GOOD, Outcome.BAD, Outcome.GOOD])
    found = search(make_history(COMMITS), tmp_path, lambda _: Trial(next(turns), None, 0.0))
    assert (found.verdict, found.culprits) == (SearchVerdict.FLAKY, [])
    assert "1 of 2 executions" in found.detail


def test_what_is_no_history_is_refused(make_history, tmp_path):
    history = make_history(COMMITS)
    for wrong in (
        History(tmp_path, "HEAD~1", "HEAD"),
        History(history.repository, "no-such-tag", "HEAD"),
        History(history.repository, "HEAD", "HEAD~2"),
    ):
        with pytest.raises(ConfigError):
            search(wrong, tmp_path)
