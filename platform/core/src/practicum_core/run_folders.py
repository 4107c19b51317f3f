"""Run directories below a folder of runs: which there are, how old they are, and which of them are finished.

A finished run ended with every record in place. A run on a laptop says so in its status too; one on a cluster has its
status in the custom resource, and its records in the workspace.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from practicum_core.curriculum import get_unit
from practicum_core.errors import ConfigError, DataError
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout, is_run_id
from practicum_core.phases import Phase
from practicum_core.stages import STAGES
from practicum_core.step_files import read_record


def iter_run_dirs(root: Path) -> Iterator[Path]:
    """Yield every run directory ``<root>/<unit>/<run-id>``, whole or not, by unit and age."""
    if not root.is_dir():
        return
    for unit in sorted(root.iterdir()):
        if unit.is_dir() and not unit.name.startswith("."):
            yield from (run.resolve() for run in list_runs_of_unit(unit))


def list_runs_of_unit(folder: Path) -> list[Path]:
    """List the run directories of a unit's folder, the oldest first; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted((run for run in folder.iterdir() if is_run_id(run.name) and run.is_dir()), key=get_age)


def get_age(run: Path) -> tuple[str, int, str]:
    """Return what sorts runs by age: the second in their id, then when their week job was written."""
    try:
        written_ns = RunLayout(run).weekjob.stat().st_mtime_ns
    except OSError:
        written_ns = 0
    return run.name.partition("-")[0], written_ns, run.name


def explain_unfinished(run: Path, unit: str) -> str:
    """Say why a run is not finished; empty where it is.

    Servers leave no record that later runs could need, and are not asked for one.
    """
    layout = RunLayout(run)
    if layout.status.exists():
        phase = read_json_or_empty(layout.status).get("phase")
        if phase != Phase.SUCCEEDED:
            return f"its phase is {phase or 'not known'}, not Succeeded"
    try:
        for step in get_unit(unit).steps:
            if step.stage in STAGES and not STAGES[step.stage].is_server:
                read_record(layout, step.name)
    except (ConfigError, DataError) as error:
        return error.detail
    return ""
