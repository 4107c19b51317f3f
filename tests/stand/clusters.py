"""The cluster of the tests that need a whole one: the one that `make e2e` was given by name, else a bare one.

KUBECONFIG alone gives none: it may name the cluster of a class.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from cluster_lacks import require_bare_cluster
from practicum_cluster.api import wait_until
from practicum_cluster.bare import BareCluster
from practicum_cluster.daemons import TIED_TO_CALLER
from practicum_cluster.given import GivenCluster, read_credentials
from practicum_cluster.shipping import build_shipments
from school import PLATFORM, STUDENTS, Class

GIVEN = "PRACTICUM_E2E_KUBECONFIG"
KINDS = "/apis/practicum.dev/v1alpha1"
COURSES = [f"{KINDS}/courses/{name}" for name in ("llm-10", "llm-trouble")]
PUPILS = (*STUDENTS, "student-03")
HOMES = [f"/api/v1/namespaces/{name}" for name in (*PUPILS, PLATFORM)]
DEFINITIONS = [
    f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.practicum.dev"
    for plural in ("weekjobs", "courses")
]


def open_cluster():
    """Return the context of a cluster with both operators and the images of this checkout."""
    given = os.environ.get(GIVEN)
    return open_given(Path(given)) if given else open_bare()


@contextlib.contextmanager
def open_bare():
    require_bare_cluster()
    cluster = BareCluster(prefix=TIED_TO_CALLER)
    cluster.up()
    try:
        cluster.ship(*build_shipments(["base", "train", "controller"]))
        cluster.install_operators()
        yield cluster
    finally:
        cluster.down()


@contextlib.contextmanager
def open_given(source):
    cluster = GivenCluster(read_credentials(source))
    taken = [path for path in (*COURSES, *HOMES) if cluster.api.find(path)]
    if taken:
        pytest.fail(f"{source} has {', '.join(taken)} already: not touched")
    ours = [path for path in DEFINITIONS if not cluster.api.find(path)]
    try:
        yield cluster
    finally:
        clear(cluster, ours)


def clear(cluster, definitions):
    """Remove the class and Practicum from a cluster that stays, and those definitions that were not there before."""
    api, school = cluster.api, Class(cluster)
    weeks = [f"{KINDS}/namespaces/{student}/weekjobs" for student in PUPILS]
    if any(list_items(api, path) for path in weeks):
        # A week job that used a GPU goes when the controller closes its account, and a test may have removed that.
        school.install()
        for path in weeks:
            api.delete(path)
        wait_until(lambda: not any(list_items(api, path) for path in weeks), "the end of the week jobs", 180, 1)
    remove(api, COURSES)
    school.client.helm("uninstall", "practicum", "--namespace", PLATFORM, "--ignore-not-found", "--wait")
    remove(api, HOMES)
    remove(api, definitions)


def list_items(api, path):
    return (api.find(path) or {}).get("items", [])


def remove(api, paths):
    for path in paths:
        api.delete(path)
    wait_until(lambda: not any(api.find(path) for path in paths), f"the end of {', '.join(paths)}", 300, 1)
