"""A real API server accepts, by a dry run, all that people apply, and the real kubectl explains each field of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from practicum_cluster.api import Api, ApiError, wait_until
from practicum_cluster.control_plane import ControlPlane
from practicum_core.crd import KINDS

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
HOME, SYSTEM = "dry-run", "practicum-system"
MANIFESTS = sorted(path for path in ROOT.glob("manifests/**/*.yaml") if path.name != "kustomization.yaml")
EXAMPLES = sorted(path for path in ROOT.glob("charts/practicum/examples/*.yaml") if ".values." not in path.name)
# Prometheus Operator's, whose definition is not on this machine, and KServe's, which test_serving.py applies.
FOREIGN = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ClusterServingRuntime"}


@pytest.fixture(scope="module")
def api(api_server: ControlPlane) -> Api:
    for name in (HOME, SYSTEM):
        api_server.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return api_server.api


def try_apply(api: Api, document: dict[str, object]) -> dict[str, object]:
    options = "dryRun=All&fieldValidation=Strict&fieldManager=dry-run&force=true"
    return api.request("PATCH", f"{api.get_path(document, HOME)}?{options}", document, "application/apply-patch+yaml")


def read_documents(text: str) -> list[dict[str, object]]:
    return [document for document in yaml.safe_load_all(text) if document]


def get_id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MANIFESTS, ids=get_id)
def test_manifest_is_accepted(api: Api, path: Path):
    for document in read_documents(path.read_text(encoding="utf-8")):
        assert try_apply(api, document)["kind"] == document["kind"]


@pytest.mark.parametrize("path", EXAMPLES, ids=get_id)
def test_rendered_chart_is_accepted(api: Api, path: Path):
    documents = read_documents(path.read_text(encoding="utf-8"))
    known = [document for document in documents if document["kind"] not in FOREIGN]
    for document in known:
        assert try_apply(api, document)["kind"] == document["kind"]
    assert len(known) >= 15


@pytest.mark.parametrize("folder", ["crds", "course-8", "course-10", "course-12", "overlays/gpu", "overlays/kind"])
def test_kustomization_is_accepted(api: Api, kubectl: Path, folder: str):
    command = [kubectl, "kustomize", ROOT / "manifests" / folder]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
    documents = read_documents(text)
    assert [try_apply(api, document)["kind"] for document in documents] == [each["kind"] for each in documents]
    assert documents


@pytest.mark.parametrize("folder", ["crds", "course-8", "course-10", "course-12"])
def test_a_folder_is_applied_by_one_command(api: Api, api_server: ControlPlane, kubectl: Path, folder: str):
    where = ROOT / "manifests" / folder
    command = [kubectl, "--kubeconfig", api_server.kubeconfig, "apply", "-n", HOME, "--dry-run=server", "-f", where]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, len(list(where.glob("*.yaml")))), done.stderr


def test_dry_run_refuses_a_field_that_nobody_knows(api: Api):
    week = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob", "metadata": {"name": "week-03"}}
    with pytest.raises(ApiError, match="epochs"):
        try_apply(api, {**week, "spec": {"unit": "sft", "epochs": 3}})


def explain(kubectl: Path, kubeconfig: Path, path: str) -> str:
    command = [kubectl, "--kubeconfig", kubeconfig, "explain", path]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def iter_pages(kubectl: Path, kubeconfig: Path, path: str) -> Iterator[tuple[str, str]]:
    """Yield what kubectl says of a field, and of each field below it that has fields of its own."""
    text = explain(kubectl, kubeconfig, path)
    yield path, text
    for line in text.partition("FIELDS:\n")[2].splitlines():
        name, _, kind = line.strip().partition("\t")
        # A field's line is indented by two; its description by four. Metadata is Kubernetes' own.
        if line.startswith("  ") and line[2:3].strip() and "Object" in kind:
            yield from iter_pages(kubectl, kubeconfig, f"{path}.{name}")


@pytest.mark.parametrize("part", ["spec", "status"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_kubectl_explains_each_field(api_server: ControlPlane, kubectl: Path, kind, part: str):
    path = f"{kind.plural}.{part}"
    # The server publishes the schema some moments after it serves the kind.
    wait_until(lambda: find_page(kubectl, api_server.kubeconfig, path), f"an explanation of {path}", 30, 0.5)
    pages = dict(iter_pages(kubectl, api_server.kubeconfig, path))
    assert [path for path, text in pages.items() if "<no description>" in text] == []
    assert len(pages) >= 2, "fields below fields were read too"


def find_page(kubectl: Path, kubeconfig: Path, path: str) -> str | None:
    try:
        return explain(kubectl, kubeconfig, path)
    except subprocess.CalledProcessError:
        return None
