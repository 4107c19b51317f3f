"""A stage that is asked to stop many times at once stops: the executor, a terminal and a kernel may all ask."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

PROGRAM = """
import signal, sys, time
from pathlib import Path
from practicum_jobs.context import StageContext
context = StageContext(Path(sys.argv[1]), "model", "model")
signal.signal(signal.SIGTERM, lambda *_: context.request_stop())
print("ready", flush=True)
end_s = time.monotonic() + 0.7
while time.monotonic() < end_s:
    pass
assert context.is_stop_requested
"""


def test_a_signal_inside_of_a_signal_does_not_hold_a_stage_up(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tmp_path], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            end_s = time.monotonic() + 0.5
            while time.monotonic() < end_s:
                os.kill(process.pid, signal.SIGTERM)
                time.sleep(0)
            process.wait(20)
            assert process.returncode == 0
        finally:
            process.kill()
