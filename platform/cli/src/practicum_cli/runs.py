"""Run directories on this machine: how they are made, how a person names one, and when one may be read as whole."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from practicum_core.atomic import explain_os_errors, write_json_atomic, write_text_atomic
from practicum_core.curriculum import UNITS, get_unit
from practicum_core.environment import RunEnvironment
from practicum_core.errors import ConfigError, DataError, PlatformError, Reason, suggest_similar
from practicum_core.layout import RunLayout, build_run_id, is_run_id
from practicum_core.lineage import Lineage, write_lineage
from practicum_core.phases import Phase
from practicum_core.problems import list_problems
from practicum_core.resolve import ResolvedStep
from practicum_core.run_folders import get_age, iter_run_dirs
from practicum_core.step_files import build_incomplete, read_record
from practicum_core.weekjob import WeekJob, WeekJobStatus

_YAML_END = "...\n"
DEFAULT_ROOT = "experiments"
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Run:
    """One run directory, read."""

    layout: RunLayout
    weekjob: WeekJob
    status: WeekJobStatus
    environment: RunEnvironment

    @property
    def id(self) -> str:
        """The run id, which is the folder's name."""
        return self.layout.root.name

    @property
    def name(self) -> str:
        """Unit and run id, as people name a run."""
        return f"{self.weekjob.spec.unit}/{self.id}"


