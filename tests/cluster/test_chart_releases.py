"""Releases of the chart on a real API server: an upgrade from the last one that landed, and a second name."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from cluster_lacks import skip_lacking
from practicum_cluster import operators
from practicum_cluster.control_plane import start_alone
from practicum_cluster.daemons import TIED_TO_CALLER

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/practicum"
PLATFORM = "practicum-system"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{PLATFORM}/deployments/practicum-controller"
SECRET = f"/api/v1/namespaces/{PLATFORM}/secrets/practicum-controller-certificate"


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    """An API server without Practicum's definitions: they are the chart's."""
    for program in ("go", "openssl", "setpriv"):
        if not shutil.which(program):
            skip_lacking(f"the program {program}, which a real API server needs")
    plane = start_alone(tmp_path_factory.mktemp("api-server"), TIED_TO_CALLER)
    yield plane
    plane.stop()


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    """The chart as it was before its last change: what a class has installed that upgrades to this one."""

    def git(*arguments):
        return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True).stdout

    is_changed = bool(git("status", "--porcelain", "--", "charts/practicum"))
    commits = git("log", "-2", "--format=%H", "--", "charts/practicum").decode().split()
    if len(commits) < 2:
        skip_lacking("the history of this checkout, which holds the chart before its last change")
    folder = tmp_path_factory.mktemp("landed")
    archive = git("archive", commits[0 if is_changed else 1], "charts/practicum")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder / "charts/practicum"


def test_releases(plane, landed):
    client = operators.Client(plane.kubeconfig)

    def install(name, chart, *options):
        place = ("--namespace", PLATFORM, "--create-namespace")
        return client.helm("upgrade", "--install", name, chart, *place, *options)

    install("practicum", landed, "--set", "images.registry=registry.example", "--set", "images.tag=v1")
    install("practicum", CHART, "--reuse-values", "--set", "images.tag=v2")
    container = plane.api.get(DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/practicum-controller:v2"
    issued = {"tls.crt": "eA=="}
    plane.api.patch(SECRET, {"data": issued})
    install("practicum", CHART, "--reset-then-reuse-values")
    container = plane.api.get(DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/practicum-controller:v2"
    # The controller's certificate is not the chart's to change: pods that run trust its authority.
    assert plane.api.get(SECRET)["data"] == issued

    with pytest.raises(Exception, match=f"one release of this chart fits a cluster, and {PLATFORM}/practicum"):
        install("school", CHART)
    client.helm("uninstall", "practicum", "--namespace", PLATFORM)
    with pytest.raises(Exception, match=f"the definitions are those of {PLATFORM}/practicum") as refusal:
        install("school", CHART)
    # The sentence says what to do, and that does it.
    for command in str(refusal.value).partition("week jobs: ")[2].strip().splitlines()[0].split(" && "):
        client.kubectl(*command.split()[1:])
    install("school", CHART)
    assert plane.api.find(DEPLOYMENT) is None
    assert plane.api.get(DEPLOYMENT.replace("practicum-controller", "school-practicum-controller"))
    definition = plane.api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/weekjobs.practicum.dev")
    assert definition["metadata"]["annotations"]["meta.helm.sh/release-name"] == "school"
