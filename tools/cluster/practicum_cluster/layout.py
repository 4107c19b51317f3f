"""Folders of the test cluster. Binaries and state are kept in the cache, never in the checkout."""

from __future__ import annotations

import functools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).parents[1]


def get_cache() -> Path:
    """Return the cache folder for binaries, images and state."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("PRACTICUM_CACHE") or Path(home) / "practicum") / "cluster"


@functools.cache
def ensure_binaries(*names: str) -> dict[str, Path]:
    """Build the named tools if necessary and return their paths; cached per process.

    Raises:
        subprocess.CalledProcessError: A build failed; its messages are on standard error.
    """
    answer = subprocess.run([TOOLS / "build.sh", *names], check=True, stdout=subprocess.PIPE, text=True)
    return dict(zip(names, map(Path, answer.stdout.splitlines()), strict=True))


@dataclass(frozen=True)
class Layout:
    """The folders of one run of a cluster."""

    root: Path

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.root / "pki"

    @property
    def credentials(self) -> Path:
        """Kubeconfig files."""
        return self.root / "credentials"

    @property
    def etcd(self) -> Path:
        """Data of etcd."""
        return self.root / "etcd"

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of the administrator."""
        return self.credentials / "admin.kubeconfig"

    def make(self) -> None:
        """Create the folders; only their owner can read them."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.pki, self.credentials, self.etcd):
            folder.mkdir(mode=0o700, exist_ok=True)
