"""Keys of services that were killed with all of their processes are revoked by the next ``practicum serve``."""

from __future__ import annotations

import datetime as dt

import pytest

from practicum_cli.commands.serve import _revoke_leftovers
from practicum_cli.run_lock import hold_run
from practicum_core.api_keys import KeyFile, KeyLimits, make_key
from practicum_core.layout import RunLayout

RUN = "20260101t000000-0a1b2c"


def build_file(owner, age_s):
    created = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
    _, key = make_key(owner, KeyLimits(), created.isoformat(timespec="seconds"))
    return KeyFile(keys=(key,))


@pytest.mark.parametrize(
    ("owner", "age_s", "is_held", "is_revoked"),
    [
        (f"serve {RUN}", 3600, False, True),
        (f"serve {RUN}", 3600, True, False),
        (f"serve {RUN}", 5, False, False),
        ("student-01", 3600, False, False),
    ],
)
def test_only_keys_of_services_that_are_gone_are_revoked(tmp_path, owner, age_s, is_held, is_revoked):
    run = RunLayout(tmp_path / RUN)
    run.root.mkdir()
    file = build_file(owner, age_s)
    if is_held:
        with hold_run(run):
            file = _revoke_leftovers(file, tmp_path)
    else:
        file = _revoke_leftovers(file, tmp_path)
    assert (file.keys[0].revoked_at is not None) == is_revoked


def test_a_key_is_revoked_once():
    file = build_file("student-01", 0)
    key_id = file.keys[0].id
    once = file.revoke_if_valid(key_id, "now")
    assert once.keys[0].revoked_at == "now"
    assert once.revoke_if_valid(key_id, "later") == once
    assert file.revoke_if_valid("another", "now") == file
