"""Finds the earlier run that a reference names, and the file or folder of it that is meant.

Whatever names a file, a reference or an edited pointer or lock, is held to the folder of runs: neither a name nor a
link leads out of the directory of the run that it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from practicum_core.curriculum import VARIANTS, get_unit
from practicum_core.errors import ConfigError
from practicum_core.layout import is_run_id, is_safe_name
from practicum_core.pointers import Pointers
from practicum_core.references import Reference, Wanted, is_path, parse_reference
from practicum_core.run_folders import explain_unfinished, list_runs_of_unit
from practicum_core.stages import STAGES
from practicum_core.stages.spec import Export


def find_target(wanted: Wanted, experiments: Path, variant: int, own_run: str) -> tuple[str, str]:
    """Return the run that a reference names, as UNIT/RUN_ID, and a path inside its directory where something lies.

    Args:
        wanted: The reference.
        experiments: Folder of all runs; nothing outside it can be named.
        variant: Length of the course, which numbers the weeks.
        own_run: The run that asks, as UNIT/RUN_ID, which cannot be built on itself.

    Raises:
        ConfigError: It names no finished run, nothing that the run left, or leads out of the folder.
        DataError: It names a pointer that is broken.
    """
    reference = wanted.reference
    run = _find_run(reference, experiments, variant, own_run)
    path = _find_path(wanted, run.partition("/")[0])
    try:
        locate(run, path, experiments)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{reference}: run {run} left no {path}", "name something else of it, or run it with the options it needs"
        ) from error
    return run, path


def find_run_folder(text: str, experiments: Path, own_run: str) -> Path:
    """Return the directory of the run that a reference names, finished or not: its servers may run now.

    Args:
        text: ``latest:UNIT``, ``run:RUN_ID`` or ``pointer:NAME``, without a path.
        experiments: Folder of all runs; nothing outside it can be named.
        own_run: The run that asks, as UNIT/RUN_ID, which ``latest`` does not mean.

    Raises:
        ConfigError: It names no run, or leads out of the folder.
        DataError: It names a pointer that is broken.
    """
    reference = parse_reference(text)
    if reference is None or reference.path:
        raise ConfigError(f"{text!r} names no run", "give latest:UNIT, run:RUN_ID or pointer:NAME")
    if reference.kind == "latest":
        runs = list_runs_of_unit(experiments / reference.name)
        run = next((f"{reference.name}/{one.name}" for one in reversed(runs) if not own_run.endswith(one.name)), "")
    else:
        run = _find_named(reference, experiments)
    folder = _open_run(run, experiments) if run else None
    if folder is None or not folder.is_dir():
        raise ConfigError(f"{text}: no such run in {experiments}", "`practicum status` lists the runs")
    return folder


def locate(run: str, path: str, experiments: Path) -> Path:
    """Return the path of a file or folder of a run.

    Args:
        run: The run as UNIT/RUN_ID.
        path: Relative to its directory.
        experiments: Folder of all runs.

    Raises:
        ConfigError: It leads out of the run's directory, by a name or by a link.
        FileNotFoundError: Nothing lies there.
    """
    folder = _open_run(run, experiments)
    if not is_path(path):
        raise _build_escape(f"{run}/{path}", experiments)
    try:
        resolved = (folder / path).resolve(strict=True)
        stays = resolved.is_relative_to(folder) and all(
            link.resolve().is_relative_to(folder) for link in _iter_links(resolved)
        )
        stays = stays and (resolved.is_file() or resolved.is_dir())
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError):  # a circle of links
        stays = False
    if not stays:
        raise _build_escape(f"{run}/{path}", experiments)
    return resolved


def _open_run(run: str, experiments: Path) -> Path:
    """Return the directory of a run, which may be missing but is never a link.

    Raises:
        ConfigError: The name is none of a run, or its directory is a link.
    """
    unit, _, run_id = run.partition("/")
    if not (is_safe_name(unit) and is_run_id(run_id)):
        raise _build_escape(run, experiments)
    try:
        folder = experiments.resolve() / unit / run_id
        is_own = folder.resolve() == folder
    except (OSError, RuntimeError):  # a circle of links
        is_own = False
    if not is_own:
        raise _build_escape(run, experiments)
    return folder


def _iter_links(target: Path) -> Iterator[Path]:
    if target.is_dir():
        yield from (entry for entry in target.rglob("*") if entry.is_symlink())


def _build_escape(what: str, experiments: Path) -> ConfigError:
    return ConfigError(
        f"{what!r} leads out of the run's own directory, by its name or by a link",
        f"name files that a run below {experiments} made itself",
    )


def _find_run(reference: Reference, experiments: Path, variant: int, own_run: str) -> str:
    """Return the finished run that a reference names, as UNIT/RUN_ID."""
    if reference.kind == "latest":
        return _find_latest(reference, experiments, variant, own_run)
    run = _find_named(reference, experiments)
    _require_finished(reference, run, experiments)
    if run == own_run:
        raise ConfigError(f"{reference}: a run cannot be built on itself", "name an earlier run")
    return run


def _find_named(reference: Reference, experiments: Path) -> str:
    """Return the run that a pointer or an id names, as UNIT/RUN_ID."""
    if reference.kind == "pointer":
        return Pointers(experiments).read(reference.name)
    units = sorted(path.parent.name for path in experiments.glob(f"*/{reference.name}"))
    if not units:
        raise ConfigError(f"{reference}: no such run in {experiments}", "`practicum status` lists the runs")
    if len(units) > 1:
        raise ConfigError(f"{reference}: runs of {', '.join(units)} have this id", "say latest:UNIT instead")
    return f"{units[0]}/{reference.name}"


def _require_finished(reference: Reference, run: str, experiments: Path) -> None:
    folder = _open_run(run, experiments)
    if not folder.is_dir():
        raise ConfigError(f"{reference}: run {run} is not in {experiments}", "`practicum status` lists the runs")
    why = explain_unfinished(folder, run.partition("/")[0])
    if why:
        raise ConfigError(f"{reference}: run {run} is not finished: {why}", "let it end, or name another run")


def _find_latest(reference: Reference, experiments: Path, variant: int, own_run: str) -> str:
    unit = choose_unit(reference.name, variant)
    runs = [run for run in list_runs_of_unit(experiments / unit) if f"{unit}/{run.name}" != own_run]
    for run in reversed(runs):
        if not explain_unfinished(_open_run(f"{unit}/{run.name}", experiments), unit):
            return f"{unit}/{run.name}"
    weeks = VARIANTS[variant]
    week = f"week-{weeks.index(unit) + 1:02d}" if unit in weeks else unit
    unfinished = f", only {len(runs)} unfinished" if runs else ""
    raise ConfigError(f"{reference}: no finished run of {week} in {experiments}{unfinished}", f"run {week} first")


def choose_unit(name: str, variant: int) -> str:
    """Return the unit whose runs are meant: in a shorter course, the one that has the named one's content."""
    unit = get_unit(name, variant).name
    weeks = VARIANTS[variant]
    merged = (week for week in weeks if unit in get_unit(week, variant).merges)
    return unit if unit in weeks else next(merged, unit)


def _find_path(wanted: Wanted, unit: str) -> str:
    """Return the path that a reference means inside a run of ``unit``: of an export, or as it is written.

    Where several steps of a unit export the same, the last one made what the unit ends with.
    """
    reference = wanted.reference
    exports = [
        (f"stages/{step.name}/{export.path}", name, export)
        for step in reversed(get_unit(unit).steps)
        for name, export in (STAGES[step.stage].exports if step.stage in STAGES else {}).items()
    ]
    for path, name, export in exports:
        if _is_meant(wanted, name, export):
            return path
    if reference.path:
        return reference.path
    named = ", ".join(f"{reference}/{name}" for _, name, _ in exports)
    raise ConfigError(
        f"{reference}: a run of {unit} exports no {wanted.kind}", f"give {named}" if named else "name another run"
    )


def _is_meant(wanted: Wanted, name: str, export: Export) -> bool:
    return name == wanted.reference.path if wanted.reference.path else export.kind == wanted.kind