def create_run(
    root: Path,
    weekjob: WeekJob,
    environment: RunEnvironment,
    diff: str,
    *,
    run_id: str | None = None,
    lineage: Lineage | None = None,
) -> Path:
    """Make the run directory of a week job, whole from its first moment: built beside its place, then renamed.

    Args:
        root: Folder of all runs.
        weekjob: The week job as resolved.
        environment: What surrounds the run.
        diff: Changes to the code that no commit holds.
        run_id: Its id; a new one without it.
        lineage: Earlier runs that it is built on.

    Raises:
        PlatformError: The folder cannot be written, the disk is full, or a run of this id exists.
    """
    run_id = run_id or build_run_id(dt.datetime.now(dt.UTC), secrets.token_bytes(3))
    final = root / weekjob.spec.unit / run_id
    partial = final.parent / f".{run_id}.part-{os.getpid()}"
    with explain_os_errors(final):
        try:
            partial.mkdir(parents=True)
        except (NotADirectoryError, FileExistsError) as error:
            raise PlatformError(
                Reason.PERMISSION_DENIED, f"{root}: not a folder ({error.strerror})", "choose another --out"
            ) from error
    try:
        _write_initial_files(RunLayout(partial), weekjob, environment, diff)
        if lineage is not None:
            write_lineage(RunLayout(partial), lineage)
        with explain_os_errors(final):
            partial.rename(final)
    except OSError as error:
        raise PlatformError(
            Reason.RUN_BUSY, f"{final}: a run of this id exists already", "start the run again; it gets a new id"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def _write_initial_files(layout: RunLayout, weekjob: WeekJob, environment: RunEnvironment, diff: str) -> None:
    if diff:
        write_text_atomic(layout.code_diff, diff)
    write_json_atomic(layout.environment, environment.model_dump(mode="json"))
    write_text_atomic(layout.weekjob, _dump_yaml(weekjob.to_document()))
    write_status(layout, WeekJobStatus())


def write_status(layout: RunLayout, status: WeekJobStatus) -> None:
    """Replace ``status.json``."""
    write_json_atomic(layout.status, status.model_dump(mode="json", by_alias=True))


def find_run(reference: str, root: Path) -> Path:
    """Return the run directory that ``reference`` names.

    A reference is a path, a run id or the beginning of one, ``UNIT/ID``, ``latest`` or ``latest:UNIT``.

    Raises:
        ConfigError: Nothing, or more than one run, has this name.
    """
    path = Path(reference)
    if path.is_dir() and is_run_id(path.resolve().name):
        return path.resolve()
    runs = sorted(iter_run_dirs(root), key=get_age)
    word, _, unit = reference.partition(":")
    if word == "latest":
        found = [run for run in runs if not unit or run.parent.name == unit]
        if found:
            return found[-1]
        start = unit if unit in UNITS else "week-01"
        raise ConfigError(f"'{reference}': no such run under {root}", f"start one with `practicum run {start}`")
    beginnings = (reference,) if reference else ()
    matches = [run for run in runs if run.name.startswith(beginnings) or f"{run.parent.name}/{run.name}" == reference]
    if len(matches) == 1:
        return matches[0]
    names = [f"{run.parent.name}/{run.name}" for run in matches]
    if matches:
        raise ConfigError(f"'{reference}' names {len(matches)} runs: {', '.join(names)}", "give more of the run id")
    known = [run.name for run in runs]
    raise ConfigError(
        f"no run '{reference}' under {root}{suggest_similar(reference, known)}",
        "`practicum status` lists the runs; `latest` and `latest:UNIT` name the newest",
    )


def read_run(path: Path) -> Run:
    """Read a run directory, finished or not.

    Raises:
        DataError: It was cut off while being written (``RunIncomplete``).
    """
    layout = RunLayout(path)
    return Run(
        layout,
        _read_model(layout.weekjob, WeekJob),
        _read_model(layout.status, WeekJobStatus),
        _read_model(layout.environment, RunEnvironment),
    )


def read_checked_run(path: Path) -> Run:
    """Read a run directory to show it: one that says that it succeeded must have every file of its steps whole.

    Raises:
        DataError: A file of it is missing or broken (``RunIncomplete``).
    """
    run = read_run(path)
    if run.status.phase is Phase.SUCCEEDED:
        steps = get_unit(run.weekjob.spec.unit, run.weekjob.spec.variant).steps
        servers = {step.name for step in steps if step.is_server}
        for stage in run.status.stages:
            # A server that had to be killed leaves no record, and its users have theirs.
            if stage.name not in servers or run.layout.stage(stage.name).record.exists():
                _check_step(run.layout, stage.name)
    return run


def is_step_whole(layout: RunLayout, step: str) -> bool:
    """Whether a step that ended left its configuration and its record whole."""
    try:
        _check_step(layout, step)
    except DataError:
        return False
    return True


def _check_step(layout: RunLayout, step: str) -> None:
    read_step_config(layout, step)
    read_record(layout, step)


def read_whole_run(path: Path) -> Run:
    """Read a run that ended with every record in place; nothing less may be compared, pointed to or verified.

    Raises:
        DataError: The run is not finished, failed, or a file of it is missing or broken (``RunIncomplete``).
    """
    run = read_checked_run(path)
    if run.status.phase is not Phase.SUCCEEDED:
        raise build_incomplete(path, f"its phase is {run.status.phase}, not Succeeded")
    return run


def repair_status(layout: RunLayout) -> None:
    """Begin the status anew where its file is broken, which is kept beside it: the steps' files say what was done.

    Raises:
        DataError: The week job, which nothing can stand in for, is broken too.
    """
    _read_model(layout.weekjob, WeekJob)
    try:
        _read_model(layout.status, WeekJobStatus)
    except DataError:
        with explain_os_errors(layout.status), contextlib.suppress(FileNotFoundError):
            layout.status.rename(layout.status.with_suffix(".broken.json"))
        write_status(layout, WeekJobStatus())


def read_step_config(layout: RunLayout, step: str) -> dict[str, Any]:
    """Read the configuration that a step ran with.

    Raises:
        DataError: It is missing or broken.
    """
    return _read_yaml(layout.stage(step).config)


def write_step_config(layout: RunLayout, step: ResolvedStep) -> None:
    """Write a step's configuration, as its program reads it."""
    write_text_atomic(layout.stage(step.name).config, _dump_yaml(step.config.model_dump(mode="json")))


def _dump_yaml(document: dict[str, Any]) -> str:
    """Write YAML with its end marker: the beginning of a YAML file is often valid YAML itself."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, explicit_end=True)


def _read_model(path: Path, model: type[_Model]) -> _Model:
    document = _read_yaml(path) if path.suffix == ".yaml" else _read_json(path)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise build_incomplete(path, list_problems(error, model)[0]) from error


def _read_json(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise build_incomplete(path, f"not whole JSON ({error})") from error
    return _require_mapping(path, document)


def _read_yaml(path: Path) -> dict[str, Any]:
    text = _read_text(path)
    if not text.endswith(_YAML_END):
        raise build_incomplete(path, "its end is missing")
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise build_incomplete(path, "not whole YAML") from error
    return _require_mapping(path, document)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise build_incomplete(path, "the file is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise build_incomplete(path, str(error)) from error


def _require_mapping(path: Path, document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise build_incomplete(path, f"expected a mapping, got {type(document).__name__}")
    return document
