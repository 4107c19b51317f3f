"""Runs the pod's step; with ``--stop``, asks the agent that runs beside it to stop and waits until it has.

A Ray head's container starts the agent deep below its own first process, which does not pass SIGTERM on: there the
pod's ``preStop`` hook calls ``--stop``, so that training writes its checkpoint before the container ends.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

from practicum_core.errors import PracticumError
from practicum_jobs.agent.attempt import run_pod
from practicum_jobs.agent.presence import announce, stop_agent


def main(argv: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog="practicum_jobs.agent", description="Run one step in a pod.")
    parser.add_argument("--stop", action="store_true", help="stop the agent of this container and wait for its end")
    parser.add_argument("--wait", type=float, default=280.0, help="seconds to wait for its end")
    options = parser.parse_args(argv)
    if options.stop:
        return 0 if stop_agent(options.wait) else 1
    logging.basicConfig(format="agent: %(message)s", level=logging.INFO)
    try:
        with announce():
            return run_pod(os.environ)
    except PracticumError as error:
        print(f"{error.reason}: {error}", file=sys.stderr, flush=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
