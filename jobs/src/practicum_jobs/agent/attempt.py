"""One pod: runs its stage, or finds the record of an earlier pod, and reports the end to the controller.

The exit code says what the report says: 0 only where the record is whole and the controller has taken it. A stop (the
cluster wants the node, the student suspends) ends in 143 and no report, since nothing has been decided.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from practicum_core.errors import EXIT_OK, EXIT_STOPPED, EXIT_TRY_AGAIN, PracticumError, Reason, Stopped, get_exit_code
from practicum_core.events import describe_end
from practicum_core.layout import RunLayout, StageLayout
from practicum_core.machine import get_cache_dir, get_num_threads
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.reports import WORKSPACE, PodStep
from practicum_core.stage_process import EXPERIMENTS_VARIABLE, PROGRAM, build_stage_arguments, build_stage_variables
from practicum_core.stages import StageRecord, get_stage
from practicum_core.step_files import explain_exit, observe_error, observe_record
from practicum_jobs.agent.assignment import Assignment, check_assignment, read_pod_step
from practicum_jobs.agent.container_log import LogTail, open_container_log
from practicum_jobs.agent.ingest import Ingest, ProgressSender, build_ingest
from practicum_jobs.agent.replica import REPLICA_VARIABLE, enter_replica, join_replicas
from practicum_jobs.agent.reporting import build_final, build_progress
from practicum_jobs.agent.run_directory import emit, find_record, prepare_run, resolve_lineage
from practicum_jobs.agent.surroundings import build_environment, read_build
from practicum_runtime.step_lock import hold_step
from practicum_runtime.step_process import STOP_GRACE_S, StepProcess, start_step
from practicum_runtime.stop_request import StopRequest

LOGGER = logging.getLogger(__name__)
LOCK_WAIT_S = STOP_GRACE_S + 30.0
"""Seconds to wait for an earlier pod of the step: the cluster gave up on it, but it may still write a checkpoint."""
_LAST_TRY_S = 20.0
"""Seconds that a stopped pod goes on trying to tell how its stage ended."""
_POLL_S = 0.2


def run_pod(variables: Mapping[str, str]) -> int:
    """Run what the environment of this pod says and return the exit code.

    Raises:
        ConfigError: The environment does not say what to run or whom to tell.
    """
    step, ingest = read_pod_step(variables), build_ingest(variables)
    experiments = Path(variables.get(EXPERIMENTS_VARIABLE, f"{WORKSPACE}/experiments"))
    stop = StopRequest()
    with stop.installed():
        try:
            assignment = check_assignment(step, experiments)
            seen = _run_replica(assignment, ingest, stop, variables)
        except Exception as error:  # noqa: BLE001 - the edge: every fault becomes a report, its trace stays in the log
            seen = _explain(error)
        if seen.phase is Phase.SUSPENDED:
            return EXIT_STOPPED
        if get_stage(step.stage).is_server and not stop.is_requested:
            # The kubelet starts it again: this is no end that the controller should take down.
            return get_exit_code(seen.reason or Reason.STAGE_CRASHED)
        return _tell_end(step, seen, experiments, ingest, stop)


def _run_replica(
    assignment: Assignment, ingest: Ingest, stop: StopRequest, variables: Mapping[str, str]
) -> ObservedStep:
    """Run the step, or one replica of it where there are several."""
    if REPLICA_VARIABLE not in variables:
        return Attempt(assignment, ingest, stop, variables).run()
    seen = Attempt(enter_replica(assignment, variables), ingest, stop, variables).run()
    return join_replicas(assignment) or seen if seen.phase is Phase.SUCCEEDED else seen


def _explain(error: Exception) -> ObservedStep:
    if isinstance(error, Stopped):
        return ObservedStep(Phase.SUSPENDED, reason=error.reason)
    if isinstance(error, PracticumError):
        LOGGER.warning("%s: %s", error.reason, error)
        return ObservedStep(Phase.FAILED, reason=error.reason, message=error.detail, fix=error.fix)
    LOGGER.error("a fault of the agent itself", exc_info=error)
    message = "a fault of the agent itself; the trace is in the pod's log"
    return ObservedStep(Phase.FAILED, reason=Reason.INTERNAL, message=message, fix="report it")


def _tell_end(step: PodStep, seen: ObservedStep, experiments: Path, ingest: Ingest, stop: StopRequest) -> int:
    run = RunLayout(experiments / step.weekjob.spec.unit / step.run_id)
    try:
        ingest.send_final(build_final(step, seen, run), lambda: stop.is_within(_LAST_TRY_S))
    except PracticumError as error:
        LOGGER.warning("%s: %s", error.reason, error)
        return EXIT_STOPPED if stop.is_requested else EXIT_TRY_AGAIN
    return EXIT_OK if seen.phase is Phase.SUCCEEDED else get_exit_code(seen.reason or Reason.INTERNAL)


class Attempt:
    """One attempt of one step."""

    def __init__(self, assignment: Assignment, ingest: Ingest, stop: StopRequest, variables: Mapping[str, str]) -> None:
        self._assignment = assignment
        self._step = assignment.step
        self._layout: StageLayout = assignment.run.stage(assignment.step.step)
        self._ingest = ingest
        self._stop = stop
        self._variables = variables

    def run(self) -> ObservedStep:
        """Run the stage, or find that it has run, and return how that ended; ``Suspended`` where it was stopped.

        Raises:
            PlatformError: The workspace refuses, or another pod works on the step.
            Stopped: A stop was requested before the stage started.
        """
        with hold_step(self._layout, LOCK_WAIT_S, lambda: self._stop.is_requested) as lock:
            # A server that was stopped left its record too, and is to run again.
            record = None if self._assignment.spec.is_server else find_record(self._assignment)
            if record is not None:
                LOGGER.info("the record of step %s is whole: it is reported again", self._step.step)
                return _build_success(record, self._step.attempt)
            build = read_build(self._variables, self._assignment.environment)
            prepare_run(self._assignment, build_environment(build, self._variables))
            resolve_lineage(self._assignment)
            if self._stop.is_requested:
                raise Stopped
            return self._run_stage(lock)

    def _run_stage(self, lock: int) -> ObservedStep:
        run, name = self._assignment.run, self._step.step
        command = [sys.executable, *PROGRAM, *build_stage_arguments(run, self._step.stage, name)]
        tail = LogTail(self._layout.log, open_container_log(self._variables))
        child = start_step(self._layout, command, self._build_variables(), self._step.attempt, lock)
        self._stop.process = child
        if self._stop.is_requested:  # between the last look and the line above
            child.request_stop()
        try:
            emit(run, "step_started", step=name, attempt=self._step.attempt)
            status = self._watch(child, tail)
        finally:
            self._stop.process = None
            child.sweep()
            tail.copy()
        seen = self._observe(status)
        emit(run, "step_finished", **describe_end(name, seen, round(time.monotonic() - child.started_s, 3)))
        return seen

    def _watch(self, child: StepProcess, tail: LogTail) -> int:
        sender = ProgressSender(self._ingest)
        while True:
            status = child.wait(_POLL_S)
            tail.copy()
            if status is not None:
                return status
            if self._stop.is_requested:
                child.stop(STOP_GRACE_S)
            else:
                sender.offer(build_progress(self._step, self._layout))

    def _observe(self, status: int) -> ObservedStep:
        attempt = self._step.attempt
        if self._layout.record.exists():
            return observe_record(self._assignment.run, self._step.step, attempt)
        if self._layout.error.exists():
            return observe_error(self._layout, attempt)
        if self._stop.is_requested:
            message = "stopped before its checkpoint" if status < 0 else "stopped"
            return ObservedStep(Phase.SUSPENDED, attempt=attempt, reason=Reason.STOPPED, message=message)
        return explain_exit(self._layout, status, attempt)

    def _build_variables(self) -> dict[str, str]:
        config = self._assignment.config
        experiments = {EXPERIMENTS_VARIABLE: str(self._assignment.experiments)}
        own = build_stage_variables(config, self._variables, get_num_threads(), get_cache_dir())
        return dict(self._variables) | own | experiments


def _build_success(record: StageRecord, attempt: int) -> ObservedStep:
    return ObservedStep(Phase.SUCCEEDED, attempt=attempt, duration_s=record.duration_s, metrics=record.metrics)
