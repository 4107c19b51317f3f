"""``practicum key`` makes, lists and revokes keys of the gateway."""

from __future__ import annotations

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
