"""The servers of a run on this machine as targets of faults."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from pathlib import Path

import psutil

from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.layout import RunLayout
from practicum_jobs.chaos.undo import Undo
from practicum_runtime.child_note import read_child_note
from practicum_runtime.process_faults import kill_largest, lift_limits, limit_files, list_family, resume, suspend
from practicum_runtime.process_tree import find_process, kill_tree

_RESTART_S = 120.0
_END_S = 10.0
_POLL_S = 0.25


class LocalServers:
    """The servers of a run, which its executor starts again where they end.

    Args:
        run: The run directory whose servers may be broken; ``None`` where none is known.
        own_step: The step that experiments; it is no target.
    """

    def __init__(self, run: RunLayout | None, own_step: str) -> None:
        self._run = run
        self._own_step = own_step

    async def kill(self, step: str) -> Undo:
        """Kill a server with all of its processes, as a lost pod."""
        old = self.find(step).pid
        kill_tree(old)
        return self._build_restart(step, old, f"{step} was killed")

    async def hang(self, step: str) -> Undo:
        """Stop a server with all of its processes."""
        return suspend_process(self.find(step), step)

    async def run_out_of_memory(self, step: str) -> Undo:
        """Kill the largest process of a server and no other."""
        process = self.find(step)
        victim = kill_largest(list_family(process))
        undo = self._build_restart(step, process.pid, f"the largest process of {step} was killed")
        if victim == process.pid:
            return undo

        async def wait_for_server() -> None:
            # A server either ends with its engine, and is started again, or lives on by itself.
            deadline_s = time.monotonic() + _END_S
            while process.is_running() and time.monotonic() < deadline_s:  # noqa: ASYNC110 - a process wakes nobody
                await asyncio.sleep(_POLL_S)
            if not process.is_running():
                await undo.run()

        return dataclasses.replace(undo, run=wait_for_server)

    async def fill_disk(self, step: str) -> Undo:
        """Let every write of a server to a file fail."""
        limited = limit_files(list_family(self.find(step)))

        async def lift() -> None:
            lift_limits(limited)

        commands = "; ".join(f"prlimit --pid {one.pid} --fsize={_name_limit(one.soft)}:" for one in limited)
        return Undo(f"{step} cannot write to files", commands, lift)

    async def find_folder(self, step: str) -> Path:
        """Return the folder of a server's step."""
        self.find(step)
        assert self._run is not None  # noqa: S101 - else there is no such server
        return self._run.stage(step).root

    def find(self, step: str) -> psutil.Process:
        """Find the process of a server.

        Raises:
            ConfigError: No run is known, it has no such server, or that runs elsewhere.
        """
        if self._run is None:
            raise ConfigError(
                f"{step}: no run of yours is known whose servers could be broken",
                "start the service with `practicum serve`, or name its run with --run",
            )
        servers = [
            path.name
            for path in sorted(Path(self._run.stages).iterdir())
            if (path / "port.json").exists() and path.name != self._own_step
        ]
        if step not in servers:
            raise ConfigError(
                f"'{step}' is no server of this run{suggest_similar(step, servers)}",
                f"name one of its own servers: {', '.join(servers) or 'it has none on this machine'}",
            )
        note = read_child_note(self._run.stage(step))
        process = find_process(note.pid, note.created_s) if note else None
        if process is None:
            raise ConfigError(f"no process of {step} runs on this machine", "run the unit on a laptop")
        return process

    def _build_restart(self, step: str, old: int, what: str) -> Undo:
        async def wait_for_next() -> None:
            async with asyncio.timeout(_RESTART_S):
                while True:
                    with contextlib.suppress(ConfigError):
                        if self.find(step).pid != old:
                            return
                    await asyncio.sleep(_POLL_S)

        return Undo(what, f"start the run again: its executor starts {step}", wait_for_next)


def find_listener(port: int) -> psutil.Process:
    """Find the process of this user that listens on a port of this machine, such as a Redis.

    Raises:
        ConfigError: There is none.
    """
    own = os.getuid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real != own:
                continue
            found = process.net_connections("tcp")
            if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in found):
                return process
    raise ConfigError(f"no process of yours listens on port {port} of this machine", "name the port of one")


def suspend_process(process: psutil.Process, name: str) -> Undo:
    """Stop a process with all that it started."""
    stopped = suspend(list_family(process))

    async def go_on() -> None:
        resume(stopped)

    return Undo(f"{name} is stopped", f"kill -CONT {' '.join(str(one.pid) for one in stopped)}", go_on)


def _name_limit(value: int) -> str:
    return "unlimited" if value < 0 else str(value)
