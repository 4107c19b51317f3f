"""Installation of the operators Kueue and KubeRay on a test cluster.

Charts and custom resource definitions come from the pinned Go modules from which the operators are built; the programs
are packed into images.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from practicum_cluster.api import Api, ApiError, wait_until
from practicum_cluster.images import REGISTRY, ensure_archive
from practicum_cluster.layout import TOOLS, ensure_binaries
from practicum_cluster.programs import run_program

KUEUE_VERSION, KUBERAY_VERSION = "v0.19.2", "v1.6.0"
KUEUE_NAMESPACE, KUBERAY_NAMESPACE = "kueue-system", "kuberay-system"
_KUBERAY_UPSTREAM = "quay.io/kuberay/operator"
"""Name of the image in the manifests of the module."""
_READY_S = 180.0
_CERTIFICATE = f"/api/v1/namespaces/{KUEUE_NAMESPACE}/secrets/kueue-webhook-server-cert"
_VISIBILITY = "/apis/visibility.kueue.x-k8s.io/v1beta2"
# A busy machine of two cores must not make an operator look dead (probes of 1 s, three in a row, do).
_LIVE = {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}
_READY = {**_LIVE, "initialDelaySeconds": 2, "periodSeconds": 2}
_RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


@dataclass(frozen=True)
class Client:
    """kubectl and helm with a cluster's credentials."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl and return its output."""
        program = ensure_binaries("kubectl")["kubectl"]
        return run_program([program, "--kubeconfig", self.kubeconfig, *arguments], given)

    def helm(self, *arguments: str | Path, given: str | None = None) -> str:
        """Run helm and return its output."""
        program = ensure_binaries("helm")["helm"]
        return run_program([program, "--kubeconfig", self.kubeconfig, *arguments], given)


def ensure_archives() -> list[Path]:
    """Build the operators and return the archives of their images."""
    programs = ensure_binaries("kueue", "ray-operator")
    return [
        ensure_archive("kueue", KUEUE_VERSION, programs["kueue"], "/manager"),
        ensure_archive("kuberay", KUBERAY_VERSION, programs["ray-operator"], "/manager"),
    ]


def install(api: Api, kubeconfig: Path) -> None:
    """Install Kueue and KubeRay with the images of :func:`ensure_archives`, and wait until both are ready.

    Args:
        api: The cluster.
        kubeconfig: Its administrator's credentials.

    Raises:
        TimeoutError: An operator did not become ready.
    """
    client = Client(kubeconfig)
    _install_kuberay(client)
    _install_kueue(api, client)
    for namespace, name in ((KUBERAY_NAMESPACE, "kuberay-operator"), (KUEUE_NAMESPACE, "kueue-controller-manager")):
        _wait_available(api, namespace, name)
    # The address of the webhook works some seconds after the pod is ready.
    wait_until(lambda: _try_flavor(api), "Kueue's webhooks", _READY_S, 0.5)
    wait_until(lambda: api.find(_VISIBILITY), "Kueue's visibility API", _READY_S, 0.5)


