"""One of several pods that serve one step: each has a folder of its own, and their records are joined to the step's.

A replica works in ``stages/STEP/replicas/POD`` as in a run directory, so that no two write to one file. What the run is
built on was decided by the first of them: the others take over the lock file of its lineage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from practicum_core.atomic import explain_os_errors, write_json_atomic, write_text_atomic
from practicum_core.errors import DataError
from practicum_core.layout import RunLayout
from practicum_core.observed import ObservedStep
from practicum_core.phases import Phase
from practicum_core.references import parse_reference
from practicum_core.stage_process import RUN_SCHEME
from practicum_core.stages import StageConfig, StageRecord
from practicum_core.step_files import read_record
from practicum_jobs.agent.assignment import Assignment
from practicum_jobs.agent.run_directory import prepare_run, resolve_lineage
from practicum_jobs.agent.surroundings import build_environment, read_build
from practicum_runtime.step_lock import hold_step

REPLICA_VARIABLE = "PRACTICUM_REPLICA"
"""Name of the pod, told to the pods of a step that has several."""
MODEL_VARIABLE = "PRACTICUM_MODEL_MOUNT"
"""Folder where the model of the step is mounted, told where the cluster mounts it beside the workspace."""
_LOCK_WAIT_S = 60.0
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def enter_replica(assignment: Assignment, variables: Mapping[str, str]) -> Assignment:
    """Prepare the run directory as the first pod of a step does, and return the assignment of this replica.

    Raises:
        ConfigError: What the run is built on is not there.
        DataError: The variable is no name of a pod.
        PlatformError: The workspace refuses, or another replica does not end its own preparation.
    """
    name = variables[REPLICA_VARIABLE]
    if not _NAME.fullmatch(name):
        raise DataError(f"{REPLICA_VARIABLE}: {name!r} is no name of a pod", "let the controller make the pod")
    run, step = assignment.run, assignment.step.step
    own = RunLayout(get_replicas(run, step) / name)
    with hold_step(run.stage(step), _LOCK_WAIT_S):
        if not run.stage(step).config.exists():
            build = read_build(variables, assignment.environment)
            prepare_run(assignment, build_environment(build, variables))
        resolve_lineage(assignment)
        with explain_os_errors(own.root):
            own.root.mkdir(parents=True, exist_ok=True)
            lock = run.lineage_lock.read_text(encoding="utf-8") if run.lineage_lock.exists() else None
        if lock is not None:
            write_text_atomic(own.lineage_lock, lock)
    return replace(assignment, run=own, config=_place_files(assignment, variables.get(MODEL_VARIABLE)))


def get_replicas(run: RunLayout, step: str) -> Path:
    """Return the folder of a step's replicas."""
    return run.stage(step).root / "replicas"


def join_replicas(assignment: Assignment) -> ObservedStep | None:
    """Write the step's record from those that its replicas left; return how the step stands, ``None`` without any.

    Raises:
        PlatformError: The workspace refuses.
    """
    join, step, run = assignment.spec.join_records, assignment.step.step, assignment.run
    if join is None:
        return None
    layout = run.stage(step)
    with hold_step(layout, _LOCK_WAIT_S):
        records = _read_records(run, step)
        if not records:
            return None
        joined = join(records)
        write_json_atomic(layout.record, joined.model_dump(mode="json"))
    return ObservedStep(
        Phase.SUCCEEDED, assignment.step.attempt, duration_s=joined.duration_s, metrics=tuple(joined.metrics)
    )


def _read_records(run: RunLayout, step: str) -> list[StageRecord]:
    replicas = [RunLayout(folder) for folder in sorted(get_replicas(run, step).glob("*"))]
    return [read_record(one, step) for one in replicas if one.stage(step).record.exists()]


def _place_files(assignment: Assignment, mount: str | None) -> StageConfig:
    """Return the options with files of the run directory by their paths, since the replica's own is another."""
    run = assignment.run
    paths = {
        key: f"file://{run.root / value.removeprefix(RUN_SCHEME)}"
        for key, value in assignment.config.model_dump().items()
        if isinstance(value, str) and value.startswith(RUN_SCHEME) and parse_reference(value) is None
    }
    if mount is not None:
        paths["model"] = f"file://{mount}"
    return assignment.config.model_copy(update=paths)
