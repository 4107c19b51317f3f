"""Existing clusters, used with the credentials of an administrator and never stopped.

Credentials that use an exec plugin or a proxy are rejected with a message.
"""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from practicum_cluster import operators
from practicum_cluster.api import Api
from practicum_cluster.layout import ensure_binaries, get_cache
from practicum_cluster.node import offer_gpus
from practicum_cluster.programs import run_program

KIND_NAME = "practicum"


def get_kind_kubeconfig() -> Path:
    """Return the path of the kubeconfig of our kind cluster."""
    return get_cache() / "kind.kubeconfig"


@dataclass(frozen=True)
class GivenCluster:
    """A cluster that this tooling did not create."""

    kubeconfig: Path
    """Kubeconfig of the administrator, written by :func:`read_credentials`."""

    @property
    def api(self) -> Api:
        """A client with every right."""
        return Api(self.kubeconfig)


def read_credentials(source: Path) -> Path:
    """Return a copy of a kubeconfig as JSON, with only its current context and with all files embedded.

    Args:
        source: The value of KUBECONFIG; kubectl merges several files that are separated by colons.
    """
    view = ("config", "view", "--raw", "--minify", "--flatten", "--output", "json")
    text = run_program(["env", f"KUBECONFIG={source}", ensure_binaries("kubectl")["kubectl"], *view])
    path = get_cache() / "given.kubeconfig"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def bring_up_kind(gpus: int) -> Path:
    """Create a kind cluster with Kueue and KubeRay, and return the credentials of its administrator.

    The operators use the same images as on the bare cluster. kind's own agent enforces network policies.
    """
    kubeconfig = get_kind_kubeconfig()
    run_program(["kind", "create", "cluster", "--name", KIND_NAME, "--wait", "120s", "--kubeconfig", kubeconfig])
    load_into_kind("image-archive", [str(path) for path in operators.ensure_archives()])
    cluster = GivenCluster(read_credentials(kubeconfig))
    operators.install(cluster.api, cluster.kubeconfig)
    offer_gpus(cluster.api, gpus, f"{KIND_NAME}-control-plane")
    return kubeconfig


def load_into_kind(form: str, names: Sequence[str]) -> None:
    """Load images into the nodes of the kind cluster: ``docker-image`` by name, or ``image-archive`` by file."""
    for name in names:
        run_program(["kind", "load", form, name, "--name", KIND_NAME])


def find_given(own: Container[Path]) -> Path | None:
    """Return the kubeconfig in the environment; ``None`` if it is of one of our ``own`` clusters, which we may stop."""
    named = os.environ.get("KUBECONFIG")
    return Path(named) if named and Path(named) not in own else None
