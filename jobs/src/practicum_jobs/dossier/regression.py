"""The regression test of a dossier, before and after the fix, and what stands against closing the dossier."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from practicum_core.dossier_files import Closing, Dossier, Reproduction, SearchVerdict, TestOutcome, Verdict
from practicum_jobs.dossier import unittest_program
from practicum_jobs.dossier.execution import CleanRoom, Ending
from practicum_jobs.dossier.material import Material


def check_material(room: CleanRoom, material: Material, tests: Path, timeout_s: float, repeats: int) -> TestOutcome:
    """Run the regression tests on a material, several times.

    Args:
        room: Where they run.
        material: With or without the fix.
        tests: Folder with ``test_*.py``, classes of :class:`unittest.TestCase`.
        timeout_s: For one run of all tests.
        repeats: How often.
    """
    files = {path.name: path for path in sorted(tests.glob(unittest_program.PATTERN))}
    with_tests = replace(material, files=dict(material.files) | files)
    program = ["-P", str(Path(unittest_program.__file__))]
    seen = [_read_outcome(room.execute(with_tests, program, timeout_s), timeout_s) for _ in range(repeats)]
    return seen[0].model_copy(update={"is_stable": all(_list_ends(one) == _list_ends(seen[0]) for one in seen)})


def _list_ends(outcome: TestOutcome) -> tuple[list[str], list[str], list[str]]:
    return outcome.passed, outcome.failed, outcome.broken


def _read_outcome(ending: Ending, timeout_s: float) -> TestOutcome:
    if ending.status is None:
        return TestOutcome(failed=["(all)"], text=f"no end within {timeout_s:g} s")
    lines = ending.stdout.strip().splitlines()
    try:
        return TestOutcome.model_validate(json.loads(lines[-1]))
    except (ValueError, IndexError):
        last = (ending.stderr.strip().splitlines() or [f"exit code {ending.status}"])[-1]
        return TestOutcome(broken=["(all)"], text=last[:300])


def list_problems(dossier: Dossier, closing: Closing, has_fix: Callable[[], bool]) -> list[str]:
    """List everything that stands against closing a dossier; nothing does if the list is empty. Pure.

    Args:
        dossier: With its reproduction and its searches.
        closing: What was measured with and without the fix.
        has_fix: Whether the fix changes anything.
    """
    found = [
        _check_reproduction(dossier.reproduction),
        *(f"the search over {one.axis} was flaky" for one in dossier.searches if one.verdict is SearchVerdict.FLAKY),
        "" if dossier.culprits else "no cause was found yet: `practicum dossier bisect`",
        "" if has_fix() else "the fix changes nothing: put what it changes into the folder fix/",
        _check_before(closing.before),
        _check_after(closing.before, closing.after),
        _check_with_fix(closing.with_fix),
    ]
    return [problem for problem in found if problem]


def _check_reproduction(seen: Reproduction | None) -> str:
    if seen is None:
        return "the repro was not executed yet: `practicum dossier run`"
    if seen.verdict is Verdict.REPRODUCED:
        return ""
    return f"{seen.num_bad} of {seen.num_runs} executions of the repro showed the symptom, not all of them"


def _check_before(before: TestOutcome | None) -> str:
    if before is None or not (before.passed or before.failed or before.broken):
        return "there is no regression test: put test_*.py with unittest.TestCase classes into the folder regression/"
    if before.broken:
        return f"the regression test cannot be run without the fix ({', '.join(before.broken)}: {before.text})"
    if not before.is_stable:
        return "the regression test ends differently from run to run without the fix"
    return "" if before.failed else "the regression test passes without the fix, so it does not test this failure"


def _check_after(before: TestOutcome | None, after: TestOutcome | None) -> str:
    if before is None or after is None:
        return ""
    if after.failed or after.broken:
        return f"the regression test fails with the fix ({', '.join([*after.failed, *after.broken])}: {after.text})"
    if not after.is_stable:
        return "the regression test ends differently from run to run with the fix"
    missing = sorted({*before.passed, *before.failed} - set(after.passed))
    return f"tests that ran without the fix did not run with it: {', '.join(missing)}" if missing else ""


def _check_with_fix(seen: Reproduction | None) -> str:
    if seen is None:
        return ""
    if seen.num_bad:
        return f"with the fix, {seen.num_bad} of {seen.num_runs} executions of the repro still show the symptom"
    if seen.seen:
        return f"with the fix, the repro fails with something else: {seen.seen[0].reason}: {seen.seen[0].text}"
    return "" if seen.verdict is Verdict.NOT_REPRODUCED else "with the fix, equal executions of the repro differ"
