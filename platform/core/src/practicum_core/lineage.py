"""What a run is built on: references to earlier runs, resolved once to paths and content hashes.

The file ``lineage.lock.json`` of a run directory keeps them, and every step that reads one checks its hash again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from practicum_core.atomic import explain_os_errors, write_json_atomic
from practicum_core.content_hash import hash_path
from practicum_core.earlier_runs import find_target, locate
from practicum_core.errors import ConfigError, DataError, PlatformError, Reason
from practicum_core.file_lock import lock_within
from practicum_core.layout import RunLayout
from practicum_core.problems import list_problems
from practicum_core.references import Reference, Wanted, parse_reference
from practicum_core.stages.base import ContentKind

_LOCK_WAIT_S = 60.0
"""Another pod that starts with the run hashes what it is built on meanwhile."""
_SHORT_HASH = 12


class BuiltOn(BaseModel):
    """One earlier run that a run is built on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reference: str = Field(description="As the week job says it.")
    kind: ContentKind | None = Field(default=None, description="What was wanted, where the reference has no path.")
    unit: str
    run_id: str
    path: str = Field(description="Relative to that run's directory.")
    sha256: str = Field(description="Of the file, or of the sorted list of the folder's files and their hashes.")

    @property
    def run(self) -> str:
        """The run as people name it."""
        return f"{self.unit}/{self.run_id}"


class Lineage(BaseModel):
    """The file ``lineage.lock.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    built_on: list[BuiltOn] = Field(default_factory=list)

    def find(self, reference: Reference, kind: ContentKind) -> BuiltOn | None:
        """Return what a reference was resolved to in an option that takes ``kind``."""
        wanted = None if reference.path else kind
        return next((one for one in self.built_on if (one.reference, one.kind) == (str(reference), wanted)), None)

    def name_run(self, text: str) -> str:
        """Return a reference by the id of the run that it was resolved to; any other text as it is.

        >>> one = BuiltOn(reference="latest:sft", unit="sft", run_id="20260102t030405-0a1b2c", path="x", sha256="0")
        >>> Lineage(built_on=[one]).name_run("latest:sft")
        'run:20260102t030405-0a1b2c'
        """
        found = next((one for one in self.built_on if one.reference == text), None)
        reference = parse_reference(text) if found else None
        return text if found is None or reference is None else str(Reference("run", found.run_id, reference.path))

    def find_hash(self, text: str) -> str | None:
        """Return the short hash of what a text of the week job was resolved to; ``None`` where it is no reference."""
        hashes = [one.sha256[:_SHORT_HASH] for one in self.built_on if one.reference == text]
        return f"sha256:{' '.join(hashes)}" if hashes else None


def resolve_references(wanted: Iterable[Wanted], experiments: Path, variant: int, own_run: str = "") -> Lineage | None:
    """Resolve references against a folder of runs; ``None`` where there are none.

    Args:
        wanted: The references.
        experiments: Folder of all runs; nothing outside it can be named.
        variant: Length of the course, which numbers the weeks.
        own_run: The run that asks, as UNIT/RUN_ID, which cannot be built on itself.

    Raises:
        ConfigError: A reference names nothing, or leads out of the folder.
    """
    found = [_resolve(one, experiments, variant, own_run) for one in wanted]
    return Lineage(built_on=found) if found else None


def ensure_lineage(run: RunLayout, wanted: Iterable[Wanted], experiments: Path, variant: int) -> Lineage | None:
    """Return the lineage of a run, resolving and writing down what its lock does not hold yet.

    Raises:
        ConfigError: A reference names nothing, or leads out of the folder.
        DataError: The lock is broken.
        PlatformError: Another pod holds the lock for too long, or the disk refused.
    """
    wanted = list(wanted)
    if not wanted:
        return read_lineage(run)
    guard = run.root / ".lineage.lock"
    with explain_os_errors(guard):
        run.root.mkdir(parents=True, exist_ok=True)
        handle = guard.open("w")
    with handle:
        if not lock_within(handle.fileno(), _LOCK_WAIT_S):
            raise PlatformError(Reason.RUN_BUSY, f"{guard}: another process resolves the references", "try again")
        known = read_lineage(run) or Lineage()
        missing = [one for one in wanted if not _is_known(known, one)]
        added = resolve_references(missing, experiments, variant, f"{run.root.parent.name}/{run.root.name}")
        if added is None:
            return known
        lineage = Lineage(built_on=[*known.built_on, *added.built_on])
        write_lineage(run, lineage)
        return lineage


def write_lineage(run: RunLayout, lineage: Lineage) -> None:
    """Write ``lineage.lock.json`` of a run, whole or not at all."""
    write_json_atomic(run.lineage_lock, lineage.model_dump(mode="json"))


def read_lineage(run: RunLayout) -> Lineage | None:
    """Read ``lineage.lock.json`` of a run; ``None`` for a run that is built on no other.

    Raises:
        DataError: The file is broken.
    """
    try:
        return Lineage.model_validate_json(run.lineage_lock.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        why = list_problems(error)[0] if isinstance(error, ValidationError) else error.strerror
        raise DataError(f"{run.lineage_lock}: {why}", "start a new run", Reason.RUN_INCOMPLETE) from error


def read_whole_lineage(run: RunLayout, experiments: Path) -> Lineage | None:
    """Read the lineage of a run whose earlier runs must be there as they were.

    Raises:
        DataError: One of them is gone or changed, or the lock is broken.
    """
    lineage = read_lineage(run)
    for one in lineage.built_on if lineage else ():
        open_locked(one, experiments)
    return lineage


def find_locked(run: RunLayout, text: str, kind: ContentKind, experiments: Path) -> Path | None:
    """Return the path that an option's reference was resolved to; ``None`` for a text that is no reference.

    Raises:
        ConfigError: The reference is malformed, was never resolved, or leads out of the folder of runs.
        DataError: What it names is gone or changed.
    """
    reference = parse_reference(text)
    if reference is None:
        return None
    locked = (read_lineage(run) or Lineage()).find(reference, kind)
    if locked is None:
        raise ConfigError(f"{text}: {run.lineage_lock} does not hold it", "start a new run")
    return open_locked(locked, experiments)


def open_locked(locked: BuiltOn, experiments: Path) -> Path:
    """Return the path of what a run is built on, after checking its hash.

    Raises:
        ConfigError: It leads out of the folder of runs.
        DataError: It is gone or changed.
    """
    where = f"{locked.reference}: {locked.path} of run {locked.run}"
    try:
        path = locate(locked.run, locked.path, experiments)
    except FileNotFoundError as error:
        raise DataError(f"{where} is gone", "bring it back, or start a new run", Reason.DATA_MISSING) from error
    found = hash_path(path)
    if found != locked.sha256:
        raise DataError(
            f"{where} changed since this run started (SHA-256 {found[:12]}.., not {locked.sha256[:12]}..)",
            "bring the former files back, or start a new run",
        )
    return path


def _is_known(lineage: Lineage, wanted: Wanted) -> bool:
    return any((one.reference, one.kind) == (str(wanted.reference), wanted.kind) for one in lineage.built_on)


def _resolve(wanted: Wanted, experiments: Path, variant: int, own_run: str) -> BuiltOn:
    run, path = find_target(wanted, experiments, variant, own_run)
    unit, _, run_id = run.partition("/")
    sha256 = hash_path(locate(run, path, experiments))
    return BuiltOn(
        reference=str(wanted.reference), kind=wanted.kind, unit=unit, run_id=run_id, path=path, sha256=sha256
    )
