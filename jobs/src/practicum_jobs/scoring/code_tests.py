"""Whether code in an answer passes its tests, in a process of its own with limits of time, memory and files.

The limits contain a mistake: an endless loop, a full memory, a large file. They do not contain an attack, because the
process has the network and the rights of its user. Such rows are for a container or a machine of their own.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from practicum_core.scorers import UnitTestScorer
from practicum_jobs.scoring.answers import Score

MAX_FILE_BYTES = 16 * 2**20
_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
_NUM_TOKEN_BYTES = 16
_PROGRAM = """
import resource, sys
cpu_s, memory_bytes, file_bytes = map(int, sys.argv[1:4])
for limit, value in (
    (resource.RLIMIT_CPU, cpu_s),
    (resource.RLIMIT_AS, memory_bytes),
    (resource.RLIMIT_FSIZE, file_bytes),
    (resource.RLIMIT_CORE, 0),
):
    resource.setrlimit(limit, (value, value))
token = sys.stdin.read()
with open(sys.argv[4], encoding="utf-8") as handle:
    code = compile(handle.read(), "answer.py", "exec")
exec(code, {"__name__": "__main__"})
print("\\n" + token)
"""


def score_code(scorer: UnitTestScorer, answer: str) -> Score:
    """Run the code of an answer, then its tests; what neither raises nor ends early has passed."""
    if not answer.strip():
        return Score(is_exact=False, failure="empty")
    failure = _run(f"{extract_code(answer)}\n\n{scorer.tests}\n", scorer)
    return Score(is_exact=not failure, is_mentioned=not failure, failure=failure)


def extract_code(answer: str) -> str:
    r"""Return the first fenced block of an answer, or all of it.

    >>> extract_code("Sure:\n```python\nx = 1\n```\nDone."), extract_code("x = 2")
    ('x = 1', 'x = 2')
    """
    found = _FENCE.search(answer)
    return found[1] if found else answer


def _run(source: str, scorer: UnitTestScorer) -> str:
    """Return the kind of failure; empty where the tests passed.

    The process is told a random token and prints it after the tests as its last line. Code that ends the process early
    has not passed, whatever it prints; code that looks for the token in the frames of the process is an attack.
    """
    token = secrets.token_hex(_NUM_TOKEN_BYTES)
    with tempfile.TemporaryDirectory(prefix="practicum-tests-") as folder:
        file, printed = Path(folder) / "answer.py", Path(folder) / "output.txt"
        file.write_text(source, encoding="utf-8", errors="replace")
        limits = [int(scorer.timeout_s) + 1, scorer.memory_mib * 2**20, MAX_FILE_BYTES]
        with printed.open("wb") as handle:
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _PROGRAM, *map(str, limits), str(file)],
                cwd=folder,
                env={"HOME": folder, "TMPDIR": folder, "PATH": os.defpath, "LANG": "C.UTF-8"},
                stdin=subprocess.PIPE,
                stdout=handle,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                process.communicate(token.encode(), timeout=scorer.timeout_s)
            except subprocess.TimeoutExpired:
                return "tests_timeout"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        is_passed = process.returncode == 0 and printed.read_bytes().rstrip().endswith(token.encode())
    return "" if is_passed else "tests_failed"
