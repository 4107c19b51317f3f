"""Files that a pod writes into the run directory before its stage starts, the same as the local executor's.

Several pods share the directory, one after the other. What describes the whole run is written once, by the first.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import yaml

from practicum_core.atomic import append_json_line, explain_os_errors, write_json_atomic, write_text_atomic
from practicum_core.environment import RunEnvironment
from practicum_core.errors import ConfigError, DataError
from practicum_core.events import build_event_line
from practicum_core.layout import RunLayout
from practicum_core.lineage import ensure_lineage
from practicum_core.references import list_references
from practicum_core.resolve import resolve_steps
from practicum_core.stages import StageConfig, StageRecord
from practicum_core.step_files import read_record
from practicum_jobs.agent.assignment import Assignment
from practicum_jobs.agent.surroundings import merge_environments, read_environment

_YAML_END = "...\n"


def find_record(assignment: Assignment) -> StageRecord | None:
    """Return the whole record that an earlier pod left for these very options; ``None`` where the stage must run."""
    step = assignment.step.step
    layout = assignment.run.stage(step)
    try:
        text = layout.config.read_text(encoding="utf-8")
        document = yaml.safe_load(text) if text.endswith(_YAML_END) else None
        record = read_record(assignment.run, step)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, DataError):
        return None
    is_same = document == _dump_config(assignment.config) and record.stage == assignment.step.stage
    return record if is_same else None


def prepare_run(assignment: Assignment, environment: RunEnvironment) -> None:
    """Write what the run directory lacks and the step's options; remove what an earlier attempt left behind.

    Raises:
        PlatformError: The workspace is full or cannot be written.
    """
    run = assignment.run
    layout = run.stage(assignment.step.step)
    with explain_os_errors(layout.root):
        layout.root.mkdir(parents=True, exist_ok=True)
        for path in (layout.record, layout.error, layout.progress):
            path.unlink(missing_ok=True)
    if not _is_whole_yaml(run):
        write_text_atomic(run.weekjob, _dump_yaml(assignment.step.weekjob.to_document()))
    write_environment(run, environment, assignment.step.step)
    write_text_atomic(layout.config, _dump_yaml(_dump_config(assignment.config)))


def resolve_lineage(assignment: Assignment) -> None:
    """Resolve the references of the whole week job, in the first pod; a later one finds them in the lock.

    Raises:
        ConfigError: One names no finished run of this workspace, or leads out of it.
        DataError: The lock is broken.
    """
    experiments, weekjob = assignment.experiments, assignment.step.weekjob
    configs = [assignment.config, *(step.config for step in resolve_steps(weekjob))]
    wanted = list_references(configs)
    if wanted and not experiments.resolve().is_relative_to(experiments.parent.resolve()):
        raise ConfigError(f"{experiments}: a link that leads out of the workspace", "remove it")
    ensure_lineage(assignment.run, wanted, experiments, weekjob.spec.variant)


def write_environment(run: RunLayout, environment: RunEnvironment, step: str) -> None:
    """Add this pod's surroundings to those of the run, and note where the code changed since the run began."""
    first = read_environment(run.environment)
    merged = environment if first is None else merge_environments(first, environment)
    if merged != first:
        write_json_atomic(run.environment, merged.model_dump(mode="json"))
    if merged.code.source_sha256 != environment.code.source_sha256:
        emit(run, "code_changed", step=step, source_sha256=environment.code.source_sha256)


def emit(run: RunLayout, event: str, **details: Any) -> None:  # noqa: ANN401 - any JSON value
    """Append one line to the run's events, in the form that the local executor writes."""
    append_json_line(run.events, build_event_line(dt.datetime.now(dt.UTC), event, **details))


def _is_whole_yaml(run: RunLayout) -> bool:
    try:
        return run.weekjob.read_text(encoding="utf-8").endswith(_YAML_END)
    except (OSError, UnicodeDecodeError):
        return False


def _dump_config(config: StageConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")


def _dump_yaml(document: dict[str, Any]) -> str:
    """Write YAML with its end marker: the beginning of a YAML file is often valid YAML itself."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, explicit_end=True)
