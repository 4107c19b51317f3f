"""A note of the agent's process id, by which another process of its container finds and stops it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from practicum_core.atomic import write_json_atomic
from practicum_runtime.process_tree import find_process, get_creation_time

_POLL_S = 0.2
_TRAINING = "ray::RayTrainWorker"


def get_note_path() -> Path:
    """Return the file that names the agent: in the container's own temporary folder, so one for each container."""
    return Path(tempfile.gettempdir()) / "practicum-agent.json"


@contextlib.contextmanager
def announce() -> Iterator[None]:
    """Say in the note that this process is the agent, as long as the block lasts."""
    path = get_note_path()
    write_json_atomic(path, {"pid": os.getpid(), "created_s": get_creation_time(os.getpid())})
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def stop_agent(wait_s: float) -> bool:
    """Ask the agent to stop and wait for its end; return whether none runs any more.

    A pod of Ray workers has no agent: there the end of those that train is waited for, which the agent of the head
    brings about once they have written a checkpoint together.
    """
    agent = find_agent()
    if agent is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            agent.terminate()
    deadline_s = time.monotonic() + wait_s
    return all(_wait_end(process, deadline_s) for process in ([agent] if agent else find_training_workers()))


def find_training_workers() -> list[psutil.Process]:
    """Return this container's Ray Train workers: Ray names a process by its actor, ``ray::RayTrainWorker``."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[0].startswith(_TRAINING)
    ]


def _wait_end(process: psutil.Process, deadline_s: float) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
    return True


def find_agent() -> psutil.Process | None:
    """Return the process that the note names; ``None`` where it has ended."""
    try:
        note = json.loads(get_note_path().read_text(encoding="utf-8"))
        return find_process(int(note["pid"]), float(note["created_s"]))
    except (OSError, ValueError, LookupError, TypeError):  # no note, or no whole one
        return None
