"""Decides what is kept of each object: 10,000 week jobs and their children are held at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]
_KEPT_ANNOTATIONS = frozenset({"practicum.dev/config-hash", "practicum.dev/applied-hash"})
_KEPT_META = (
    "name",
    "namespace",
    "uid",
    "labels",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
)


def read_version(document: Mapping[str, Any]) -> int:
    """Return an object's resource version as a number, which newer ones are above.

    Source: Kubernetes documentation, "Resource versions": comparable as integers since 1.35, and never otherwise used.

    >>> read_version({"metadata": {"resourceVersion": "12"}}), read_version({"metadata": {}})
    (12, 0)
    """
    text = str(document["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else int(document.get("version", 0))


def trim(document: Mapping[str, Any]) -> Document:
    """Keep what the controller reads."""
    metadata = document["metadata"]
    kept = {name: metadata[name] for name in _KEPT_META if metadata.get(name)}
    annotations = {key: value for key, value in metadata.get("annotations", {}).items() if key in _KEPT_ANNOTATIONS}
    if annotations:
        kept["annotations"] = annotations
    kind = document["kind"]
    trimmed: Document = {"kind": kind, "metadata": kept, "version": read_version(document)}
    owners = [owner["uid"] for owner in metadata.get("ownerReferences", ())]
    if owners:
        trimmed["owners"] = owners
    match kind:
        case "WeekJob" | "Course":
            trimmed |= {name: document[name] for name in ("spec", "status") if name in document}
        case "Pod":
            trimmed["status"] = _trim_pod_status(document.get("status", {}))
        case "Event":
            trimmed |= {name: document.get(name) for name in ("reason", "message", "involvedObject", "type")}
        case "Job" | "RayJob":
            trimmed["spec"] = {"suspend": document.get("spec", {}).get("suspend", False)}
            trimmed["status"] = _trim_child_status(document.get("status", {}))
        case "Service":
            trimmed["spec"] = {"ports": document.get("spec", {}).get("ports", [])}
        case "Workload":
            trimmed["status"] = {"conditions": document.get("status", {}).get("conditions", [])}
    return trimmed


_CONTAINER_STATUS = ("name", "state", "lastState", "restartCount")
_CHILD_STATUS = (
    "completionTime",
    "conditions",
    "endTime",
    "startTime",
    "jobStatus",
    "jobDeploymentStatus",
    "rayClusterName",
    "reason",
    "message",
)


def _trim_child_status(status: Mapping[str, Any]) -> Document:
    return {name: status[name] for name in _CHILD_STATUS if name in status}


def _trim_pod_status(status: Mapping[str, Any]) -> Document:
    kept = {name: status[name] for name in ("phase", "reason", "message") if name in status}
    kept["conditions"] = [
        one for one in status.get("conditions", ()) if one["type"] in {"PodScheduled", "DisruptionTarget", "Ready"}
    ]
    for name in ("initContainerStatuses", "containerStatuses"):
        kept[name] = [{part: one[part] for part in _CONTAINER_STATUS if part in one} for one in status.get(name, ())]
    return kept
