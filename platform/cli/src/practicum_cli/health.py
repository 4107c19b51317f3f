"""The checks of ``practicum doctor``: which stages this machine can run, and how to fix the rest. Read-only."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from practicum_cli.environments import find_python, find_uv
from practicum_cli.locks import read_pins
from practicum_core.curriculum import list_declared_stages
from practicum_core.errors import PracticumError
from practicum_core.machine import count_usable_cores, get_cache_dir, list_gpus, read_memory_limit
from practicum_core.stages import STAGES, StageSpec

State = Literal["ok", "note", "missing"]
_GIB = 1 << 30
_MIN_PYTHON = (3, 11)
_MIN_MEMORY_GIB = 6.0
"""What fine-tuning the course's small model takes with room to spare."""
_MIN_FREE_GIB = 12.0
"""The training environment, the model and the runs of three weeks."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. ``missing`` stops something from running; ``note`` only limits it."""

    name: str
    state: State
    found: str
    hint: str = ""


def check_machine(experiments: Path) -> list[Check]:
    """Look at the machine itself."""
    memory_gib = read_memory_limit() / _GIB
    gpus = list_gpus()
    return [
        _check_python(),
        Check("cores", "ok", str(count_usable_cores())),
        Check("memory", "ok", f"{memory_gib:.1f} GiB")
        if memory_gib >= _MIN_MEMORY_GIB
        else Check("memory", "note", f"{memory_gib:.1f} GiB", f"fine-tuning wants {_MIN_MEMORY_GIB:.0f} GiB"),
        _check_disk("disk of the cache", get_cache_dir(), _MIN_FREE_GIB),
        _check_disk("disk of the runs", experiments, 1.0),
        Check("GPU", "ok", "; ".join(gpus)) if gpus else Check("GPU", "note", "none", "the profile is quick"),
        _check_program("git", "runs do not record the code's commit", "note"),
        _check_program("gcc", "some kernels are not compiled", "note"),
        _check_uv(),
        _check_cache(),
    ]


def check_stages() -> list[Check]:
    """Say of each stage whether it can run here."""
    implemented = [_check_stage(stage) for stage in STAGES.values()]
    declared = [Check(name, "note", "not in this version") for name in list_declared_stages()]
    return implemented + declared


def _check_stage(stage: StageSpec) -> Check:
    try:
        python = find_python(stage.environment)
        size = len(read_pins(stage.environment))
    except PracticumError as error:
        return Check(stage.name, "missing", error.detail, error.fix)
    if python is not None:
        return Check(stage.name, "ok", f"environment '{stage.environment}' is made")
    return Check(
        stage.name,
        "ok",
        f"environment '{stage.environment}' ({size} packages) is made on first use",
        "needs the package index once",
    )


def _check_python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info >= _MIN_PYTHON:
        return Check("python", "ok", found)
    return Check("python", "missing", found, "use Python 3.11 or later")


def _check_disk(name: str, folder: Path, need_gib: float) -> Check:
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free_gib = shutil.disk_usage(existing).free / _GIB
    found = f"{free_gib:.1f} GiB free at {existing}"
    if not existing.is_dir():
        return Check(name, "missing", f"{existing} is a file, not a folder", "choose another folder")
    if not os.access(existing, os.W_OK):
        return Check(name, "missing", f"{existing} cannot be written", "choose a folder you own")
    if free_gib < need_gib:
        return Check(name, "note", found, f"a first run of all weeks wants {need_gib:.0f} GiB")
    return Check(name, "ok", found)


def _check_program(name: str, without: str, state: State) -> Check:
    path = shutil.which(name)
    return (
        Check(name, "ok", path)
        if path
        else Check(name, state, "not on the path", f"install {name}: without, {without}")
    )


def _check_uv() -> Check:
    try:
        return Check("uv", "ok", str(find_uv()))
    except PracticumError as error:
        return Check("uv", "missing", error.detail, error.fix)


def _check_cache() -> Check:
    folder = get_cache_dir()
    return Check("cache", "ok", f"{_measure(folder) / _GIB:.1f} GiB in {folder}")


def _measure(folder: Path) -> int:
    """Return the bytes on disk of all files below the folder, each once however many names it has, as uv gives it.

    There may be a million, so no path is built for each.
    """
    blocks, waiting, seen = 0, [os.fspath(folder)], set()
    while waiting:
        # What another process removes meanwhile, and what may not be read, counts nothing.
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    found = entry.stat(follow_symlinks=False)
                    if found.st_nlink == 1 or (found.st_dev, found.st_ino) not in seen:
                        blocks += found.st_blocks
                        seen.add((found.st_dev, found.st_ino))
    return blocks * 512  # whatever the file system (POSIX, sys/stat.h)
