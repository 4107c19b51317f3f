"""The search over commits: ``git bisect`` in a worktree of its own, with the repro as the judge of each commit.

A commit is bad if every execution shows the symptom, good if every one ends well, and skipped if something else fails.
Executions that disagree end the search: git would otherwise name a commit at random.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from practicum_core.dossier_files import Axis, Reproduction, Search, SearchVerdict, Verdict
from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_jobs.dossier.execution import Trial
from practicum_jobs.dossier.material import Material
from practicum_jobs.dossier.repetition import repeat

_FIRST_BAD = re.compile(r"^([0-9a-f]{40}) is the first bad commit", re.MULTILINE)
_TIMEOUT_S = 120
_MAX_COMMITS = 100_000


@dataclass(frozen=True)
class History:
    """A repository, and a good and a bad commit of it."""

    repository: Path
    good: str
    bad: str

    def resolve(self) -> History:
        """Return it with full ids: names such as HEAD mean another commit in a worktree.

        Raises:
            ConfigError: It is no repository, or has no such commit.
        """
        good, bad = (
            run_git(self.repository, "rev-parse", "--verify", f"{name}^{{commit}}").strip()
            for name in (self.good, self.bad)
        )
        return History(self.repository, good, bad)

    def list_commits(self) -> list[str]:
        """List the commits after the good one up to the bad one.

        Raises:
            ConfigError: The good commit is not before the bad one.
        """
        span = f"{self.good}..{self.bad}"
        found = run_git(self.repository, "rev-list", "--ancestry-path", f"--max-count={_MAX_COMMITS}", span).split()
        if not found:
            raise ConfigError(f"{self.good} is not before {self.bad}", "give an older commit as the good one")
        return found

    @contextlib.contextmanager
    def open_worktree(self) -> Iterator[Path]:
        """Check the bad commit out in a folder of its own; the repository's own files and branch stay as they are."""
        with tempfile.TemporaryDirectory(prefix="practicum-bisect-") as folder:
            worktree = Path(folder) / "worktree"
            run_git(self.repository, "worktree", "add", "--quiet", "--detach", str(worktree), self.bad)
            try:
                yield worktree
            finally:
                run_git(self.repository, "worktree", "remove", "--force", str(worktree))


class CommitSearch:
    """One search over commits.

    Args:
        history: Where to search.
        material: The repro, whose code comes from the commit.
        execute: Executes a material once.
        note: Told of each execution: which commit, and what it showed.
        repeats: Executions of each commit.
    """

    def __init__(
        self,
        history: History,
        material: Material,
        execute: Callable[[Material], Trial],
        note: Callable[[Sequence[str], Trial], None],
        repeats: int,
    ) -> None:
        self._history = history
        self._material = material
        self._execute = execute
        self._note = note
        self._repeats = repeats
        self._num_trials = 0

    def run(self) -> Search:
        """Search, and say what was found.

        Raises:
            ConfigError: The repository or a commit of it does not exist.
        """
        history = self._history.resolve()
        commits = history.list_commits()
        with history.open_worktree() as worktree:
            verdict, culprits, detail = self._search(history, worktree)
        return Search(
            axis=Axis.COMMITS,
            verdict=verdict,
            culprits=culprits,
            num_candidates=len(commits),
            num_trials=self._num_trials,
            detail=detail,
        )

    def _search(self, history: History, worktree: Path) -> tuple[SearchVerdict, list[str], str]:
        for name, expected in ((history.bad, Verdict.REPRODUCED), (history.good, Verdict.NOT_REPRODUCED)):
            run_git(worktree, "checkout", "--quiet", "--detach", name)
            seen = self._judge(worktree)
            if seen.verdict is Verdict.FLAKY:
                return SearchVerdict.FLAKY, [], describe(name[:12], seen)
            if seen.verdict is not expected or seen.seen:
                verdict = SearchVerdict.NOT_HERE if seen.num_bad else SearchVerdict.UNCLEAR
                return verdict, [], describe(name[:12], seen)
        output = run_git(worktree, "bisect", "start", history.bad, history.good)
        while not (found := _FIRST_BAD.search(output)):
            commit = run_git(worktree, "rev-parse", "HEAD").strip()
            seen = self._judge(worktree)
            if seen.verdict is Verdict.FLAKY:
                return SearchVerdict.FLAKY, [], describe(commit[:12], seen)
            word = "bad" if seen.num_bad else "skip" if seen.seen else "good"
            output = run_git(worktree, "bisect", word, may_fail=True)
            if "only 'skip'ped commits left" in output:
                return SearchVerdict.UNCLEAR, [], "only commits are left that fail with something else"
        subject = run_git(worktree, "show", "--no-patch", "--format=%h %s", found[1]).strip()
        return SearchVerdict.FOUND, [subject], ""

    def _judge(self, worktree: Path) -> Reproduction:
        commit = run_git(worktree, "rev-parse", "--short=12", "HEAD").strip()
        material = take_code(self._material, worktree)

        def execute() -> Trial:
            trial = self._execute(material)
            self._num_trials += 1
            self._note([commit], trial)
            return trial

        return repeat(execute, self._repeats)


def take_code(material: Material, worktree: Path) -> Material:
    """Take code from a worktree: files of the repro by their names, packages from its root and its ``src`` folders."""
    files = {name: worktree / name if (worktree / name).is_file() else path for name, path in material.files.items()}
    sources = [*worktree.glob("src"), *sorted(worktree.glob("*/src")), *sorted(worktree.glob("*/*/src"))]
    return replace(material, files=files, sources=(*sources, worktree))


def describe(commit: str, seen: Reproduction) -> str:
    """Say what the executions of a commit showed."""
    others = f"; also {seen.seen[0].reason}: {seen.seen[0].text}" if seen.seen else ""
    return f"{commit}: {seen.num_bad} of {seen.num_runs} executions showed the symptom{others}"


def run_git(folder: Path, *arguments: str, may_fail: bool = False) -> str:
    """Run git in a folder and return what it printed.

    Raises:
        ConfigError: It failed.
        PlatformError: It is not installed.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except OSError as error:
        raise PlatformError(
            Reason.ENVIRONMENT_MISSING, "the program 'git' is not installed", "install git, or search another axis"
        ) from error
    if ended.returncode and not may_fail:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigError(f"git {' '.join(arguments[:2])} in {folder}: {last}", "name a repository and commits of it")
    return ended.stdout + ended.stderr
