"""A process ends with the one that started it, also where that one was killed, or had ended before it could ask."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

CHILD = """
import os, sys, time
from practicum_runtime.parent_death import follow_parent
follow_parent(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())], start_new_session=True)
time.sleep(60)
"""


def test_a_killed_parent_takes_its_child_with_it():
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.kill()
    parent.wait()
    deadline_s = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, "the child outlives its parent"
        time.sleep(0.02)
    parent.stdout.close()


def test_a_child_whose_parent_is_gone_already_ends_at_once():
    ended = subprocess.run([sys.executable, "-c", CHILD, "1"], check=False, capture_output=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (-15, b"")
