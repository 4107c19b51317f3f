"""The processes of a cluster, identified by process id and start time.

They are recorded in files, so that another process can stop them. Because of the start time, a process that got the
id of an ended one is never signalled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_POLL_S = 0.05
TIED_TO_CALLER = ("setpriv", "--pdeathsig", "KILL", "--")
"""A command prefix; the process ends when its parent ends for any reason."""


@dataclass(frozen=True)
class Process:
    """A started process. ``started`` is its start time in clock ticks since boot."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """Whether this process still runs; a zombie does not."""
        return read_start(self.pid) == self.started

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            if self.is_alive():
                os.kill(self.pid, number)


def read_start(pid: int) -> int | None:
    """Return the start time of a process; ``None`` if it does not exist or has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class Daemons:
    """The processes of one cluster. The newest is stopped first."""

    def __init__(self, folder: Path) -> None:
        self._records = folder / "processes"
        self._logs = folder / "logs"
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        for each in (self._records, self._logs):
            each.mkdir(parents=True, exist_ok=True)

    def get_log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self._logs / f"{name}.log"

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        inherited: Sequence[int] = (),
    ) -> Process:
        """Start a process in the background unless it runs already. It inherits the descriptors ``inherited``."""
        running = self.find(name)
        if running:
            return running
        with self.get_log(name).open("ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
                pass_fds=tuple(inherited),
            )
        self._children[child.pid] = child
        process = Process(child.pid, read_start(child.pid) or 0)
        (self._records / f"{name}.json").write_text(json.dumps(asdict(process)))
        return process

    def find(self, name: str) -> Process | None:
        """Return the running process with this name, or ``None``."""
        try:
            process = Process(**json.loads((self._records / f"{name}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return process if process.is_alive() else None

    def stop(self, name: str, grace_s: float = 10, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop a process with a signal, and kill it after ``grace_s``."""
        process = self.find(name)
        if process:
            process.send(number)
            if not self._wait(process, grace_s):
                process.send(signal.SIGKILL)
                self._wait(process, grace_s)
        (self._records / f"{name}.json").unlink(missing_ok=True)

    def stop_all(self, grace_s: float = 10) -> None:
        """Stop every recorded process, the newest first."""
        records = sorted(self._records.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for record in records:
            self.stop(record.stem, grace_s)

    def _wait(self, process: Process, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not process.is_alive():
                child = self._children.pop(process.pid, None)
                if child:
                    child.wait()  # it has ended, but its parent has not reaped it
                return True
            time.sleep(_POLL_S)
        return False
