"""The servers of a run as targets of faults: on this machine, or in pods of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from practicum_jobs.chaos.undo import Undo


class Servers(Protocol):
    """The servers of a run. Every method takes the step of one.

    Raises, each of them:
        ConfigError: The run has no such server.
        PlatformError: It could not be done.
    """

    async def kill(self, step: str) -> Undo:
        """Kill a server with all of its processes; it is started again."""

    async def hang(self, step: str) -> Undo:
        """Stop a server with all of its processes (SIGSTOP): it accepts connections and answers nothing."""

    async def run_out_of_memory(self, step: str) -> Undo:
        """Kill the largest process of a server and no other."""

    async def fill_disk(self, step: str) -> Undo:
        """Let every write of a server to a file fail."""

    async def find_folder(self, step: str) -> Path:
        """Return the folder of a server's step."""
