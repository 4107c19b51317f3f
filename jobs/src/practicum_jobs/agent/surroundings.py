"""Facts about an image and the machine under it, for ``build.json`` and ``environment.json``.

A run on a cluster has several surroundings, one for each pod. The first pod writes the file; every later one adds its
own lock and packages, and its hardware where it is more, since a GPU or more memory is what made the numbers.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from practicum_core.environment import CodeVersion, Hardware, Repository, RunEnvironment, mask_secrets
from practicum_core.machine import get_num_threads, read_hardware
from practicum_core.stage_process import hash_stage_sources

BUILD_FILE = Path("/opt/practicum/build.json")
BUILD_FILE_VARIABLE = "PRACTICUM_BUILD_FILE"
COMMAND = ("python", "-m", "practicum_jobs.agent")
_STEERING = ("CUDA_VISIBLE_DEVICES", "HF_ENDPOINT", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "PRACTICUM_CACHE")


class Build(BaseModel):
    """What is known about an image from its build."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = Field(description="Environment whose lock filled the image.")
    lock_sha256: str
    version: str
    source_sha256: str = Field(description="Of every source file of the packages that stages run.")
    repository: Repository | None = Field(default=None, description="Checkout that the image was built from.")


def read_build(variables: Mapping[str, str], environment: str) -> Build:
    """Read what the image says about itself; outside an image, what its sources say."""
    path = Path(variables.get(BUILD_FILE_VARIABLE, BUILD_FILE))
    try:
        return Build.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Build(environment=environment, lock_sha256="", version="0+source", source_sha256=hash_stage_sources())


def build_environment(build: Build, variables: Mapping[str, str]) -> RunEnvironment:
    """Describe the surroundings of this pod."""
    return RunEnvironment(
        created_at=dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        command=list(COMMAND),
        code=CodeVersion(version=build.version, source_sha256=build.source_sha256, repository=build.repository),
        locks={build.environment: build.lock_sha256},
        packages={build.environment: list_packages()},
        python=platform.python_version(),
        platform=platform.platform(),
        hardware=read_hardware(),
        num_threads=get_num_threads(),
        variables={key: mask_secrets(variables[key]) for key in _STEERING if key in variables},
    )


def list_packages() -> dict[str, str]:
    """List the distributions of this interpreter with their versions."""
    found = metadata.distributions(path=[entry for entry in sys.path if entry.startswith(sys.prefix + os.sep)])
    pairs = ((entry.metadata["Name"], entry.version) for entry in found)
    return {name.lower(): version for name, version in sorted(pairs) if name}


def merge_environments(first: RunEnvironment, later: RunEnvironment) -> RunEnvironment:
    """Add the surroundings of a later pod to those of a run."""
    is_more = _weigh(later.hardware) > _weigh(first.hardware)
    return first.model_copy(
        update={
            "locks": {**later.locks, **first.locks},
            "packages": {**later.packages, **first.packages},
            "hardware": later.hardware if is_more else first.hardware,
            "num_threads": later.num_threads if is_more else first.num_threads,
        }
    )


def read_environment(path: Path) -> RunEnvironment | None:
    """Read the surroundings that earlier pods wrote down; ``None`` where there are none, or none that are whole."""
    try:
        return RunEnvironment.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _weigh(hardware: Hardware) -> tuple[int, int]:
    return len(hardware.gpus), hardware.memory_bytes
