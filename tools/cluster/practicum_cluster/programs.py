"""Running of programs: returns their output, or raises an error with what they printed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

_SHOWN = 4000


def run_program(command: Sequence[str | Path], given: str | None = None, cwd: Path | None = None) -> str:
    """Run a program and return its output.

    Args:
        command: The program and its arguments.
        given: Its standard input.
        cwd: Its working directory.

    Raises:
        RuntimeError: It failed; the message has its standard error.
    """
    words = [str(part) for part in command]
    answer = subprocess.run(words, check=False, capture_output=True, text=True, input=given, cwd=cwd)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {answer.returncode}: {answer.stderr.strip()[-_SHOWN:]}")
    return answer.stdout
