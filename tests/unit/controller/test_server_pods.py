"""What is told of a server that dies: how often, and the end of what it said."""

from __future__ import annotations

import pytest

from practicum_controller.backends.backend import Sight, Standing
from practicum_controller.backends.server_pods import read_server_state

SAID = "loading\nPreflightFailed: it needs 3.8 GiB; 1.9 GiB are free\n  fix: lower serve.kv_cache_gib\n"
WORDS = "PreflightFailed: it needs 3.8 GiB; 1.9 GiB are free fix: lower serve.kv_cache_gib"
CRASH_LOOP = {"waiting": {"reason": "CrashLoopBackOff"}}
RUNNING = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}


def look(state, restarts, **ended):
    status = {"name": "stage", "state": state, "restartCount": restarts}
    if ended:
        status["lastState"] = {"terminated": {"finishedAt": "2026-01-02T03:04:00Z", **ended}}
    phase = "Running" if "running" in state else "Pending"
    pod = {"metadata": {"name": "serve-0"}, "status": {"phase": phase, "containerStatuses": [status]}}
    return read_server_state(Sight({}, [pod], None, []))


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"reason": "Error", "exitCode": 3, "message": SAID}, WORDS),
        ({"reason": "OOMKilled", "exitCode": 137}, "OOMKilled, exit code 137"),
        ({"reason": "Error", "exitCode": 1, "message": "x" * 5000}, "x" * 300),
    ],
)
def test_a_server_that_died_says_why(ended, words):
    state = look(CRASH_LOOP, 2, **ended)
    assert (state.standing, state.restarts) == (Standing.STARTING, 2)
    assert state.message == f"died 2 times and starts again; before it died it said: {words}"
    again = look(RUNNING, 2, **ended)
    assert (again.standing, again.message) == (
        Standing.RUNNING,
        f"runs and is not ready yet; before it died it said: {words}",
    )


def test_a_server_that_never_died_says_nothing():
    assert look(RUNNING, 0).message == "runs and is not ready yet"
