"""Pods of servers: what their container gets for its port and probes, and how far their server has come.

The same for every kind of object that makes such pods. Kueue queues each pod, behind a scheduling gate.
"""

from __future__ import annotations

from typing import Any

from practicum_controller.backends.backend import ChildState, Document, Sight, Standing
from practicum_controller.backends.pod_status import find_condition, is_of_attempt, is_pod_running
from practicum_controller.backends.queueing import explain_pods_on_their_way, explain_queue, explain_start
from practicum_controller.backends.request import ChildRequest
from practicum_controller.documents import read_time
from practicum_controller.kinds import SERVICES
from practicum_core import labels
from practicum_core.observed import LAST_WORDS
from practicum_core.stage_process import HOST_VARIABLE, PORT_VARIABLE
from practicum_core.stages.spec import Endpoint

PORT_NAME = "http"
_PROBE_PERIOD_S = 2
_PROBE_TIMEOUT_S = 5
_MISSES = 15
"""Probes in a row without an answer after which a container is started again: half a minute."""
_MAX_WORDS = 300


def get_endpoint(request: ChildRequest) -> Endpoint:
    """Return where the step's server answers."""
    endpoint = request.item.step.spec.endpoint
    assert endpoint is not None  # noqa: S101 - only servers are given to the backends of servers
    return endpoint


def add_server(container: dict[str, Any], endpoint: Endpoint) -> None:
    """Give a container its port, where it listens, and its probes."""
    container["ports"] = [{"name": PORT_NAME, "containerPort": endpoint.port, "protocol": "TCP"}]
    container["env"] += [
        {"name": HOST_VARIABLE, "value": "0.0.0.0"},  # noqa: S104 - of the pod; network policies say who reaches it
        {"name": PORT_VARIABLE, "value": str(endpoint.port)},
    ]
    usual = {"periodSeconds": _PROBE_PERIOD_S, "timeoutSeconds": _PROBE_TIMEOUT_S}
    ready = {"httpGet": {"path": endpoint.ready_path, "port": PORT_NAME}, **usual}
    container["startupProbe"] = ready | {"failureThreshold": max(int(endpoint.startup_s / _PROBE_PERIOD_S), 1)}
    container["readinessProbe"] = ready
    alive = {"httpGet": {"path": endpoint.live_path, "port": PORT_NAME}, **usual}
    container["livenessProbe"] = alive | {"failureThreshold": _MISSES}


def list_marks(request: ChildRequest) -> dict[str, str]:
    """Return the labels that the pods of this child have and no others."""
    own = request.build_labels()
    return {name: own[name] for name in (labels.WEEK_JOB_UID, labels.STEP, labels.ATTEMPT)}


def build_service(request: ChildRequest) -> dict[str, Any]:
    """Return the Service by whose name other steps reach the server."""
    metadata = request.build_metadata()
    kept = {name: value for name, value in metadata["labels"].items() if not name.startswith("kueue.x-k8s.io/")}
    port = get_endpoint(request).port
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {
            "name": get_service_name(request.name),
            "namespace": request.namespace,
            "labels": kept,
            "ownerReferences": metadata["ownerReferences"],
        },
        "spec": {
            "selector": list_marks(request),
            "ports": [{"name": PORT_NAME, "port": port, "targetPort": PORT_NAME}],
        },
    }


def get_service_name(child: str) -> str:
    """Return the name of the Service: a DNS label, which may not begin with a digit.

    >>> get_service_name("week-07-serve-1"), get_service_name("7-serve-1")
    ('week-07-serve-1', 's-7-serve-1')
    """
    return f"s-{child}" if child[0].isdigit() else child


def build_server_url(request: ChildRequest) -> str:
    """Return the address by which pods of the same namespace reach the server of a step."""
    return f"http://{get_service_name(request.name)}.{request.namespace}.svc:{get_endpoint(request).port}"