def find_module(folder: str, module: str) -> Path:
    """Return the folder of the Go module of a tool; it is downloaded if it is missing."""
    where = TOOLS / "modules" / folder
    subprocess.run(["go", "mod", "download", module], cwd=where, check=True)
    return Path(run_program(["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=where).strip())


def find_kuberay() -> Path:
    """Return the folder of KubeRay's module; its definitions are in ``config/crd/bases``."""
    return find_module("kuberay", "github.com/ray-project/kuberay/ray-operator")


def find_kueue() -> Path:
    """Return the folder of Kueue's module; its chart is in ``charts/kueue``."""
    return find_module("kueue", "sigs.k8s.io/kueue")


def _install_kuberay(client: Client) -> None:
    container = {
        "name": "kuberay-operator",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--feature-gates=RayClusterStatusConditions=true", "--reconcile-concurrency=4"],
        "resources": _RESOURCES,
        "livenessProbe": _LIVE,
        "readinessProbe": _READY,
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kuberay-operator"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": KUBERAY_NAMESPACE,
        "images": [{"name": _KUBERAY_UPSTREAM, "newName": f"{REGISTRY}/kuberay", "newTag": KUBERAY_VERSION}],
        "patches": [{"patch": json.dumps(deployment), "target": {"kind": "Deployment", "name": "kuberay-operator"}}],
    }
    _apply_kustomized(client, find_kuberay() / "config/default", kustomization)


def _apply_kustomized(client: Client, base: Path, kustomization: Mapping[str, object]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # kustomize needs a relative path.
        relative = os.path.relpath(base, folder.resolve())
        (folder / "kustomization.yaml").write_text(json.dumps({**kustomization, "resources": [relative]}))
        document = client.kubectl("kustomize", str(folder))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": KUBERAY_NAMESPACE}}
    client.kubectl("apply", "--server-side", "-f", "-", given=json.dumps(namespace))
    client.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=document)


def _install_kueue(api: Api, client: Client) -> None:
    image = {"repository": f"{REGISTRY}/kueue", "tag": KUEUE_VERSION, "pullPolicy": "IfNotPresent"}
    values = {
        "controllerManager": {
            "manager": {"image": image, "resources": _RESOURCES},
            "livenessProbe": _LIVE,
            "readinessProbe": _READY,
        },
        "managerConfig": {"controllerManagerConfigYaml": json.dumps(build_kueue_configuration())},
    }
    command = ("upgrade", "--install", "kueue", find_kueue() / "charts/kueue", "--namespace", KUEUE_NAMESPACE)
    client.helm(*command, "--create-namespace", "--values", "-", given=json.dumps(values))
    # The pod mounts the Secret of the certificate while it is empty; the kubelet updates the mount only minutes later.
    wait_until(lambda: _has_certificate(api), "the certificate of Kueue's webhooks", _READY_S)
    client.kubectl("--namespace", KUEUE_NAMESPACE, "delete", "pods", "--all", "--wait=false")


def build_kueue_configuration() -> dict[str, object]:
    """Return the configuration of Kueue: Jobs and RayJobs, with admission fair sharing."""
    concurrency = {"Job.batch": 5, "Pod": 5, "Workload.kueue.x-k8s.io": 5, "LocalQueue.kueue.x-k8s.io": 1}
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {"bindAddress": ":8443", "enableClusterQueueResources": True},
        "webhook": {"port": 9443},
        "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
        "controller": {
            "groupKindConcurrency": {
                **concurrency,
                "ClusterQueue.kueue.x-k8s.io": 1,
                "ResourceFlavor.kueue.x-k8s.io": 1,
            }
        },
        "clientConnection": {"qps": 100, "burst": 200},
        "manageJobsWithoutQueueName": False,
        "integrations": {
            "frameworks": ["batch/job", "ray.io/rayjob", "ray.io/rayservice", "ray.io/raycluster", "pod", "deployment"]
        },
        "admissionFairSharing": {"usageHalfLifeTime": "168h", "usageSamplingInterval": "1m"},
    }


def _has_certificate(api: Api) -> bool:
    data = (api.find(_CERTIFICATE) or {}).get("data") or {}
    return len(base64.b64decode(data.get("tls.crt", ""))) > 0


def _wait_available(api: Api, namespace: str, name: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    wait_until(
        lambda: (api.find(path) or {}).get("status", {}).get("availableReplicas"), f"{name} to be ready", _READY_S
    )


def _try_flavor(api: Api) -> bool:
    flavor = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "ResourceFlavor",
        "metadata": {"name": f"probe-{int(time.time())}"},
    }
    try:
        api.request("POST", "/apis/kueue.x-k8s.io/v1beta2/resourceflavors?dryRun=All", flavor)
    except ApiError:
        return False
    return True
