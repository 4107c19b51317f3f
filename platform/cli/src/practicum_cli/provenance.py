"""Facts about the surroundings of a run: code, packages, machine. Never a secret."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from practicum_cli.locks import get_requirements_dir, hash_lock, read_pins
from practicum_core.environment import CodeVersion, Repository, RunEnvironment, mask_secrets
from practicum_core.machine import get_num_threads, read_hardware
from practicum_core.stage_process import hash_stage_sources

_GIT_TIMEOUT_S = 20
_MAX_UNTRACKED_BYTES = 1_000_000
_STEERING = (
    "CUDA_VISIBLE_DEVICES",
    "HF_ENDPOINT",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "PRACTICUM_CACHE",
    "PRACTICUM_EXPERIMENTS",
)


def build_environment(environments: Iterable[str], command: Sequence[str]) -> tuple[RunEnvironment, str]:
    """Describe the surroundings of a run that starts now.

    Args:
        environments: Names of the environments that the run's steps need.
        command: The command line.

    Returns:
        The record, and the text of the code's changes that no commit holds (empty where there are none).
    """
    names = sorted(set(environments))
    code, diff = read_code_version()
    record = RunEnvironment(
        created_at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        command=[mask_secrets(word) for word in command],
        code=code,
        locks={name: hash_lock(name) for name in names},
        packages={name: read_pins(name) for name in names},
        python=platform.python_version(),
        platform=platform.platform(),
        hardware=read_hardware(),
        num_threads=get_num_threads(),
        variables={key: mask_secrets(os.environ[key]) for key in _STEERING if key in os.environ},
    )
    return record, diff


def read_code_version() -> tuple[CodeVersion, str]:
    """Return which code runs now and the changes that no commit holds."""
    checkout = _find_checkout()
    repository, diff = read_repository(checkout) if checkout else (None, "")
    here = Path.cwd()
    is_elsewhere = checkout is None or not here.is_relative_to(checkout)
    workspace = read_repository(here)[0] if is_elsewhere else None
    version = CodeVersion(
        version=_get_version(), source_sha256=hash_stage_sources(), repository=repository, workspace=workspace
    )
    return version, diff


def read_repository(folder: Path) -> tuple[Repository | None, str]:
    """Return the state of the git work tree that holds ``folder``, and the text of its changes.

    ``None`` where there is no work tree, no commit yet, or no git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, ""
    root = Path((_git(folder, "rev-parse", "--show-toplevel") or str(folder)).strip())
    diff = _git(root, "diff", "--binary", "HEAD") or ""
    untracked = _describe_untracked(root)
    changes = diff + untracked
    digest = hashlib.sha256(changes.encode()).hexdigest() if changes else None
    return Repository(commit=commit.strip(), is_dirty=bool(changes), diff_sha256=digest), changes


def _describe_untracked(root: Path) -> str:
    listing = _git(root, "ls-files", "--others", "--exclude-standard", "-z") or ""
    lines = [f"untracked {_hash_small(root / name)}  {name}\n" for name in listing.split("\0") if name]
    return "".join(sorted(lines))


def _hash_small(path: Path) -> str:
    try:
        size = path.stat().st_size
        return hashlib.sha256(path.read_bytes()).hexdigest() if size <= _MAX_UNTRACKED_BYTES else f"{size}-bytes"
    except OSError:
        return "unreadable"


def _find_checkout() -> Path | None:
    root = get_requirements_dir().parent
    return root if (root / ".git").exists() else None


def _get_version() -> str:
    try:
        return metadata.version("practicum")
    except metadata.PackageNotFoundError:
        return "0+checkout"


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    variables = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        result = subprocess.run(command, capture_output=True, env=variables, timeout=_GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.decode(errors="replace") if result.returncode == 0 else None


def get_command_line() -> list[str]:
    """Return the command line of this process as a person would type it."""
    return ["practicum", *sys.argv[1:]]
