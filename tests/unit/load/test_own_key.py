"""The key that a step makes for its requests: it ends by itself where the step was killed."""

from __future__ import annotations

import time

import pytest

from manual_clock import ManualClock
from practicum_core.api_keys import KEY_FILE, KeyLimits, read_key_file
from practicum_core.stages.server_access import ServerAccessConfig
from practicum_gateway.errors import ApiError
from practicum_gateway.key_ring import KeyRing
from practicum_jobs.context import StageContext
from practicum_jobs.load import server
from practicum_jobs.load.server import hold_key


@pytest.fixture
def context(tmp_path):
    return StageContext(tmp_path / "serving" / "run", "loadtest", "loadtest")


def test_the_key_of_a_step_that_was_killed_ends_within_an_hour(context, tmp_path):
    clock = ManualClock()
    with hold_key(ServerAccessConfig(own_key=True), context, KeyLimits()) as secret:
        ring = KeyRing([tmp_path / KEY_FILE], clock)
        bearer = f"Bearer {secret}".encode()
        clock.now_s += 1800
        assert ring.authenticate(bearer).key.owner == "loadtest run"
        clock.now_s += 1801
        with pytest.raises(ApiError, match="has ended"):
            ring.authenticate(bearer)
    [key] = read_key_file(tmp_path / KEY_FILE).keys
    assert key.revoked_at is not None


def test_a_step_that_runs_extends_its_key(context, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "_EXTEND_S", 0.01)
    with hold_key(ServerAccessConfig(own_key=True), context, KeyLimits()):
        [made] = read_key_file(tmp_path / KEY_FILE).keys
        deadline_s = time.monotonic() + 60
        while read_key_file(tmp_path / KEY_FILE).keys[0].ends_at <= made.ends_at:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
    [key] = read_key_file(tmp_path / KEY_FILE).keys
    assert key.revoked_at is not None
