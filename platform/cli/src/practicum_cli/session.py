"""One run from its week job to its final status: make or find the directory, execute it, export it."""

from __future__ import annotations

import datetime as dt
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_cli.announcement import Announcement
from practicum_cli.console import JsonLines, ProgressBar
from practicum_cli.control import recheck_control
from practicum_cli.executor import LocalExecutor, StageRuntime
from practicum_cli.mlflow_export import export_run, find_address_problem
from practicum_cli.provenance import build_environment, get_command_line, read_code_version
from practicum_cli.run_lock import is_run_held
from practicum_cli.runs import create_run, read_run, repair_status
from practicum_cli.streams import tell
from practicum_core.atomic import append_json_line
from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.layout import RunLayout
from practicum_core.lineage import Lineage, resolve_references
from practicum_core.machine import get_num_threads
from practicum_core.phases import Phase
from practicum_core.references import list_references
from practicum_core.resolve import resolve_steps
from practicum_core.weekjob import WeekJob, WeekJobStatus
from practicum_runtime.stop_request import StopRequest


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    path: Path
    weekjob: WeekJob
    status: WeekJobStatus

    def describe_log(self, step: str) -> str:
        """Say where the log of a step is read; empty where it has none."""
        log = RunLayout(self.path).stage(step).log
        return str(log) if log.exists() else ""

    def describe_resumption(self) -> str:
        """Say what makes the run go on."""
        return f"practicum run --resume {shlex.quote(str(self.path))}"


def start_run(root: Path, weekjob: WeekJob, lineage: Lineage | None = None) -> Path:
    """Make the run directory of a week job that was validated.

    Args:
        root: Folder of all runs.
        weekjob: The week job as resolved.
        lineage: What the run is built on; without it, its references are resolved against ``root`` now.

    Raises:
        ConfigError: A reference names no finished run, or the week job wants a service of a cluster.
        PlatformError: The folder cannot be written.
    """
    if weekjob.spec.serving is not None and weekjob.spec.serving.engine != "local":
        raise ConfigError(
            f"serving.engine: {weekjob.spec.serving.engine} is a service of a cluster",
            "leave it out on this machine, or give the file to a cluster: practicum submit FILE",
        )
    steps = resolve_steps(weekjob)
    if lineage is None:
        wanted = list_references(step.config for step in steps)
        lineage = resolve_references(wanted, root, weekjob.spec.variant)
    environment, diff = build_environment((step.environment for step in steps), get_command_line())
    return create_run(root, weekjob, environment, diff, lineage=lineage).resolve()


def continue_run(path: Path) -> WeekJob:
    """Return the week job of a run that is to go on, noting where the code changed since it started.

    Raises:
        DataError: The run directory is half-written.
        PlatformError: Another executor works on it.
    """
    if is_run_held(RunLayout(path)):
        raise PlatformError(Reason.RUN_BUSY, f"{path}: another process works on this run", "wait until it ends")
    repair_status(RunLayout(path))
    run = read_run(path)
    if run.status.phase is not Phase.SUCCEEDED:
        source = read_code_version()[0].source_sha256
        is_same = source == run.environment.code.source_sha256
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        event = {"time": now, "event": "resumed", "source_sha256": source, "is_same_code": is_same}
        append_json_line(run.layout.events, event)
    return run.weekjob


def execute_run(
    path: Path,
    weekjob: WeekJob,
    listener: JsonLines | ProgressBar | Announcement,
    stop: StopRequest,
    experiments: Path | None = None,
) -> Outcome:
    """Take a run to its end or to a stop, and export it where a tracker is set.

    Args:
        path: The run directory.
        weekjob: Its week job.
        listener: Who is shown the progress.
        stop: The stop request.
        experiments: Folder of the runs that it may be built on; the one that it lies in without it.
    """
    was_finished = read_run(path).status.phase is Phase.SUCCEEDED
    problem = find_address_problem()
    if problem:
        tell(f"warning: {problem}", err=True)
    runtime = StageRuntime(num_threads=get_num_threads(), experiments=experiments or path.absolute().parent.parent)
    try:
        with listener, stop.installed():
            executor = LocalExecutor(
                RunLayout(path),
                weekjob,
                runtime=runtime,
                listener=listener,
                stop=stop,
                guard=lambda: recheck_control(path),
            )
            status = executor.execute()
    except Exception as error:
        error.practicum_run = path.name  # type: ignore[attr-defined]
        raise
    warning = None if was_finished else export_run(path)
    if warning:
        tell(f"warning: {warning}", err=True)
    return Outcome(path, weekjob, status)


def describe_outcome(outcome: Outcome) -> dict[str, Any]:
    """Describe a run's end for machines."""
    return {
        "run": outcome.path.name,
        "path": str(outcome.path),
        "unit": outcome.weekjob.spec.unit,
        "status": outcome.status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
