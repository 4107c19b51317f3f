"""The seal of an evidence pack: hashes of the files that it was built from, and what changed in them since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from practicum_core.content_hash import hash_path
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout, resolve_inside
from practicum_core.stages import STAGES


@dataclass(frozen=True)
class BrokenSeal:
    """A file that is not as it was when the pack was built. ``now`` is empty where it is gone."""

    path: str
    was: str
    now: str


def seal_run(run: RunLayout) -> dict[str, str]:
    """Return the SHA-256 of the files that an evidence pack is built from, by path in the run directory.

    What the report itself writes is left out, and so are servers: their records follow the pack.
    """
    paths = [run.environment, run.data_lock, run.model_lock, run.lineage_lock, run.control]
    for folder in sorted(run.stages.iterdir()) if run.stages.is_dir() else ():
        step = run.stage(folder.name)
        spec = STAGES.get(str(read_json_or_empty(step.record).get("stage")))
        if spec is not None and not spec.is_server and not spec.is_presentation:
            paths += [step.config, step.record, step.samples]
    return {path.relative_to(run.root).as_posix(): hash_path(path) for path in paths if path.is_file()}


def find_broken_seals(run: RunLayout, sealed: Mapping[str, str]) -> list[BrokenSeal]:
    """List the files that changed or went since a run was sealed.

    Raises:
        ConfigError: A path leads out of the run directory.
    """
    found = []
    for path, was in sealed.items():
        file = resolve_inside(run.root, path)
        now = hash_path(file) if file.is_file() else ""
        if now != was:
            found.append(BrokenSeal(path, was, now))
    return found
