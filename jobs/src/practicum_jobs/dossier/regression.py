"""The regression test of a dossier, before and after the fix, and what stands against closing the dossier."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from practicum_core.dossier_files import Closing, Dossier, Reproduction, SearchVerdict, TestOutcome, Verdict
from practicum_core.texts import Bilingual
from practicum_jobs.dossier import texts, unittest_program
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


def list_problems(dossier: Dossier, closing: Closing, has_fix: Callable[[], bool]) -> list[Bilingual]:
    """List everything that stands against closing a dossier; nothing does if the list is empty. Pure.

    Args:
        dossier: With its reproduction and its searches.
        closing: What was measured with and without the fix.
        has_fix: Whether the fix changes anything.
    """
    found = [
        _check_reproduction(dossier.reproduction),
        *(texts.SEARCH_FLAKY.format(axis=one.axis) for one in dossier.searches if one.verdict is SearchVerdict.FLAKY),
        None if dossier.culprits else texts.NO_CAUSE,
        None if has_fix() else texts.NO_FIX,
        _check_before(closing.before),
        _check_after(closing.before, closing.after),
        _check_with_fix(closing.with_fix),
    ]
    return [problem for problem in found if problem is not None]


def _check_reproduction(seen: Reproduction | None) -> Bilingual | None:
    if seen is None:
        return texts.NOT_EXECUTED
    if seen.verdict is Verdict.REPRODUCED:
        return None
    return texts.NOT_ALWAYS.format(bad=seen.num_bad, runs=seen.num_runs)


def _check_before(before: TestOutcome | None) -> Bilingual | None:
    if before is None or not (before.passed or before.failed or before.broken):
        return texts.NO_TEST
    if before.broken:
        return texts.TEST_BROKEN.format(tests=", ".join(before.broken), text=before.text)
    if not before.is_stable:
        return texts.FLAKY_BEFORE
    return None if before.failed else texts.GREEN_BEFORE


def _check_after(before: TestOutcome | None, after: TestOutcome | None) -> Bilingual | None:
    if before is None or after is None:
        return None
    if after.failed or after.broken:
        return texts.RED_AFTER.format(tests=", ".join([*after.failed, *after.broken]), text=after.text)
    if not after.is_stable:
        return texts.FLAKY_AFTER
    missing = sorted({*before.passed, *before.failed} - set(after.passed))
    return texts.TESTS_GONE.format(tests=", ".join(missing)) if missing else None


def _check_with_fix(seen: Reproduction | None) -> Bilingual | None:
    if seen is None:
        return None
    if seen.num_bad:
        return texts.STILL_FAILS.format(bad=seen.num_bad, runs=seen.num_runs)
    if seen.seen:
        return texts.FAILS_OTHERWISE.format(reason=seen.seen[0].reason, text=seen.seen[0].text)
    return None if seen.verdict is Verdict.NOT_REPRODUCED else texts.FLAKY_WITH_FIX
