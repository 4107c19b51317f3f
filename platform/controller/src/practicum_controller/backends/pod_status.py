"""What the status of a pod says: whether it runs, since when, and what went wrong. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from practicum_controller.backends.backend import ChildState, Standing
from practicum_controller.documents import read_time
from practicum_core import labels
from practicum_core.errors import Reason

Document = Mapping[str, Any]
_IMAGE_FAULTS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CONTAINER_FAULTS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
# Such a container is said to have started in 1970.
_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})
_KILLED = 137


def is_of_attempt(pod: Document, main: Document) -> bool:
    """Whether a pod bears the labels of the same attempt of the same step as a child's main object."""
    marks, own = pod["metadata"].get("labels", {}), main["metadata"].get("labels", {})
    is_of_step = marks.get(labels.STEP) == own.get(labels.STEP)
    return bool(is_of_step and marks.get(labels.ATTEMPT) == own.get(labels.ATTEMPT, "1"))


def is_pod_alive(pod: Document) -> bool:
    """Whether containers of a pod may still write into the workspace."""
    return pod.get("status", {}).get("phase") in {"Pending", "Running"}


def is_pod_running(pod: Document) -> bool:
    """Whether a container of a pod that has not ended and is not being deleted runs."""
    if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return False
    states = [container.get("state", {}) for container in pod.get("status", {}).get("containerStatuses", ())]
    return any("running" in state for state in states)


def read_pods_start(pods: Iterable[Document]) -> dt.datetime | None:
    """Return since when containers run; where none does any more, when the first of them began.

    >>> state = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
    >>> pod = {"metadata": {}, "status": {"containerStatuses": [{"state": state}]}}
    >>> read_pods_start([pod]).isoformat()
    '2026-01-02T03:04:05+00:00'
    """
    pods = list(pods)
    running = _list_times(filter(is_pod_running, pods), "running", "startedAt")
    return min(running or _list_times(pods, "terminated", "startedAt"), default=None)


def read_pods_stop(pods: Iterable[Document]) -> dt.datetime | None:
    """Return when the last container ended; ``None`` while one runs, and where none did."""
    pods = list(pods)
    if any(is_pod_running(pod) for pod in pods):
        return None
    return max(_list_times(pods, "terminated", "finishedAt"), default=None)


def _list_times(pods: Iterable[Document], state: str, name: str) -> list[dt.datetime]:
    statuses = [one for pod in pods for one in pod.get("status", {}).get("containerStatuses", ())]
    states = [one.get("state", {}).get(state, {}) for one in statuses]
    times = [read_time(one.get(name)) for one in states if one.get("reason") not in _NEVER_RAN]
    return [time for time in times if time is not None]


def explain_pods(pods: Iterable[Document]) -> ChildState | None:
    """Name why pods of an ended child failed, where a pod shows it."""
    for pod in pods:
        status = pod.get("status", {})
        if status.get("reason") == "Evicted" or find_condition(pod, "DisruptionTarget"):
            return ChildState(Standing.ENDED, Reason.EVICTED, status.get("message") or "the node took the pod away")
        for container in status.get("containerStatuses", ()):
            ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
            if ended and ended.get("reason") == "OOMKilled":
                said = "killed for memory: ask for more, or use a smaller batch_size"
                return ChildState(Standing.ENDED, Reason.OUT_OF_MEMORY, said)
            if ended and ended.get("exitCode") == _KILLED:
                return ChildState(Standing.ENDED, Reason.STAGE_CRASHED, "the stage was killed (exit code 137)")
    return None


def explain_waiting_pod(pod: Document) -> ChildState | None:
    """Say what keeps a pod from running, where something is wrong."""
    status = pod.get("status", {})
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting", {})
        said = f"{waiting.get('reason', '')}: {waiting.get('message', '')}".rstrip(": ")
        if waiting.get("reason") in _IMAGE_FAULTS:
            return ChildState(Standing.STARTING, Reason.IMAGE_PULL_FAILED, said)
        if waiting.get("reason") in _CONTAINER_FAULTS:
            return ChildState(Standing.STARTING, Reason.POD_REFUSED, said)
    scheduled = next((one for one in status.get("conditions", ()) if one["type"] == "PodScheduled"), None)
    if scheduled and scheduled["status"] == "False" and scheduled.get("reason") == "Unschedulable":
        return ChildState(Standing.STARTING, Reason.UNSCHEDULABLE, str(scheduled.get("message", "")))
    return None


def find_condition(document: Document | None, kind: str) -> Document | None:
    """Return the condition of an object that is of one type and holds.

    >>> find_condition({"status": {"conditions": [{"type": "Failed", "status": "False"}]}}, "Failed") is None
    True
    """
    conditions = (document or {}).get("status", {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind and one["status"] == "True"), None)
