"""Which cluster the class of the tests meets on: the one that KUBECONFIG names, else a bare one of the tests' own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from cluster_lacks import require_bare_cluster
from practicum_cluster.bare import BareCluster
from practicum_cluster.daemons import TIED_TO_CALLER
from practicum_cluster.given import GivenCluster, find_given, read_credentials
from practicum_cluster.shipping import export_images

ROOT = Path(__file__).parents[2]
HOMES = ("student-01", "student-02", "practicum-system")
COURSE = "/apis/practicum.dev/v1alpha1/courses/llm-10"


@contextlib.contextmanager
def open_cluster():
    """Yield a cluster with both operators and the images of this checkout."""
    given = find_given(())
    if given is not None:
        cluster = GivenCluster(read_credentials(given))
        taken = [name for name in HOMES if cluster.api.find(f"/api/v1/namespaces/{name}")]
        if taken:
            pytest.fail(f"{os.environ['KUBECONFIG']} has the namespaces {', '.join(taken)} already: not touched")
        try:
            yield cluster
        finally:
            for path in (COURSE, *(f"/api/v1/namespaces/{name}" for name in HOMES)):
                cluster.api.delete(path)
        return
    require_bare_cluster()
    cluster = BareCluster(prefix=TIED_TO_CALLER)
    cluster.up()
    try:
        subprocess.run([ROOT / "tools/images/build.sh"], check=True)
        cluster.ship(*export_images(["base", "train", "controller"]))
        cluster.install_operators()
        yield cluster
    finally:
        cluster.down()
