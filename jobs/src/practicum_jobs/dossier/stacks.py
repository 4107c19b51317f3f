"""Where the threads of a process that does not end stand: asked of Python's faulthandler before the process is killed.

``PYTHONFAULTHANDLER`` lets a Python process write the stack of every thread to its standard error when it gets SIGABRT.
It needs no permission to trace other processes, which containers often lack, and works while a thread is in C code.
"""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import time
from pathlib import PurePath

import psutil

SWITCH = {"PYTHONFAULTHANDLER": "1"}
"""The variable with which a process answers."""
_BEGIN = "Fatal Python error: Aborted"
_END = "Extension modules:"
_WAIT_S = 5.0
_POLL_S = 0.02
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x[0-9a-f]+.*$", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_LIBRARY = re.compile(r"/lib/python3|/site-packages/|^<")


def ask_for_stacks(pid: int) -> None:
    """Let a process and its descendants write their stacks, and end; return when they have, or after a few seconds.

    They are asked one after another, because they write to the same file, word by word. Those above come first: one
    that waits for another is asked while it still waits.
    """
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    deadline_s = time.monotonic() + _WAIT_S
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            resource.prlimit(member.pid, resource.RLIMIT_CORE, (0, 0))
            member.send_signal(signal.SIGABRT)
            while member.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline_s:
                time.sleep(_POLL_S)


def find_stacks(stderr: str) -> str:
    r"""Return the stacks in what a process wrote; empty without any.

    >>> find_stacks('loading\nFatal Python error: Aborted\n\nThread 0x1 (most recent call first):\n  File "a.py", ...')
    'Thread 0x1 (most recent call first):\n  File "a.py", ...'
    """
    _, found, rest = stderr.partition(_BEGIN)
    kept = [line for line in rest.splitlines() if not line.startswith((_END, _BEGIN))]
    return "\n".join(kept).strip() if found else ""


def name_places(stacks: str) -> list[str]:
    """Name for each thread the innermost place that is not in a library, or in the library where all are.

    >>> name_places('''Thread 0x1 (most recent call first):
    ...   File "/usr/lib/python3.11/queue.py", line 171 in get
    ...   File "/tmp/case-1/loader.py", line 30 in load''')
    ['loader.py:30 in load']
    """
    places = []
    for thread in _THREAD.split(stacks)[1:]:
        frames = _FRAME.findall(thread)
        own = [frame for frame in frames if not _LIBRARY.search(frame[0])]
        places += [f"{PurePath(path).name}:{line} in {function}" for path, line, function in (own or frames)[:1]]
    return list(dict.fromkeys(places))
