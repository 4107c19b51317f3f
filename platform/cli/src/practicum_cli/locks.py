"""The lock files of environments: their location and their keys.

A lock is ``requirements/<environment>.txt``: in a checkout at its root, in a wheel inside this package.
"""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

from practicum_core.errors import PlatformError, Reason

_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)")
_KEY_LENGTH = 12


@functools.cache
def get_requirements_dir() -> Path:
    """Return the folder of the locks.

    Raises:
        PlatformError: Neither a checkout nor a whole installation.
    """
    package = Path(__file__).resolve().parent
    for folder in (package, *package.parents):
        candidate = folder / "requirements"
        if (candidate / "base.txt").is_file():
            return candidate
    raise PlatformError(
        Reason.ENVIRONMENT_MISSING, f"{package}: no folder 'requirements' here or above", "install practicum again"
    )


def get_lock_path(name: str) -> Path:
    """Return the lock of the environment ``name``.

    Raises:
        PlatformError: This version has no such lock.
    """
    path = get_requirements_dir() / f"{name}.txt"
    if not path.is_file():
        raise PlatformError(Reason.ENVIRONMENT_MISSING, f"{path}: no such lock", "install a version that has it")
    return path


def hash_lock(name: str) -> str:
    """Return the SHA-256 of a lock."""
    return hashlib.sha256(get_lock_path(name).read_bytes()).hexdigest()


def get_lock_key(name: str) -> str:
    """Return the first twelve digits of the lock's SHA-256: the key of folders in the cache."""
    return hash_lock(name)[:_KEY_LENGTH]


def parse_pins(text: str) -> dict[str, str]:
    r"""Return package names and their pinned versions.

    >>> parse_pins("click==8.1.0 \\\n    --hash=sha256:00\n# via flask==1\n")
    {'click': '8.1.0'}
    """
    matches = (_PIN.match(line) for line in text.splitlines())
    return {match[1].lower(): match[2] for match in matches if match}


def read_pins(name: str) -> dict[str, str]:
    """Return the pins of the environment ``name``."""
    return parse_pins(get_lock_path(name).read_text(encoding="utf-8"))
