"""Installation of KServe and KEDA on a test cluster, without cert-manager, Knative, Istio and their registries.

Both come from the pinned Go modules from which their programs are built, as Kueue and KubeRay do. KEDA is installed
first: KServe looks for its kinds only when it starts.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from practicum_cluster.api import Api, wait_until
from practicum_cluster.certificates import Authority
from practicum_cluster.images import REGISTRY, ensure_archive
from practicum_cluster.layout import ensure_binaries
from practicum_cluster.operators import Client, find_module

KSERVE_VERSION, KEDA_VERSION = "v0.20.0", "v2.18.1"
KSERVE_NAMESPACE, KEDA_NAMESPACE = "kserve", "keda"
_READY_S = 180.0
_KSERVE_NAME = "kserve-controller-manager"
_WEBHOOKS = "kserve-webhook-server-service"
_EXTERNAL_METRICS = "/apis/external.metrics.k8s.io/v1beta1"
_LIVE = {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}
_READY = {"initialDelaySeconds": 2, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 6}
_RESOURCES = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
_NOT_NEEDED = frozenset({"Certificate", "Issuer", "ClusterStorageContainer"})
"""Kinds of KServe's chart that the tests' clusters lack, or that would pull images."""
_KIND = re.compile(r"^kind: (\w+)$", re.MULTILINE)
_IMAGES = {
    "manager": f"{REGISTRY}/kserve:{KSERVE_VERSION}",
    "keda-operator": f"{REGISTRY}/keda:{KEDA_VERSION}",
    "keda-metrics-apiserver": f"{REGISTRY}/keda-adapter:{KEDA_VERSION}",
}
"""Name of a container in the manifests -> its image here."""

JSON = dict[str, Any]


def ensure_serving_archives() -> list[Path]:
    """Build the programs and return the archives of their images."""
    programs = ensure_binaries("kserve", "keda", "keda-adapter")
    return [
        ensure_archive("kserve", KSERVE_VERSION, programs["kserve"], "/manager"),
        ensure_archive("keda", KEDA_VERSION, programs["keda"], "/keda"),
        ensure_archive("keda-adapter", KEDA_VERSION, programs["keda-adapter"], "/keda-adapter"),
    ]


def install_serving(api: Api, kubeconfig: Path) -> None:
    """Install KEDA and KServe with the images of :func:`ensure_serving_archives`, and wait until both are ready.

    What runs already is left alone: its webhooks have a certificate that a second one would not fit.

    Raises:
        TimeoutError: One did not become ready.
    """
    client = Client(kubeconfig)
    if not _is_available(api, KEDA_NAMESPACE, "keda-operator"):
        install_keda(api, client)
    if not _is_available(api, KSERVE_NAMESPACE, _KSERVE_NAME):
        install_kserve(api, client)


def install_keda(api: Api, client: Client) -> None:
    """Install KEDA's operator and its metrics server."""
    module = find_module("keda", "github.com/kedacore/keda/v2")
    rendered = json.loads(_to_json(client, client.kubectl("kustomize", str(module / "config/minimal"))))
    _apply(client, [_adapt(one) for one in rendered["items"]])
    # The pods mount the Secret of the certificates before it is there.
    secret = f"/api/v1/namespaces/{KEDA_NAMESPACE}/secrets/kedaorg-certs"
    wait_until(lambda: (api.find(secret) or {}).get("data"), "the certificates of KEDA", _READY_S)
    client.kubectl("--namespace", KEDA_NAMESPACE, "delete", "pods", "--all", "--wait=false")
    for name in ("keda-operator", "keda-metrics-apiserver"):
        _wait_available(api, KEDA_NAMESPACE, name)
    wait_until(lambda: api.find(_EXTERNAL_METRICS), "KEDA's metrics API", _READY_S, 0.5)


def install_kserve(api: Api, client: Client) -> None:
    """Install KServe in its mode Standard: Deployments and Services, no ingress, no Knative."""
    charts = find_module("kserve", "github.com/kserve/kserve") / "charts"
    definitions = client.helm("template", "kserve-crd", charts / "kserve-crd")
    client.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=definitions)
    values = {
        "kserve": {
            "controller": {
                "deploymentMode": "Standard",
                "gateway": {"disableIngressCreation": True, "disableIstioVirtualHost": True},
            }
        }
    }
    command = ("template", "kserve", charts / "kserve-resources", "--namespace", KSERVE_NAMESPACE, "--values", "-")
    rendered = json.loads(_to_json(client, client.helm(*command, given=json.dumps(values))))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KSERVE_NAMESPACE}}
    authority, secret = _issue_certificate()
    objects = [_adapt(one, authority) for one in rendered["items"]]
    _apply(client, [namespace, secret, *objects])
    _wait_available(api, KSERVE_NAMESPACE, _KSERVE_NAME)


def _to_json(client: Client, text: str) -> str:
    """Return those documents of YAML that are needed as one list in JSON; these tools know no YAML."""
    command = ("create", "--dry-run=client", "--validate=false", "--output", "json", "-f", "-")
    wanted = [one for one in text.split("\n---\n") if not _NOT_NEEDED.intersection(_KIND.findall(one))]
    said = client.kubectl(*command, given="\n---\n".join(wanted))
    decoder, place = json.JSONDecoder(), 0
    items: list[JSON] = []
    while place < len(said):
        one, place = decoder.raw_decode(said, place)
        items += one["items"] if one["kind"] == "List" else [one]
        while place < len(said) and said[place].isspace():
            place += 1
    return json.dumps({"items": items})


def _apply(client: Client, objects: list[JSON]) -> None:
    document = {"apiVersion": "v1", "kind": "List", "items": objects}
    client.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(document))


def _adapt(document: JSON, authority: str = "") -> JSON:
    """Give a Deployment the images and probes of a small machine, and a webhook its certificate authority."""
    for webhook in document.get("webhooks", ()):
        webhook["clientConfig"]["caBundle"] = authority
    if document["kind"] != "Deployment":
        return document
    pod = document["spec"]["template"]["spec"]
    pod["containers"] = [one for one in pod["containers"] if one["name"] in _IMAGES]
    for container in pod["containers"]:
        container |= {"image": _IMAGES[container["name"]], "imagePullPolicy": "IfNotPresent", "resources": _RESOURCES}
        container["livenessProbe"] = container["livenessProbe"] | _LIVE
        container["readinessProbe"] = container["readinessProbe"] | _READY
    return document


def _issue_certificate() -> tuple[str, JSON]:
    """Return the authority of KServe's webhooks in base64, and the Secret with their certificate."""
    with tempfile.TemporaryDirectory() as name:
        authority = Authority(Path(name))
        authority.ensure()
        host = f"{_WEBHOOKS}.{KSERVE_NAMESPACE}.svc"
        issued = authority.issue("webhooks", host, names=(host, f"{host}.cluster.local"))
        files = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": authority.certificate}
        data = {key: base64.b64encode(path.read_bytes()).decode() for key, path in files.items()}
    metadata = {"name": "kserve-webhook-server-cert", "namespace": KSERVE_NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
    return data["ca.crt"], secret


def _wait_available(api: Api, namespace: str, name: str) -> None:
    wait_until(lambda: _is_available(api, namespace, name), f"{name} to be ready", _READY_S)


def _is_available(api: Api, namespace: str, name: str) -> bool:
    found = api.find(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}") or {}
    return bool(found.get("status", {}).get("availableReplicas"))
