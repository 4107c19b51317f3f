"""Decides how the tooling runs a program to its end: what it printed is returned, and what failed says why."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

_SHOWN = 4000


def run_program(command: Sequence[str | Path], given: str | None = None, cwd: Path | None = None) -> str:
    """Run a program and return what it printed.

    Args:
        command: The program and its arguments.
        given: Its standard input.
        cwd: Where it runs.

    Raises:
        RuntimeError: It failed; says what it printed as its errors.
    """
    words = [str(part) for part in command]
    answer = subprocess.run(words, check=False, capture_output=True, text=True, input=given, cwd=cwd)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {answer.returncode}: {answer.stderr.strip()[-_SHOWN:]}")
    return answer.stdout
