"""Decides how a cluster that is there already is used: by its administrator's credentials; nothing of it is ended.

Credentials that run a program for a token, or that go by a proxy, are refused with a sentence.
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
    """Return where the credentials of our own kind cluster lie."""
    return get_cache() / "kind.kubeconfig"


@dataclass(frozen=True)
class GivenCluster:
    """A cluster that somebody else runs."""

    kubeconfig: Path
    """The administrator's, as :func:`read_credentials` left it."""

    @property
    def api(self) -> Api:
        """A client with every right."""
        return Api(self.kubeconfig)


def read_credentials(source: Path) -> Path:
    """Return a copy of a kubeconfig in JSON with its current context alone and every file inside.

    Args:
        source: What KUBECONFIG says; of several files with colons between kubectl merges them.
    """
    view = ("config", "view", "--raw", "--minify", "--flatten", "--output", "json")
    text = run_program(["env", f"KUBECONFIG={source}", ensure_binaries("kubectl")["kubectl"], *view])
    path = get_cache() / "given.kubeconfig"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def bring_up_kind(gpus: int) -> Path:
    """Make a kind cluster with Kueue and KubeRay, and return its administrator's credentials.

    The operators are the bare cluster's own images, loaded into the nodes. Network policies are enforced by kind's
    own agent.
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
    """Return the kubeconfig that the environment names; ``None`` for one of our ``own`` clusters, which we may end."""
    named = os.environ.get("KUBECONFIG")
    return Path(named) if named and Path(named) not in own else None
