"""A stop request by signal."""

from __future__ import annotations

import os
import signal
import time

import pytest

from practicum_runtime.stop_request import StopRequest


class Counter:
    def __init__(self):
        self.count = 0

    def request_stop(self):
        self.count += 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_remembered_and_passed_on(number):
    before = signal.getsignal(number)
    stop = StopRequest()
    stop.process = Counter()
    with stop.installed():
        assert (stop.is_requested, stop.is_within(0)) == (False, True)
        os.kill(os.getpid(), number)
        assert (stop.is_requested, stop.is_forced, stop.process.count) == (True, False, 1)
        first_s = stop.requested_s
        time.sleep(0.01)
        assert stop.is_within(60)
        assert not stop.is_within(0.005)
        os.kill(os.getpid(), number)
    assert (stop.is_forced, stop.requested_s) == (True, first_s)
    assert signal.getsignal(number) is before
