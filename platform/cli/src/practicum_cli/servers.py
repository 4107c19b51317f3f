"""Servers among the steps of a run on this machine: their ports, their probes, and what their users are told."""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from practicum_core.errors import Reason
from practicum_core.layout import RunLayout
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.resolve import ResolvedStep
from practicum_core.stage_process import (
    ENDPOINTS_VARIABLE,
    HOST_VARIABLE,
    PARENT_VARIABLE,
    PORT_VARIABLE,
    SERVER_KEY_VARIABLE,
)
from practicum_core.stages.spec import Endpoint
from practicum_runtime.ports import LOOPBACK, ServerPorts
from practicum_runtime.readiness import ReadinessProbe


@dataclass
class _Watch:
    """The probe of one server. ``since_s`` is when it was started, or was last ready."""

    endpoint: Endpoint
    url: str
    probe: ReadinessProbe
    since_s: float
    is_late: bool = False


class Servers:
    """The servers of one run. Use as a context manager: it lets go of ports and ends the probes.

    Args:
        run: The run directory.
    """

    def __init__(self, run: RunLayout) -> None:
        self._run = run
        self._ports = ServerPorts()
        self._urls: dict[str, str] = {}
        self._watches: dict[str, _Watch] = {}
        self._key = secrets.token_urlsafe(32)

    def build_variables(self, step: ResolvedStep) -> dict[str, str]:
        """Build the variables of a step's process: where a server listens, and where the servers are that it needs.

        A server, and who uses one, are told the key of this executor's servers. A server ends with the executor.

        Raises:
            PlatformError: The step's folder cannot be written.
        """
        used = {name: url for name, url in self._urls.items() if name in step.needs}
        variables = {ENDPOINTS_VARIABLE: json.dumps(used)} if used else {}
        if step.spec.is_server or used:
            variables[SERVER_KEY_VARIABLE] = self._key
        if step.spec.is_server:
            variables[PARENT_VARIABLE] = str(os.getpid())
            port = self._ports.ensure(self._run.stage(step.name))
            self._urls[step.name] = f"http://{LOOPBACK}:{port}"
            variables |= {HOST_VARIABLE: LOOPBACK, PORT_VARIABLE: str(port)}
        return variables

    def watch(self, step: ResolvedStep) -> None:
        """Probe a server that was just started."""
        endpoint = step.spec.endpoint
        if endpoint is None:
            return
        self.forget(step.name)
        port = self._ports.ensure(self._run.stage(step.name))
        probe = ReadinessProbe(port, endpoint.ready_path)
        self._watches[step.name] = _Watch(endpoint, self._urls[step.name], probe, time.monotonic())

    def forget(self, step: str) -> None:
        """Probe a server no more."""
        watch = self._watches.pop(step, None)
        if watch is not None:
            watch.probe.close()

    def describe(self, step: str, seen: ObservedStep) -> ObservedStep:
        """Say of a server's process that runs whether it is ready, and of one that ended why."""
        watch = self._watches.get(step)
        if watch is None:
            return seen
        if seen.phase is not Phase.RUNNING:
            return self._describe_end(watch, seen)
        readiness = watch.probe.read()
        if readiness.is_ready:
            watch.since_s = time.monotonic()
            return replace(seen, phase=Phase.SERVING, endpoint=watch.url, message="")
        watch.is_late = watch.is_late or time.monotonic() - watch.since_s > watch.endpoint.startup_s
        return replace(seen, endpoint=watch.url, message=readiness.reason)

    @staticmethod
    def _describe_end(watch: _Watch, seen: ObservedStep) -> ObservedStep:
        if not watch.is_late:
            return seen
        text = f"{watch.url}{watch.endpoint.ready_path} did not answer for {watch.endpoint.startup_s:g} s"
        return replace(seen, phase=Phase.FAILED, reason=Reason.SERVER_NOT_READY, message=text, fix="read its log")

    def is_late(self, step: str) -> bool:
        """Whether a server had its time to become ready, or ready again, and is not: it is ended and started anew."""
        watch = self._watches.get(step)
        return watch is not None and watch.is_late

    def close(self) -> None:
        """Let go of ports and end the probes."""
        for step in list(self._watches):
            self.forget(step)
        self._ports.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
