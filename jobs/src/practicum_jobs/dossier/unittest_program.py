"""A program that runs the unit tests of its folder and prints the outcome of each as one line of JSON.

It is run as a file, in the clean environment of a repro, and imports nothing but the standard library.
"""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any

PATTERN = "test_*.py"


class Outcomes(unittest.TestResult):
    """Collects the ids of tests by how they ended; a test that could not be loaded, or was skipped, is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {"passed": [], "failed": [], "broken": []}
        self.text = ""

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        """Note a test that passed."""
        self.found["passed"].append(test.id())

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802, ANN401 - unittest's signature
        """Note a check that did not hold."""
        self._note("failed", test, err)

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802, ANN401 - unittest's signature
        """Note a test that raised: broken where it could not be loaded, failed where the tested code raised."""
        self._note("broken" if type(test).__name__ == "_FailedTest" else "failed", test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802 - unittest's name
        """Note a test that was skipped."""
        self.found["broken"].append(test.id())
        self.text = self.text or f"skipped: {reason}"

    def _note(self, kind: str, test: unittest.TestCase, err: Any) -> None:  # noqa: ANN401 - unittest's signature
        self.found[kind].append(test.id())
        lines = str(err[1]).strip().splitlines() or [type(err[1]).__name__]
        self.text = self.text or lines[-1 if kind == "broken" else 0]


def main() -> None:
    """Run the tests of the working directory."""
    folder = Path.cwd()
    sys.path.insert(0, str(folder))
    outcomes = Outcomes()
    unittest.defaultTestLoader.discover(str(folder), pattern=PATTERN).run(outcomes)
    print(json.dumps({**outcomes.found, "text": outcomes.text}))  # noqa: T201 - what a program answers with


if __name__ == "__main__":
    main()
