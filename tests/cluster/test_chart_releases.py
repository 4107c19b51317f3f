"""Releases of the chart on a real API server: an upgrade from the last one that landed, and a second name."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from lacks import skip_lacking
from practicum_cluster import operators
from practicum_cluster.control_plane import start_alone
from practicum_cluster.daemons import TIED_TO_CALLER
from practicum_cluster.layout import ensure_binaries

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


def test_the_commands_of_the_operations_guide_do_what_it_says(plane, tmp_path):
    """Part 3, line by line, but for the wait for a pod: an API server alone has no node."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    part = text[text.index("## 3. The chart") : text.index("## 4. A course")]
    lines = [line for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL) for line in block.splitlines()]
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "student-01"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "practicum-stage"}}
    plane.api.apply(home)
    plane.api.apply(account, "student-01")
    (tmp_path / "charts").symlink_to(ROOT / "charts")
    folders = {str(program.parent) for program in ensure_binaries("kubectl", "helm").values()}
    path = os.pathsep.join([*folders, os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(plane.kubeconfig)}
    said = {}
    for line in lines:
        if "rollout status" in line:
            continue
        done = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        said[line] = done.stdout
    deployment = plane.api.get(DEPLOYMENT)
    assert deployment["spec"]["replicas"] == 2
    host = f"practicum-controller.{PLATFORM}.svc"
    check = ["openssl", "x509", "-noout", "-in", "tls.crt", "-checkhost", host]
    assert "does match" in subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (rendered,) = [text for line, text in said.items() if line.startswith("helm template")]
    assert "secretName: practicum-tls" in rendered
    assert "kind: Secret" not in rendered
    accounts = "/api/v1/namespaces/student-01/serviceaccounts/practicum-stage"
    assert plane.api.get(accounts)["imagePullSecrets"] == [{"name": "registry"}]
    operators.Client(plane.kubeconfig).helm("uninstall", "practicum", "--namespace", PLATFORM)


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
