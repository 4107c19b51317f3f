"""The pod of a stage: image, program, variables, volumes, resources, and what it may not do.

Holds under Pod Security `restricted`: no root, no privilege, a root file system that cannot be written.
"""

from __future__ import annotations

from typing import Any

from practicum_controller.backends.backend import Needs
from practicum_controller.backends.request import ChildRequest
from practicum_core import labels, reports
from practicum_core.api_keys import KEY_FILE, KEYS_CONFIG_MAP, KEYS_VARIABLE

Document = dict[str, Any]
USER_ID = 65532
STAGE_CONTAINER = "stage"
SERVICE_ACCOUNT = "practicum-stage"
CHAOS_ACCOUNT = "practicum-chaos"
"""Of stages that break pods; also the name of its ClusterRole, which the chart makes."""
CHAOS_LABEL = f"{labels.DOMAIN}/breaks-pods"
"""Label of pods that may reach the API server."""
WORKSPACE_CLAIM = "workspace"
CA_CONFIG_MAP = "practicum-ingest-ca"
GRACE_PERIOD_S = 120
"""Seconds in which a stage that is told to stop may write its checkpoint."""
_TOKEN_SECONDS = 3600
_KEYS = "/var/run/practicum-keys"
# What a pod may keep outside its workspace, such as the session of Ray; more evicts it.
_TMP_SIZE = "10Gi"


def build_pod_template(request: ChildRequest, *, is_restartable: bool = False) -> Document:
    """Return the pod template of a step."""
    spec: Document = {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_PERIOD_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_build_container(request)],
        "volumes": _build_volumes(),
    }
    if request.item.step.spec.takes_keys:
        _add_keys(spec)
    marks = request.build_labels()
    if request.item.step.spec.breaks_pods:
        _add_account(spec)
        marks |= {CHAOS_LABEL: "true"}
    if not is_restartable:
        spec["restartPolicy"] = "Never"
    if request.course.queue.node_labels:
        spec["nodeSelector"] = dict(request.course.queue.node_labels)
    if request.slices:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    return {"metadata": {"labels": marks}, "spec": spec}


def _build_container(request: ChildRequest) -> Document:
    return {
        "name": STAGE_CONTAINER,
        "image": request.image,
        "imagePullPolicy": request.settings.image_pull_policy,
        "command": ["python", "-m", "practicum_jobs.agent"],
        "env": [{"name": name, "value": value} for name, value in request.build_variables().items()],
        "resources": request.build_resources(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "workspace", "mountPath": reports.WORKSPACE},
            {"name": "practicum", "mountPath": reports.TOKEN_PATH.rpartition("/")[0], "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - as above
        ],
    }


def _build_volumes() -> list[Document]:
    token = {
        "serviceAccountToken": {
            "path": reports.TOKEN_PATH.rpartition("/")[2],
            "audience": reports.INGEST_AUDIENCE,
            "expirationSeconds": _TOKEN_SECONDS,
        }
    }
    authority = {"configMap": {"name": CA_CONFIG_MAP, "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
    return [
        {"name": "workspace", "persistentVolumeClaim": {"claimName": WORKSPACE_CLAIM}},
        {"name": "practicum", "projected": {"sources": [token, authority], "defaultMode": 0o440}},
        {"name": "tmp", "emptyDir": {"sizeLimit": _TMP_SIZE}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
    ]


def _add_keys(spec: Document) -> None:
    """Give a pod the student's keys; a change reaches its file within a minute or two, when the kubelet looks."""
    container = spec["containers"][0]
    container["env"].append({"name": KEYS_VARIABLE, "value": f"{_KEYS}/{KEY_FILE}"})
    container["volumeMounts"].append({"name": "keys", "mountPath": _KEYS, "readOnly": True})
    spec["volumes"].append({"name": "keys", "configMap": {"name": KEYS_CONFIG_MAP, "optional": True}})


def _add_account(spec: Document) -> None:
    """Give a pod the account of chaos, whose token no other part of the pod's set-up mounts."""
    folder, _, token = reports.CLUSTER_TOKEN_PATH.rpartition("/")
    sources = [
        {"serviceAccountToken": {"path": token, "expirationSeconds": _TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    spec["serviceAccountName"] = CHAOS_ACCOUNT
    mount = {"name": "cluster", "mountPath": folder, "readOnly": True}
    spec["containers"][0]["volumeMounts"].append(mount)
    spec["volumes"].append({"name": "cluster", "projected": {"sources": sources, "defaultMode": 0o440}})


def get_needs(request: ChildRequest) -> Needs:
    """Return what pods of this template hold, one for each that the step computes on."""
    asked = request.build_resources()["requests"]
    return Needs(request.num_pods, asked["cpu"], asked["memory"], request.slices)
