"""Which keys are valid where a gateway reads two files: those of people, and those that steps of its run made."""

from __future__ import annotations

import pytest

from manual_clock import ManualClock
from practicum_core.api_keys import KEY_FILE, KEYS_VARIABLE, KeyLimits, change_key_file, make_key
from practicum_core.stages.gateway import GatewayConfig
from practicum_gateway.errors import ApiError
from practicum_gateway.key_ring import KeyRing
from practicum_gateway.stage import list_key_files

NOW = "2026-01-02T03:04:05+00:00"


def add_key(path, owner):
    secret, key = make_key(owner, KeyLimits(), NOW)
    change_key_file(path, lambda file: file.add(key))
    return f"Bearer {secret}".encode(), key.id


def test_a_pods_gateway_takes_the_students_keys_and_those_that_steps_made_meanwhile(tmp_path, monkeypatch):
    experiments = tmp_path / "experiments"
    monkeypatch.setenv(KEYS_VARIABLE, str(tmp_path / "mounted" / KEY_FILE))
    config = GatewayConfig(upstreams=["http://127.0.0.1:8000"])
    files = list_key_files(config, experiments)
    assert files == [tmp_path / "mounted" / KEY_FILE, experiments / KEY_FILE]
    clock = ManualClock()
    ring = KeyRing(files, clock)
    (persons, _), (steps, step_id) = add_key(files[0], "student-01"), add_key(files[1], "loadtest")
    clock.now_s += 1
    assert [ring.authenticate(one).key.owner for one in (persons, steps)] == ["student-01", "loadtest"]
    change_key_file(files[1], lambda file: file.revoke(step_id, NOW))
    clock.now_s += 1
    assert ring.authenticate(persons).key.owner == "student-01"
    with pytest.raises(ApiError, match="wrong or was revoked"):
        ring.authenticate(steps)


def test_a_file_that_is_named_is_the_only_one(tmp_path, monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, str(tmp_path / KEY_FILE))
    config = GatewayConfig(upstreams=["http://127.0.0.1:8000"], keys=str(tmp_path / "own.json"))
    assert list_key_files(config, tmp_path) == [tmp_path / "own.json"]
