"""Versions of packages that an execution gets beside those of its environment, each set in a folder of its own.

``packages.txt`` of a material names them as ``NAME==VERSION`` lines; a lock file is read too, hashes are passed over.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from practicum_core.errors import PlatformError, Reason

PACKAGES, WHEELS = "packages.txt", "wheels"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
_TIMEOUT_S = 600


def read_pins(path: Path) -> dict[str, str]:
    """Read versions by the name of the package; none where there is no file."""
    return parse_pins(path.read_text(encoding="utf-8")) if path.exists() else {}


def parse_pins(text: str) -> dict[str, str]:
    r"""Return versions by the name of the package, as normalised for package indexes.

    >>> parse_pins("Some_Package==1.2  # why\nother==2.0 \\\n    --hash=sha256:00\n")
    {'some-package': '1.2', 'other': '2.0'}
    """
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in _PIN.findall(text)}


class PackageFolders:
    """Installs each set of versions once.

    Args:
        folder: Where the sets lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[tuple[str, str], ...], Path] = {}

    def ensure(self, pins: Mapping[str, str], wheels: Path | None) -> Path:
        """Return a folder with these versions, without what they depend on.

        Args:
            pins: Version by name.
            wheels: Folder of wheels to take them from; the package index without it.

        Raises:
            PlatformError: They cannot be installed.
        """
        key = tuple(sorted(pins.items()))
        if key not in self._made:
            target = self._folder / f"packages-{len(self._made)}"
            _install(pins, wheels, target)
            self._made[key] = target
        return self._made[key]


def _install(pins: Mapping[str, str], wheels: Path | None, target: Path) -> None:
    target.mkdir(parents=True)
    if not pins:
        return
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    command = [
        _find_uv(),
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        sys.executable,
        "--target",
        str(target),
    ]
    ended = subprocess.run(
        [*command, *source, *(f"{name}=={version}" for name, version in sorted(pins.items()))],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if ended.returncode:
        shutil.rmtree(target, ignore_errors=True)
        text = " ".join(ended.stderr.split())[-300:]
        raise PlatformError(Reason.ENVIRONMENT_MISSING, f"packages cannot be installed: {text}", "correct packages.txt")


def _find_uv() -> str:
    own = Path(sys.prefix) / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if found is None:
        raise PlatformError(
            Reason.ENVIRONMENT_MISSING, "the program 'uv' is not installed here", "put it on the path: pip install uv"
        )
    return found
