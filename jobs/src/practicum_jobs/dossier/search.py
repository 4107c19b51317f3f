"""The search for a cause along one axis: confirm the failure, narrow it down, and prove what was found.

A culprit counts as found if the case fails each time with it, and ends well each time with everything but it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from practicum_core.dossier_files import Axis, Outcome, Reproduction, Search, SearchVerdict, Verdict
from practicum_jobs.dossier.delta import minimize
from practicum_jobs.dossier.execution import Trial
from practicum_jobs.dossier.material import Material
from practicum_jobs.dossier.repetition import repeat

_MAX_GROUPS = 4
"""Sets of culprits that each fail on their own, at most."""


@dataclass(frozen=True)
class Space:
    """What is searched: candidates, and the material that holds some of them.

    Attributes:
        axis: What the candidates are.
        candidates: Their names, in order.
        choose: The material with these candidates and without the others.
        has_baseline: Whether the material without any candidate is known to end well.
    """

    axis: Axis
    candidates: Sequence[str]
    choose: Callable[[Sequence[str]], Material]
    has_baseline: bool


def build_row_space(material: Material) -> Space:
    """Return the rows of a material as candidates."""
    return Space(Axis.ROWS, list(material.rows), material.with_rows, has_baseline=False)


def build_config_space(material: Material, good: Mapping[str, Any]) -> Space:
    """Return the options in which a material differs from a configuration that is known to be good, as candidates."""
    keys = [key for key in {**material.config, **good} if material.config.get(key) != good.get(key)]
    return Space(Axis.CONFIG, keys, lambda chosen: material.with_options(good, chosen), has_baseline=True)


def build_edit_space(material: Material) -> Space:
    """Return the changes to code as candidates; the code without any of them is known to be good."""
    return Space(Axis.EDITS, [edit.name for edit in material.edits], material.with_edits, has_baseline=True)


def build_package_space(material: Material, good: Mapping[str, str]) -> Space:
    """Return the packages in whose versions a material differs from versions that are known to be good."""
    names = sorted(name for name in {**material.pins, **good} if material.pins.get(name) != good.get(name))

    def choose(chosen: Sequence[str]) -> Material:
        own = {name: material.pins[name] for name in chosen if name in material.pins}
        others = {name: version for name, version in good.items() if name not in chosen}
        shared = {name: version for name, version in material.pins.items() if name not in names}
        return replace(material, pins={**shared, **others, **own})

    return Space(Axis.PACKAGES, names, choose, has_baseline=True)


class Investigation:
    """One search.

    Args:
        space: What is searched.
        execute: Executes a material once.
        note: Told of each execution: which candidates, and what it showed.
        repeats: Executions of each case that a conclusion stands on.
    """

    def __init__(
        self,
        space: Space,
        execute: Callable[[Material], Trial],
        note: Callable[[Sequence[str], Trial], None],
        repeats: int,
    ) -> None:
        self._space = space
        self._execute = execute
        self._note = note
        self._repeats = repeats
        self._num_trials = 0

    def run(self) -> Search:
        """Search, and say what was found."""
        if not self._space.candidates:
            return self._conclude(SearchVerdict.NOT_HERE, detail="there is nothing on this axis to choose from")
        whole = self._repeat(self._space.candidates)
        if whole.verdict is not Verdict.REPRODUCED:
            return self._conclude_unconfirmed(whole)
        return self._find_obstacle() or self._narrow()

    def _find_obstacle(self) -> Search | None:
        """Look whether it fails without any candidate, or with any: then there is nothing to narrow down."""
        if not self._space.has_baseline:
            if self._fails_whatever_is_chosen():
                return self._conclude(SearchVerdict.NOT_HERE, detail="it fails whichever candidate is given")
            return None
        baseline = self._repeat([])
        if baseline.verdict is Verdict.FLAKY:
            return self._conclude(SearchVerdict.FLAKY, detail=_describe(baseline))
        if baseline.num_bad:
            return self._conclude(SearchVerdict.NOT_HERE, detail="it fails with what was known to be good, too")
        if baseline.seen:
            return self._conclude(SearchVerdict.UNCLEAR, detail=f"what was known to be good: {baseline.seen[0].text}")
        return None

    def _narrow(self) -> Search:
        left, culprits = list(self._space.candidates), []
        for _ in range(_MAX_GROUPS):
            group = minimize(left, lambda some: self._try(some).outcome)
            culprits += group
            left = [one for one in left if one not in set(group)]
            if not left or self._try(left).outcome is not Outcome.BAD:
                break
        return self._prove(culprits, left)

    def _prove(self, culprits: list[str], rest: list[str]) -> Search:
        with_them = self._repeat(culprits)
        if with_them.verdict is not Verdict.REPRODUCED:
            return self._conclude_unconfirmed(with_them)
        if not rest and not self._space.has_baseline:
            return self._conclude(SearchVerdict.NOT_HERE, detail="no smaller part of it fails")
        without = self._repeat(rest)
        if without.verdict is Verdict.FLAKY:
            return self._conclude(SearchVerdict.FLAKY, detail=_describe(without))
        if without.num_bad:
            return self._conclude(SearchVerdict.NOT_HERE, detail="it fails without each of the culprits, too")
        if without.seen:
            seen = without.seen[0]
            return self._conclude(SearchVerdict.UNCLEAR, culprits, f"without them: {seen.reason}: {seen.text}")
        return self._conclude(SearchVerdict.FOUND, culprits)

    def _fails_whatever_is_chosen(self) -> bool:
        candidates = self._space.candidates
        some = {candidates[0], candidates[len(candidates) // 2], candidates[-1]}
        return len(some) > 1 and all(self._try([one]).outcome is Outcome.BAD for one in sorted(some))

    def _try(self, chosen: Sequence[str]) -> Trial:
        trial = self._execute(self._space.choose(chosen))
        self._num_trials += 1
        self._note(chosen, trial)
        return trial

    def _repeat(self, chosen: Sequence[str]) -> Reproduction:
        return repeat(lambda: self._try(chosen), self._repeats)

    def _conclude_unconfirmed(self, seen: Reproduction) -> Search:
        verdict = SearchVerdict.FLAKY if seen.verdict is Verdict.FLAKY else SearchVerdict.UNCLEAR
        return self._conclude(verdict, detail=_describe(seen))

    def _conclude(self, verdict: SearchVerdict, culprits: Sequence[str] = (), detail: str = "") -> Search:
        return Search(
            axis=self._space.axis,
            verdict=verdict,
            culprits=list(culprits),
            num_candidates=len(self._space.candidates),
            num_trials=self._num_trials,
            detail=detail,
        )


def _describe(seen: Reproduction) -> str:
    return f"{seen.num_bad} of {seen.num_runs} equal executions showed the symptom"
