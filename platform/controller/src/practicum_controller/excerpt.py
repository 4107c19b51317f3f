"""What is kept of each object: 10,000 week jobs and their children are held at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Document = dict[str, Any]
_KEPT_ANNOTATIONS = frozenset({"practicum.dev/config-hash", "practicum.dev/applied-hash", "practicum.dev/workspace"})
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
    """Keep what the controller reads, of the types that it reads: a kind without a schema holds anything."""
    metadata = document["metadata"]
    kept = {name: metadata[name] for name in _KEPT_META if metadata.get(name)}
    annotations = {
        key: value for key, value in _read_mapping(metadata, "annotations").items() if key in _KEPT_ANNOTATIONS
    }
    if annotations:
        kept["annotations"] = annotations
    kind = document["kind"]
    trimmed: Document = {"kind": kind, "metadata": kept, "version": read_version(document)}
    owners = [owner["uid"] for owner in metadata.get("ownerReferences") or ()]
    if owners:
        trimmed["owners"] = owners
    return trimmed | _trim_parts(kind, document)


def _trim_parts(kind: str, document: Mapping[str, Any]) -> Document:
    """Keep what is read of an object's specification and status, by its kind."""
    spec, status = _read_mapping(document, "spec"), _read_mapping(document, "status")
    conditions = {"conditions": _list_conditions(status)}
    parts: Document = {}
    match kind:
        case "WeekJob" | "Course":
            parts = {name: _read_mapping(document, name) for name in ("spec", "status") if name in document}
        case "Pod":
            parts["status"] = _trim_pod_status(status)
        case "Event":
            parts = {name: document.get(name) for name in ("reason", "message", "type")}
            parts["involvedObject"] = _read_mapping(document, "involvedObject")
        case "Job" | "RayJob":
            parts = {"spec": _read_suspension(spec), "status": _keep_texts(status, _CHILD_TEXTS) | conditions}
        case "RayService":
            parts = {"spec": _read_suspension(_read_mapping(spec, "rayClusterConfig")), "status": conditions}
        case "Service":
            parts["spec"] = {"ports": spec.get("ports") or []}
        case "Workload" | "InferenceService" | "ScaledObject":
            parts["status"] = conditions
    return parts


def _read_suspension(spec: Mapping[str, Any]) -> Document:
    return {"suspend": spec.get("suspend", False) is True}


_CONTAINER_STATUS = ("name", "state", "lastState", "restartCount")
_CHILD_TEXTS = (
    "completionTime",
    "endTime",
    "startTime",
    "jobStatus",
    "jobDeploymentStatus",
    "rayClusterName",
    "reason",
    "message",
)
_CONDITION_TEXTS = ("type", "status", "reason", "message", "lastTransitionTime")


def _read_mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _keep_texts(part: Mapping[str, Any], names: Iterable[str]) -> Document:
    return {name: part[name] for name in names if isinstance(part.get(name), str)}


def _list_conditions(status: Mapping[str, Any]) -> list[Document]:
    """Return the conditions that have a type and a status.

    >>> _list_conditions({"conditions": [{"type": "Failed", "status": "True"}, {"type": 1}, "no"]})
    [{'type': 'Failed', 'status': 'True'}]
    """
    conditions = status.get("conditions")
    found = [one for one in conditions if isinstance(one, Mapping)] if isinstance(conditions, list) else []
    kept = [_keep_texts(one, _CONDITION_TEXTS) for one in found]
    return [one for one in kept if "type" in one and "status" in one]


def _trim_pod_status(status: Mapping[str, Any]) -> Document:
    kept = _keep_texts(status, ("phase", "reason", "message"))
    kept["conditions"] = [
        one for one in _list_conditions(status) if one["type"] in {"PodScheduled", "DisruptionTarget", "Ready"}
    ]
    for name in ("initContainerStatuses", "containerStatuses"):
        found = status.get(name) or ()
        kept[name] = [{part: one[part] for part in _CONTAINER_STATUS if part in one} for one in found]
    return kept


def is_changed(before: Mapping[str, Any], after: Mapping[str, Any], beside: Iterable[str]) -> bool:
    """Whether two states of an object differ in anything beside the parts named.

    >>> is_changed({"version": 1, "spec": {}}, {"version": 2, "spec": {}}, ("version",))
    False
    """
    names = (before.keys() | after.keys()).difference(beside)
    return any(before.get(name) != after.get(name) for name in names)
