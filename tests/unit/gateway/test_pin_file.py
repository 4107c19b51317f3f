"""A pinned rung: kept while its file is there, and with a lease only while somebody renews it."""

from __future__ import annotations

import json

from manual_clock import ManualClock
from practicum_core.rungs import Rung
from practicum_gateway.pin_file import PinFile


def test_a_lease_that_nobody_renews_ends_and_a_pin_of_a_person_does_not(tmp_path):
    clock, path = ManualClock(), tmp_path / "pin.json"
    pin = PinFile(path, clock)
    assert pin.read() is None
    path.write_text(json.dumps({"rung": "extract", "lease_s": 15, "renewal": 0}))
    assert (pin.read(), pin.left_s) == (Rung.EXTRACT, 15)
    clock.now_s += 14
    path.write_text(json.dumps({"rung": "extract", "lease_s": 15, "renewal": 1}))
    assert pin.read() is Rung.EXTRACT
    clock.now_s += 14
    assert (pin.read(), pin.left_s) == (Rung.EXTRACT, 1)
    path.write_text("{")
    assert pin.read() is Rung.EXTRACT
    clock.now_s += 2
    assert pin.read() is None
    # A gateway that starts with the file of a check that was killed keeps the rung for one lease.
    path.write_text(json.dumps({"rung": "extract", "lease_s": 15, "renewal": 1}))
    late = PinFile(path, clock)
    assert late.read() is Rung.EXTRACT
    clock.now_s += 16
    assert late.read() is None
    path.write_text(json.dumps({"rung": "short"}))
    clock.now_s += 9999
    assert (pin.read(), pin.left_s) == (Rung.SHORT, None)
    clock.now_s += 9999
    assert pin.read() is Rung.SHORT
