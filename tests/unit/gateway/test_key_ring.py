"""Which keys are valid where a gateway reads two files: those of people, and those that steps of its run made."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest

from manual_clock import ManualClock
from practicum_core.api_keys import (
    KEY_FILE,
    KEYS_VARIABLE,
    KeyLimits,
    change_key_file,
    hash_key,
    make_key,
    read_key_file,
)
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
    with pytest.raises(ApiError, match="wrong, was revoked or has ended"):
        ring.authenticate(steps)


def test_a_file_that_is_named_is_the_only_one(tmp_path, monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, str(tmp_path / KEY_FILE))
    config = GatewayConfig(upstreams=["http://127.0.0.1:8000"], keys=str(tmp_path / "own.json"))
    assert list_key_files(config, tmp_path) == [tmp_path / "own.json"]


def copy_key(path, secret_of, **changes):
    """Add a key of another file again, with changes."""
    [key] = read_key_file(secret_of).keys
    change_key_file(path, lambda file: file.add(key.model_copy(update=changes)))


@pytest.fixture
def two_files(tmp_path):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    secret, key = make_key("student-01", KeyLimits(tokens_per_minute=100), NOW)
    change_key_file(first, lambda file: file.add(key))
    return first, second, f"Bearer {secret}".encode(), key


def test_of_two_keys_with_one_id_the_first_file_decides_and_each_reading_says_the_same(two_files, caplog):
    first, second, secret, key = two_files
    other, _ = make_key("student-02", KeyLimits(), NOW)
    copy_key(second, first, sha256=hash_key(other), limits=KeyLimits(), owner="student-02")
    clock = ManualClock()
    ring = KeyRing([first, second], clock)
    meter = ring.authenticate(secret).meter
    meter.hold(60).settle(60)
    for _ in range(2):
        add_key(second, "student-03")
        clock.now_s += 1
        caller = ring.authenticate(secret)
        assert (caller.meter, caller.meter.limits.tokens_per_minute) == (meter, 100)
        with pytest.raises(ApiError, match="wrong, was revoked or has ended"):
            ring.authenticate(f"Bearer {other}".encode())
    assert [one.message.rpartition(" ")[2] for one in caplog.records] == [key.id]


@pytest.mark.parametrize("changes", [{}, {"id": "another"}])
def test_a_key_that_the_first_file_revoked_is_not_valid_by_its_copy(two_files, changes):
    first, second, secret, key = two_files
    copy_key(second, first, **changes)
    change_key_file(first, lambda file: file.revoke(key.id, NOW))
    clock = ManualClock()
    ring = KeyRing([first, second], clock)
    with pytest.raises(ApiError, match="wrong, was revoked or has ended"):
        ring.authenticate(secret)


def test_a_key_that_is_valid_again_keeps_what_it_used(two_files):
    first, _, secret, key = two_files
    clock = ManualClock()
    ring = KeyRing([first], clock)
    ring.authenticate(secret).meter.hold(60).settle(60)
    for change in (lambda file: file.revoke(key.id, NOW), lambda file: file.restore(key.id)):
        change_key_file(first, change)
        clock.now_s += 1
        with contextlib.suppress(ApiError):
            ring.authenticate(secret)
    assert ring.authenticate(secret).meter.find_denial(50) is not None


def test_a_key_with_an_end_is_valid_until_then_and_longer_where_it_was_extended(two_files):
    path, _, secret, key = two_files
    now = dt.datetime.now(dt.UTC)
    change_key_file(path, lambda file: file.extend(key.id, now + dt.timedelta(hours=1)))
    clock = ManualClock(50.0)
    ring = KeyRing([path], clock)
    clock.now_s += 3500
    assert ring.authenticate(secret).key.id == key.id
    clock.now_s += 100
    with pytest.raises(ApiError, match="has ended"):
        ring.authenticate(secret)
    change_key_file(path, lambda file: file.extend(key.id, now + dt.timedelta(hours=2)))
    clock.now_s += 1
    assert ring.authenticate(secret).key.id == key.id
    change_key_file(path, lambda file: file.revoke(key.id, NOW).extend(key.id, now + dt.timedelta(hours=3)))
    clock.now_s += 1
    with pytest.raises(ApiError, match="was revoked"):
        ring.authenticate(secret)
