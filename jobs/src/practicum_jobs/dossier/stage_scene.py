"""A stage of the platform as the repro: a run directory in which it finds the inputs of the failed run.

The rows of one split are those of the material; every other split, the files of earlier steps and earlier runs are the
original ones, reached by links. The cache is one of the execution's own: no execution leaves rows in the real one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from practicum_core.curriculum import get_unit
from practicum_core.dossier_files import Repro, Symptom
from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.machine import get_cache_dir
from practicum_core.rows import Row
from practicum_core.stage_process import EXPERIMENTS_VARIABLE, PROGRAM, build_stage_arguments
from practicum_core.stages import get_stage
from practicum_core.stages.snapshot import DataLock
from practicum_jobs.datasets.store import get_split_path, read_data_lock, write_data_lock, write_split
from practicum_jobs.dossier.material import CONFIG, ROWS

RUN = "run"
_MODEL_PACKAGE = "PRACTICUM_MODEL_PACKAGE"
_OBJECTS = "objects"
_MAX_LOG_BYTES = 200_000


@dataclass(frozen=True)
class StageScene:
    """How a stage is executed for a repro."""

    repro: Repro

    @property
    def original(self) -> RunLayout:
        """The failed run."""
        return RunLayout(Path(self.repro.run))

    def build_arguments(self) -> list[str]:
        """Build the arguments of the interpreter."""
        own = build_stage_arguments(RunLayout(Path(RUN)), self.repro.stage, self.repro.step)
        return [*PROGRAM, *(CONFIG if one.endswith(CONFIG) else one for one in own)]

    def build_variables(self, place: Path) -> dict[str, str]:
        """Build what the stage needs beside the variables of every execution."""
        package = {_MODEL_PACKAGE: os.environ[_MODEL_PACKAGE]} if _MODEL_PACKAGE in os.environ else {}
        experiments = self.original.root.parent.parent
        return {**package, "PRACTICUM_CACHE": str(place / "cache"), EXPERIMENTS_VARIABLE: str(experiments)}

    def prepare(self, place: Path) -> None:
        """Make the run directory and the cache.

        Raises:
            DataError: The failed run, or a split of it, is gone.
        """
        run, cache = RunLayout(place / RUN), place / "cache"
        run.stages.mkdir(parents=True)
        if not self.original.weekjob.exists():
            raise DataError(f"{self.original.root}: the failed run is gone", "put it back, or write a program as repro")
        for path in self.original.root.iterdir():
            if path.is_file() and path.suffix in {".yaml", ".json"}:
                shutil.copyfile(path, run.root / path.name)
        for step in self.original.stages.iterdir():
            if step.name != self.repro.step:
                (run.stages / step.name).symlink_to(step, target_is_directory=True)
        _link_cache(cache)
        if self.repro.split:
            self._freeze(run, cache, place / ROWS)

    def _freeze(self, run: RunLayout, cache: Path, rows: Path) -> None:
        lock = read_data_lock(self.original)
        for split in lock.splits.values():
            source, target = (get_split_path(split.sha256, one) for one in (get_cache_dir(), cache))
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.exists() and not target.exists():
                target.symlink_to(source)
        lines = rows.read_text(encoding="utf-8").split("\n")
        own = write_split((Row.model_validate_json(line) for line in lines if line), cache)
        splits = {**lock.splits, self.repro.split: own}
        write_data_lock(run, DataLock(uri=lock.uri, generator_version=lock.generator_version, splits=splits))

    def read_symptom(self, place: Path, log: str) -> Symptom | None:
        """Read how the stage failed; ``None`` where it left no error."""
        return read_stage_symptom(RunLayout(place / RUN), self.repro.step, log)


def read_stage_symptom(run: RunLayout, step: str, log: str) -> Symptom | None:
    """Return the reason and the first clause of a step's error; of a fault of the stage itself, the end of its log.

    A step that was stopped has not failed: one that hung is stopped by a person.
    """
    error = read_json_or_empty(run.stage(step).error)
    if not error or error.get("reason") == Reason.STOPPED:
        return None
    reason, detail = str(error.get("reason")), str(error.get("detail"))
    if reason == Reason.INTERNAL:
        detail = ([line.strip() for line in log.splitlines() if line.strip()] or [detail])[-1]
    return Symptom(reason=reason, text=detail.partition(";")[0][:300])


def _link_cache(cache: Path) -> None:
    cache.mkdir()
    real = get_cache_dir()
    for path in real.iterdir() if real.is_dir() else []:
        if path.name != _OBJECTS:
            (cache / path.name).symlink_to(path)


def copy_failed_run(run: RunLayout, step: str, folder: Path) -> None:
    """Copy what tells of a failure: the files of the run directory, and error, options, curves and log of the step."""
    folder.mkdir(parents=True, exist_ok=True)
    layout = run.stage(step)
    for path in [*sorted(run.root.iterdir()), layout.error, layout.config, layout.metrics]:
        if path.is_file() and not path.name.startswith("."):
            shutil.copyfile(path, folder / path.name)
    if layout.log.exists():
        (folder / layout.log.name).write_bytes(layout.log.read_bytes()[-_MAX_LOG_BYTES:])


def write_repro(run: RunLayout, step: str, folder: Path, timeout_s: float) -> Repro:
    """Write configuration and rows of a failed step as the material of a repro, and return what is executed.

    Args:
        run: The run.
        step: The step.
        folder: Made here.
        timeout_s: After that an execution counts as hung.

    Raises:
        ConfigError: The step left no configuration, or its stage is a server.
    """
    config = run.stage(step).config
    if not config.exists():
        raise ConfigError(f"{config}: step {step} was never started", "name a step that failed with --step")
    folder.mkdir(parents=True)
    document = yaml.safe_load(config.read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    spec = get_stage(find_stage(run, step))
    if spec.is_server:
        raise ConfigError(f"{step}: a server ends only when it is stopped", "make a program that asks it for the repro")
    splits = spec.config.model_validate(document).list_splits() if run.data_lock.exists() else ()
    if splits:
        shutil.copyfile(_find_rows(run, splits), folder / ROWS)
    return Repro(
        kind="stage",
        environment=spec.find_environment(spec.config.model_validate(document)),
        stage=spec.name,
        step=step,
        run=str(run.root.resolve()),
        split=splits[0] if splits else "",
        timeout_s=timeout_s,
    )


def find_stage(run: RunLayout, step: str) -> str:
    """Return the stage of a step of a run, by its unit.

    Raises:
        ConfigError: The unit has no such step.
    """
    spec = yaml.safe_load(run.weekjob.read_text(encoding="utf-8"))["spec"]
    stages = {one.name: one.stage for one in get_unit(spec["unit"], spec.get("variant", 10)).steps}
    if step not in stages:
        raise ConfigError(f"{run.root}: no step '{step}'", f"steps: {', '.join(stages)}")
    return stages[step]


def _find_rows(run: RunLayout, splits: Sequence[str]) -> Path:
    lock = read_data_lock(run)
    path = get_split_path(lock.splits[splits[0]].sha256, get_cache_dir())
    if not path.exists():
        raise DataError(f"{path}: the rows of split {splits[0]} are gone", "run the snapshot step again")
    return path
