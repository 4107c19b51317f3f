"""JSON files of a model folder, and what lies there instead of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError, Reason

_STAND_INS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; run `git lfs pull` in its folder"),
    (b"version ", "a Git LFS pointer, not the file itself; run `git lfs pull` in its folder"),
    (b"<!doctype", "a web page, not the file itself"),
    (b"<html", "a web page, not the file itself"),
)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ConfigError: The file is missing, cannot be read, or holds something else.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise _refuse(path, "the file is missing") from error
    except OSError as error:
        raise _refuse(path, error.strerror or str(error)) from error
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _refuse(path, describe_stand_in(content) or f"not JSON ({error})") from error
    if not isinstance(document, dict):
        raise _refuse(path, f"expected a JSON object, got {type(document).__name__}")
    return document


def describe_stand_in(content: bytes) -> str:
    """Say what a file is that stands where another one should; empty where its first bytes do not tell.

    >>> describe_stand_in(b"version https://git-lfs.github.com/spec/v1")
    'a Git LFS pointer, not the file itself; run `git lfs pull` in its folder'
    """
    if not content:
        return "empty"
    return next((what for start, what in _STAND_INS if content.lstrip().lower().startswith(start)), "")


def _refuse(path: Path, what: str) -> ConfigError:
    return ConfigError(f"{path}: {what}", "fetch the model again, whole", Reason.MODEL_MISSING)
