"""Keys of the gateway in their file: hashed, changed one after the other, broken files told."""

from __future__ import annotations

import json
import threading

import pytest

from practicum_core.api_keys import KeyFile, KeyLimits, change_key_file, hash_key, make_key, read_key_file
from practicum_core.errors import ConfigError, DataError

NOW = "2026-01-01T00:00:00+00:00"


def test_the_file_holds_no_key(tmp_path):
    path = tmp_path / "keys.json"
    secret, key = make_key("student-01", KeyLimits(tokens_per_minute=5), NOW)
    change_key_file(path, lambda file: file.add(key))
    text = path.read_text()
    assert secret not in text
    assert not {"revoked_at", "ends_at"} & json.loads(text)["keys"][0].keys()
    assert secret.rpartition("-")[2] not in text
    [kept] = read_key_file(path).keys
    assert (kept.owner, kept.sha256, kept.limits.tokens_per_minute) == ("student-01", hash_key(secret), 5)
    assert secret.startswith(f"sk-practicum-{kept.id}-")


def test_a_key_is_revoked_once():
    _, key = make_key("student-01", KeyLimits(), NOW)
    revoked = KeyFile(keys=(key,)).revoke(key.id, "2026-01-02")
    assert revoked.keys[0].revoked_at == "2026-01-02"
    with pytest.raises(ConfigError, match="was revoked at 2026-01-02"):
        revoked.revoke(key.id, NOW)
    with pytest.raises(ConfigError, match="no key has the id 'x'"):
        revoked.revoke("x", NOW)


def test_commands_at_the_same_time_lose_no_key(tmp_path):
    path = tmp_path / "folder" / "keys.json"

    def add(number):
        _, key = make_key(f"student-{number:02d}", KeyLimits(), NOW)
        change_key_file(path, lambda file: file.add(key))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.owner for key in read_key_file(path).keys}) == 20


@pytest.mark.parametrize("text", ["", "{", "[]", '{"keys": [{"id": "x"}]}', '{"kyes": []}'])
def test_a_broken_file_is_told(tmp_path, text):
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(DataError, match="no file of keys"):
        read_key_file(path)
    assert read_key_file(tmp_path / "none.json") == KeyFile()
