"""``practicum key`` and what ``practicum serve`` refuses before anything starts."""

from __future__ import annotations

import socket

import pytest

from practicum_core.api_keys import KEY_FILE, hash_key, read_key_file


def test_keys_are_made_listed_and_revoked(workplace, command):
    code, secret, _ = command("key", "make", "student-01", "--tokens-per-minute", "500", "--priority", "2")
    assert code == 0
    [key] = read_key_file(workplace / "experiments" / KEY_FILE).keys
    assert key.sha256 == hash_key(secret.strip())
    out = command("key", "list")[1]
    assert [word in out for word in (key.id, "student-01", "500")] == [True] * 3
    assert command("key", "revoke", key.id)[0] == 0
    code, _, err = command("key", "revoke", key.id)
    assert (code, "was revoked at" in err) == (2, True)


def test_a_port_in_use_is_told_before_anything_starts(workplace, command):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, err = command("serve", "builtin:smollm2-135m", "--port", port)
    assert (code, f"port {port} of 127.0.0.1: it is in use" in err) == (2, True)
    assert not (workplace / "experiments").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such-folder",), "no such file or folder"),
        (("latest:sft",), "week-03"),
        (("builtin:smollm2-135m", "--set", "serve.dtpye=float32"), "did you mean 'dtype'"),
        (("builtin:smollm2-135m", "--set", "gateway.min_concurrency=99"), "min_concurrency <= initial_concurrency"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_starts(workplace, command, words, said):
    code, _, err = command("serve", *words)
    assert (code, said in err) == (2, True), err
    assert not (workplace / "experiments" / KEY_FILE).exists()