def read_server_url(service: Document) -> str | None:
    """Return the address that a Service stands for; ``None`` for one without a port.

    >>> ports = [{"port": 8000}]
    >>> read_server_url({"metadata": {"name": "a", "namespace": "student-01"}, "spec": {"ports": ports}})
    'http://a.student-01.svc:8000'
    """
    ports = service.get("spec", {}).get("ports") or ()
    metadata = service["metadata"]
    return f"http://{metadata['name']}.{metadata['namespace']}.svc:{ports[0]['port']}" if ports else None


def is_pod_since(pod: Document, main: Document) -> bool:
    """Whether a pod is of a main object, and not of one of the same name that was deleted before."""
    made, own = (read_time(one["metadata"].get("creationTimestamp")) for one in (pod, main))
    return is_of_attempt(pod, main) and (made is None or own is None or made >= own)


def read_server_state(sight: Sight) -> ChildState:
    """Return how far the server has come. A pod that the queue holds back bears its scheduling gate."""
    pods = list_present(sight)
    restarts = _count_restarts(pods)
    words = _read_last_words(pods)
    told = f"; {LAST_WORDS}{words}" if words else ""
    if any(find_condition(pod, "Ready") for pod in pods):
        return ChildState(Standing.READY, message=_describe_missing(sight, pods), restarts=restarts)
    if any(is_pod_running(pod) for pod in pods):
        return ChildState(Standing.RUNNING, message=f"runs and is not ready yet{told}", restarts=restarts)
    if pods and all(is_gated(pod) for pod in pods):
        return explain_queue(sight.workload)
    fault = explain_pods_on_their_way(Sight(sight.main, pods, sight.workload, sight.warnings))
    if fault is not None:
        return fault
    if restarts:
        message = f"died {restarts} times and starts again{told}"
        return ChildState(Standing.STARTING, message=message, restarts=restarts)
    return explain_start(sight, may_lack_pods=False)


def list_present(sight: Sight) -> list[Document]:
    """Return the pods that are not being deleted."""
    return [pod for pod in sight.pods if not pod["metadata"].get("deletionTimestamp")]


def is_gated(pod: Document) -> bool:
    """Whether the queue holds a pod back."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "PodScheduled" and one.get("reason") == "SchedulingGated" for one in conditions)


def _describe_missing(sight: Sight, pods: list[Document]) -> str:
    """Say what the others of several replicas wait for; empty where all are ready."""
    late = [pod for pod in pods if not find_condition(pod, "Ready")]
    if not late:
        return ""
    share = f"{len(pods) - len(late)} of {len(pods)} replicas are ready"
    if any(is_gated(pod) for pod in late):
        return f"{share}; the next waits: {explain_queue(sight.workload).message}"
    fault = explain_pods_on_their_way(Sight(sight.main, late, sight.workload, sight.warnings))
    return f"{share}; the next does not run: {fault.message}" if fault else f"{share}"


def _count_restarts(pods: list[Document]) -> int:
    statuses = [status for pod in pods for status in pod.get("status", {}).get("containerStatuses", ())]
    return sum(int(status.get("restartCount") or 0) for status in statuses)


def _read_last_words(pods: list[Document]) -> str:
    """Return the end of what a server said when it died last, or how it ended; empty where none died."""
    statuses = [status for pod in pods for status in pod.get("status", {}).get("containerStatuses", ())]
    ends = [(status.get(name) or {}).get("terminated") for status in statuses for name in ("lastState", "state")]
    last = max((end for end in ends if end), key=lambda end: str(end.get("finishedAt", "")), default=None)
    if last is None:
        return ""
    # An error of Practicum has two lines: what is wrong, and what helps.
    said = [line.strip() for line in str(last.get("message") or "").splitlines() if line.strip()]
    return " ".join(said[-2:])[:_MAX_WORDS] or f"{last.get('reason', 'Error')}, exit code {last.get('exitCode')}"
