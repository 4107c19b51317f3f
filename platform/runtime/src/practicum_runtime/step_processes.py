"""The processes of a run's steps, of which several run at once: a task, and the servers that it uses."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Sequence

from practicum_runtime.step_process import StepProcess

_POLL_S = 0.05


class StepProcesses:
    """Processes by the name of their step: the one that runs, or the last one that ran."""

    def __init__(self) -> None:
        self._processes: dict[str, StepProcess] = {}

    def add(self, step: str, process: StepProcess) -> None:
        """Keep the process of a step, in place of an earlier one that has ended."""
        self._processes[step] = process

    def get(self, step: str) -> StepProcess | None:
        """Return the process of a step; ``None`` where none was started."""
        return self._processes.get(step)

    def list_running(self) -> list[tuple[str, StepProcess]]:
        """List the steps whose process has not ended, in the order of their first start."""
        return [(step, process) for step, process in self._processes.items() if process.is_running]

    def wait_for_end(self, timeout_s: float) -> None:
        """Wait until one of them ends, ``timeout_s`` at most; not at all where one that ended is not swept yet."""
        if all(process.is_swept or process.is_running for process in self._processes.values()):
            wait_for_any([process for _, process in self.list_running()], timeout_s)

    def end_all(self, grace_s: float) -> None:
        """Ask all of them to stop, wait ``grace_s`` at most for all together, and kill what still runs."""
        for _, process in self.list_running():
            process.request_stop()
        deadline_s = time.monotonic() + grace_s
        while (running := self.list_running()) and (left_s := deadline_s - time.monotonic()) > 0:
            wait_for_any([process for _, process in running], left_s)
        for _, process in self.list_running():
            process.kill()
        for process in self._processes.values():
            process.sweep()


def wait_for_any(processes: Sequence[StepProcess], timeout_s: float) -> None:
    """Wait until one of the processes ends, ``timeout_s`` at most; not at all where there is none.

    On Linux the kernel wakes the caller by a descriptor of each process (pidfd_open(2)). Elsewhere, and where no more
    files can be opened, they are polled.
    """
    with contextlib.ExitStack() as opened:
        poller = select.poll()
        try:
            for process in processes:
                if not process.is_running:
                    return
                descriptor = os.pidfd_open(process.pid)
                opened.callback(os.close, descriptor)
                poller.register(descriptor, select.POLLIN)
        except (AttributeError, OSError):
            _poll_for_any(processes, timeout_s)
        else:
            if processes:
                poller.poll(timeout_s * 1000)


def _poll_for_any(processes: Sequence[StepProcess], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while all(process.is_running for process in processes) and (left_s := deadline_s - time.monotonic()) > 0:
        time.sleep(min(_POLL_S, left_s))
