"""Kubernetes Deployments with a Service for servers that run in one pod.

Kueue queues the pods of a Deployment, not the Deployment: each pod waits behind a scheduling gate. The kubelet starts a
container again that died or does not answer, and the Deployment makes a pod again that was deleted or evicted.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from practicum_controller.backends.backend import ChildState, Document, Needs, Sight, Standing
from practicum_controller.backends.pod_status import (
    find_condition,
    is_of_attempt,
    is_pod_running,
    read_pods_start,
    read_pods_stop,
)
from practicum_controller.backends.pods import build_pod_template, get_needs
from practicum_controller.backends.queueing import explain_pods_on_their_way, explain_queue, explain_start
from practicum_controller.backends.request import ChildRequest
from practicum_controller.documents import read_time
from practicum_controller.kinds import DEPLOYMENTS, SERVICES, Resource
from practicum_core import labels
from practicum_core.stage_process import HOST_VARIABLE, PORT_VARIABLE
from practicum_core.stages.spec import Endpoint

_PORT_NAME = "http"
_PROBE_PERIOD_S = 2
_PROBE_TIMEOUT_S = 5
_MISSES = 15
"""Probes in a row without an answer after which a container is started again: half a minute."""


class DeploymentBackend:
    """One pod that is replaced when it is lost, and the Service by whose name other steps reach it."""

    resources: tuple[Resource, ...] = (DEPLOYMENTS, SERVICES)
    is_server = True

    def build(self, request: ChildRequest) -> list[dict[str, Any]]:
        """Return the Deployment and its Service."""
        metadata = request.build_metadata()
        marks = {name: metadata["labels"][name] for name in (labels.WEEK_JOB_UID, labels.STEP, labels.ATTEMPT)}
        endpoint = _get_endpoint(request)
        template = build_pod_template(request, is_restartable=True)
        _add_server(template["spec"]["containers"][0], endpoint)
        deployment = {
            "apiVersion": DEPLOYMENTS.api_version,
            "kind": DEPLOYMENTS.kind,
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "revisionHistoryLimit": 0,
                # A second pod beside the first would ask for what the quota has once.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": marks},
                "template": template,
            },
        }
        service = {
            "apiVersion": SERVICES.api_version,
            "kind": SERVICES.kind,
            "metadata": _build_service_metadata(request, metadata),
            "spec": {
                "selector": marks,
                "ports": [{"name": _PORT_NAME, "port": endpoint.port, "targetPort": _PORT_NAME}],
            },
        }
        return [deployment, service]

    def get_needs(self, request: ChildRequest) -> Needs:
        """Return what its pod holds."""
        return get_needs(request)

    def is_pod_of(self, pod: Document, main: Document) -> bool:
        """Whether a pod is this Deployment's, and not one of a Deployment of the same name that was deleted before."""
        made, own = (read_time(one["metadata"].get("creationTimestamp")) for one in (pod, main))
        return is_of_attempt(pod, main) and (made is None or own is None or made >= own)

    def read_state(self, sight: Sight) -> ChildState:
        """Return how far the server has come. A pod that the queue holds back bears its scheduling gate."""
        pods = [pod for pod in sight.pods if not pod["metadata"].get("deletionTimestamp")]
        restarts = _count_restarts(pods)
        if any(find_condition(pod, "Ready") for pod in pods):
            return ChildState(Standing.READY, restarts=restarts)
        if any(is_pod_running(pod) for pod in pods):
            return ChildState(Standing.RUNNING, message="runs and is not ready yet", restarts=restarts)
        if pods and all(_is_gated(pod) for pod in pods):
            return explain_queue(sight.workload)
        fault = explain_pods_on_their_way(Sight(sight.main, pods, sight.workload, sight.warnings))
        if fault is not None:
            return fault
        if restarts:
            return ChildState(Standing.STARTING, message=f"died {restarts} times and starts again", restarts=restarts)
        return explain_start(sight, may_lack_pods=False)

    def read_start(self, sight: Sight) -> dt.datetime | None:
        """Return since when its container runs or, where it ended, when it began."""
        return read_pods_start(sight.pods)

    def read_stop(self, sight: Sight) -> dt.datetime | None:
        """Return when its container ended; ``None`` while one runs."""
        return read_pods_stop(sight.pods)


def build_server_url(request: ChildRequest) -> str:
    """Return the address by which pods of the same namespace reach the server of a step."""
    return f"http://{_get_service_name(request.name)}.{request.namespace}.svc:{_get_endpoint(request).port}"


def read_server_url(service: Document) -> str | None:
    """Return the address that a Service stands for; ``None`` for one without a port.

    >>> ports = [{"port": 8000}]
    >>> read_server_url({"metadata": {"name": "a", "namespace": "student-01"}, "spec": {"ports": ports}})
    'http://a.student-01.svc:8000'
    """
    ports = service.get("spec", {}).get("ports") or ()
    metadata = service["metadata"]
    return f"http://{metadata['name']}.{metadata['namespace']}.svc:{ports[0]['port']}" if ports else None


def _build_service_metadata(request: ChildRequest, metadata: Document) -> dict[str, Any]:
    kept = {name: value for name, value in metadata["labels"].items() if not name.startswith("kueue.x-k8s.io/")}
    return {
        "name": _get_service_name(request.name),
        "namespace": request.namespace,
        "labels": kept,
        "ownerReferences": metadata["ownerReferences"],
    }


def _get_service_name(child: str) -> str:
    """Return the name of the Service: a DNS label, which may not begin with a digit.

    >>> _get_service_name("week-07-serve-1"), _get_service_name("7-serve-1")
    ('week-07-serve-1', 's-7-serve-1')
    """
    return f"s-{child}" if child[0].isdigit() else child


def _get_endpoint(request: ChildRequest) -> Endpoint:
    endpoint = request.item.step.spec.endpoint
    assert endpoint is not None  # noqa: S101 - only servers are given to this backend
    return endpoint


def _add_server(container: dict[str, Any], endpoint: Endpoint) -> None:
    """Give a container its port, where it listens, and its probes."""
    container["ports"] = [{"name": _PORT_NAME, "containerPort": endpoint.port}]
    container["env"] += [
        {"name": HOST_VARIABLE, "value": "0.0.0.0"},  # noqa: S104 - of the pod; network policies say who reaches it
        {"name": PORT_VARIABLE, "value": str(endpoint.port)},
    ]
    usual = {"periodSeconds": _PROBE_PERIOD_S, "timeoutSeconds": _PROBE_TIMEOUT_S}
    ready = {"httpGet": {"path": endpoint.ready_path, "port": _PORT_NAME}, **usual}
    container["startupProbe"] = ready | {"failureThreshold": max(int(endpoint.startup_s / _PROBE_PERIOD_S), 1)}
    container["readinessProbe"] = ready
    alive = {"httpGet": {"path": endpoint.live_path, "port": _PORT_NAME}, **usual}
    container["livenessProbe"] = alive | {"failureThreshold": _MISSES}


def _is_gated(pod: Document) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "PodScheduled" and one.get("reason") == "SchedulingGated" for one in conditions)


def _count_restarts(pods: list[Document]) -> int:
    statuses = [status for pod in pods for status in pod.get("status", {}).get("containerStatuses", ())]
    return sum(int(status.get("restartCount") or 0) for status in statuses)
