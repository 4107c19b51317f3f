"""The models of ``environment.json``: code, packages and machine of a run. Secrets are masked."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET_ARGUMENT = re.compile(r"(?i)((?:token|secret|password|api[_-]?key)[^=\s]*=)\S+")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Repository(_Part):
    """State of a git work tree."""

    commit: str
    is_dirty: bool = Field(description="Whether there are uncommitted changes or untracked files.")
    diff_sha256: str | None = Field(
        default=None, description="Hash of the uncommitted changes and untracked files; absent if there are none."
    )


class CodeVersion(_Part):
    """The version of the code."""

    version: str = Field(description="Version of the distribution.")
    source_sha256: str = Field(description="Hash of all source files of the packages that stages run.")
    repository: Repository | None = Field(default=None, description="Practicum's own checkout; absent when installed.")
    workspace: Repository | None = Field(default=None, description="Repository of the folder that the run started in.")


class Hardware(_Part):
    """The machine of a run."""

    cpu: str
    physical_cores: int
    logical_cores: int
    memory_bytes: int
    gpus: list[str] = Field(default_factory=list)


class RunEnvironment(_Part):
    """Everything besides data, model and options that can change the results of a run."""

    schema_version: int = 1
    created_at: str
    command: list[str] = Field(description="Command line with masked credentials.")
    code: CodeVersion
    locks: dict[str, str] = Field(description="SHA-256 of the lock by name of the environment.")
    packages: dict[str, dict[str, str]] = Field(description="Versions of packages by name of the environment.")
    python: str
    platform: str
    hardware: Hardware
    num_threads: int = Field(description="Threads that each stage computes with (OMP_NUM_THREADS).")
    variables: dict[str, str] = Field(default_factory=dict, description="Environment variables that affect a run.")


def mask_secrets(word: str) -> str:
    """Hide credentials in one word of a command line, or in the value of a variable.

    >>> mask_secrets("s3://me:key@bucket/x"), mask_secrets("--set=api_key=abc")
    ('s3://***@bucket/x', '--set=api_key=***')
    """
    return _SECRET_ARGUMENT.sub(r"\1***", _USER_INFO.sub("***@", word))
