"""The links of the chain: whether a week's files, artifacts, data, packages and foundations are what it recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from practicum_core.agreement import Agreement
from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError, DataError
from practicum_core.layout import resolve_inside
from practicum_core.lineage import BuiltOn, open_locked
from practicum_core.pointers import Pointers
from practicum_core.references import parse_reference
from practicum_core.seal import find_broken_seals
from practicum_core.stages.base import Failure
from practicum_core.stages.snapshot import SplitLock
from practicum_core.step_files import iter_records
from practicum_jobs.capstone.weeks import Week

PresentData = Mapping[str, Mapping[str, SplitLock] | str]
"""By the address of a data set, its splits as they are today, or why it cannot be read any more."""
_SHORT = 12
_SHOWN = 5


def find_breaks(week: Week, now: Week, data: PresentData, experiments: Path) -> Iterator[Failure]:
    """Yield what does not hold of a week, each in one sentence that names it.

    Args:
        week: The week.
        now: The present run, with the packages of today.
        data: The splits that the weeks' addresses give today.
        experiments: Folder of all runs.
    """
    yield from _find_changed_records(week)
    yield from _find_changed_artifacts(week)
    yield from _find_changed_data(week, data)
    yield from _find_changed_packages(week, now)
    if week.verified == Agreement.DIFFERENT:
        yield _tell(week, "verification_differs", "practicum verify", "see verification.json of its last execution")
    for one in week.lineage.built_on:
        yield from _find_changed_foundation(week, one, experiments)


def count_hashes(week: Week) -> int:
    """Count the files and artifacts of a week whose hashes are compared."""
    return len(week.evidence.sealed) + sum(len(record.artifacts) for _, record in iter_records(week.layout))


def _find_changed_records(week: Week) -> Iterator[Failure]:
    if not week.evidence.sealed:
        yield _tell(week, "unsealed", "evidence.json", "a version without seals built its evidence: run the week again")
    for broken in find_broken_seals(week.layout, week.evidence.sealed):
        if broken.now:
            said = f"SHA-256 {broken.now[:_SHORT]}.., {broken.was[:_SHORT]}.. when the evidence was built"
            yield _tell(week, "record_changed", broken.path, said)
        else:
            yield _tell(week, "record_missing", broken.path, "it was there when the evidence was built")


def _find_changed_artifacts(week: Week) -> Iterator[Failure]:
    for step, record in iter_records(week.layout):
        for artifact in record.artifacts:
            where = f"{step}: {artifact.path}"
            try:
                path = resolve_inside(week.layout.root, artifact.path)
            except ConfigError as error:
                yield _tell(week, "artifact_changed", where, error.detail)
                continue
            if not path.exists():
                yield _tell(
                    week, "artifact_missing", where, f"the step left it with SHA-256 {artifact.sha256[:_SHORT]}.."
                )
                continue
            found = hash_path(path)
            if found != artifact.sha256:
                said = f"SHA-256 {found[:_SHORT]}.., {artifact.sha256[:_SHORT]}.. when the step ended"
                yield _tell(week, "artifact_changed", where, said)


def _find_changed_data(week: Week, data: PresentData) -> Iterator[Failure]:
    if week.data is None or week.data.uri not in data:
        return
    splits = data[week.data.uri]
    if isinstance(splits, str):
        yield _tell(week, "data_unreadable", week.data.uri, splits)
        return
    for name, split in week.data.splits.items():
        present = splits.get(name)
        if present is None or present.sha256 != split.sha256:
            found = "it is gone" if present is None else f"SHA-256 {present.sha256[:_SHORT]}.. by now"
            said = f"{found}, {split.sha256[:_SHORT]}.. with {split.num_rows} rows in that week ({week.data.uri})"
            yield _tell(week, "data_changed", f"split {name}", said)


def _find_changed_packages(week: Week, now: Week) -> Iterator[Failure]:
    if week.environment is None or now.environment is None:
        return
    for name, lock in week.environment.locks.items():
        present = now.environment.locks.get(name)
        if present is not None and present != lock:
            before, after = (one.environment.packages.get(name, {}) for one in (week, now) if one.environment)
            named = [
                f"{package} {before.get(package, 'absent')} -> {after.get(package, 'absent')}"
                for package in sorted({*before, *after})
                if before.get(package) != after.get(package)
            ]
            shown = ", ".join(named[:_SHOWN]) + (f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else "")
            said = shown or f"lock {present[:_SHORT]}.., {lock[:_SHORT]}.. in that week"
            yield _tell(week, "package_changed", f"environment {name}", said)
    if week.environment.code.source_sha256 != now.environment.code.source_sha256:
        said = "the repeated steps tell whether it changes a result"
        yield _tell(week, "code_changed", f"version {week.environment.code.version}", said)


def _find_changed_foundation(week: Week, one: BuiltOn, experiments: Path) -> Iterator[Failure]:
    try:
        open_locked(one, experiments)
    except (ConfigError, DataError) as error:
        yield _tell(week, "foundation_changed", one.reference, error.detail)
    reference = parse_reference(one.reference)
    if reference is None or reference.kind != "pointer":
        return
    try:
        leads_to = Pointers(experiments).read(reference.name)
    except (ConfigError, DataError) as error:
        yield _tell(week, "pointer_moved", one.reference, error.detail)
        return
    if leads_to != one.run:
        yield _tell(week, "pointer_moved", one.reference, f"it leads to {leads_to}; the week was built on {one.run}")


def _tell(week: Week, kind: str, where: str, said: str) -> Failure:
    return Failure(kind=kind, where=f"{week.name}: {where}", text=said)
