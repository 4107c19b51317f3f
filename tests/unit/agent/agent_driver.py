"""The agent with the stage program of the tests and with shorter waits; a process, so that a test can kill it.

Usage: python agent_driver.py [the agent's arguments]; see PRACTICUM_TEST_PROGRAM and PRACTICUM_TEST_WAITS below.
"""

from __future__ import annotations

import functools
import json
import os
import sys

from practicum_jobs.agent import __main__ as program
from practicum_jobs.agent import attempt
from practicum_jobs.agent.ingest import Ingest


def shorten(lock=None, final=None, grace=None, last=None):
    if lock is not None:
        attempt.LOCK_WAIT_S = lock
    if final is not None:
        Ingest.send_final = functools.partialmethod(Ingest.send_final, timeout_s=final)
    if grace is not None:
        attempt.STOP_GRACE_S = grace
    if last is not None:
        attempt._LAST_TRY_S = last


if __name__ == "__main__":
    attempt.PROGRAM = (os.environ["PRACTICUM_TEST_PROGRAM"],)
    shorten(**json.loads(os.environ["PRACTICUM_TEST_WAITS"]))
    sys.exit(program.main(sys.argv[1:]))
