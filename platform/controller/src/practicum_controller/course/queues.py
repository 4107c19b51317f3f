"""What a class shares: Kueue's flavor, queue and priorities. Pure."""

from __future__ import annotations

from typing import Any

from practicum_controller.course.homes import get_cluster_queue_name
from practicum_controller.kinds import PRIORITY_CLASSES
from practicum_core import labels
from practicum_core.course import Course

Document = dict[str, Any]
KUEUE = "kueue.x-k8s.io/v1beta2"


def build_shared(course: Course) -> list[Document]:
    """Return everything that a course shares, in the order in which it is to be made."""
    return [build_flavor(course), build_cluster_queue(course), *build_priorities(course)]


def build_flavor(course: Course) -> Document:
    """Return the kind of node that the class computes on."""
    spec: Document = {}
    if course.spec.queue.node_labels:
        spec["nodeLabels"] = dict(course.spec.queue.node_labels)
    if course.spec.queue.slices:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    return _build_object(course, "ResourceFlavor", get_cluster_queue_name(course.metadata.name), spec)


def build_cluster_queue(course: Course) -> Document:
    """Return the queue: quotas, whose namespaces it serves, and that a higher priority preempts a lower one."""
    queue, gpu = course.spec.queue, course.spec.gpu.get_resource_name()
    quotas = {"cpu": queue.cpu, "memory": queue.memory, gpu: str(queue.slices)}
    spec: Document = {
        "namespaceSelector": {"matchLabels": {labels.COURSE: course.metadata.name}},
        "queueingStrategy": "BestEffortFIFO",
        "resourceGroups": [
            {
                "coveredResources": list(quotas),
                "flavors": [
                    {
                        "name": get_cluster_queue_name(course.metadata.name),
                        "resources": [{"name": name, "nominalQuota": amount} for name, amount in quotas.items()],
                    }
                ],
            }
        ],
        "preemption": {"withinClusterQueue": "LowerPriority", "reclaimWithinCohort": "Any"},
        "stopPolicy": "Hold" if course.spec.suspend else "None",
    }
    if queue.cohort:
        spec["cohortName"] = queue.cohort
    if queue.fair_sharing:
        spec["admissionScope"] = {"admissionMode": "UsageBasedAdmissionFairSharing"}
    return _build_object(course, "ClusterQueue", get_cluster_queue_name(course.metadata.name), spec)


def build_priorities(course: Course) -> list[Document]:
    """Return the priorities that week jobs may ask for."""
    return [
        _build_object(course, PRIORITY_CLASSES.kind, labels.build_priority_class_name(course.metadata.name, one.name))
        | {"value": one.value}
        for one in course.spec.priorities
    ]


def _build_object(course: Course, kind: str, name: str, spec: Document | None = None) -> Document:
    marks = {"app.kubernetes.io/managed-by": labels.MANAGER, labels.COURSE: course.metadata.name}
    document: Document = {"apiVersion": KUEUE, "kind": kind, "metadata": {"name": name, "labels": marks}}
    return document | ({"spec": spec} if spec is not None else {})
