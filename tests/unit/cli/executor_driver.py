"""Executes a run directory with the stage program of the tests; a process of its own, so that a test can kill it."""

from __future__ import annotations

import sys
from pathlib import Path

from practicum_cli.conclusion import get_exit_code_of
from practicum_cli.console import JsonLines
from practicum_cli.executor import LocalExecutor, StageRuntime
from practicum_cli.runs import read_run
from practicum_core.errors import PracticumError
from practicum_core.layout import RunLayout
from practicum_runtime.stop_request import StopRequest

PROGRAM = (str(Path(__file__).with_name("stage_program.py")),)


def execute(path: Path, stop_grace_s: float = 20.0) -> int:
    stop = StopRequest()
    runtime = StageRuntime(find_python=lambda *_: Path(sys.executable), program=PROGRAM)
    with stop.installed():
        try:
            executor = LocalExecutor(
                RunLayout(path),
                read_run(path).weekjob,
                runtime=runtime,
                listener=JsonLines(),
                stop=stop,
                stop_grace_s=stop_grace_s,
            )
            return get_exit_code_of(executor.execute())
        except PracticumError as error:
            sys.stderr.write(f"error: {error.reason}: {error}\n")
            return error.exit_code


if __name__ == "__main__":
    sys.exit(execute(Path(sys.argv[1]), *map(float, sys.argv[2:])))
