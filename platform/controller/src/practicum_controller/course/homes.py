"""What a student's namespace holds: limits, network rules, rights, a volume, a queue. Pure.

What is not allowed here is not allowed at all: pods reach the cluster's own DNS, the controller's ingest and each other
within the namespace; students manage week jobs and read what became of them, and write no status.
"""

from __future__ import annotations

from typing import Any

from practicum_controller.backends.pods import (
    CA_CONFIG_MAP,
    CHAOS_ACCOUNT,
    SERVICE_ACCOUNT,
    WORKSPACE_CLAIM,
)
from practicum_controller.course.network import build_policies
from practicum_controller.settings import Settings
from practicum_core import labels
from practicum_core.api_keys import KEYS_CONFIG_MAP
from practicum_core.course import Course, Student
from practicum_core.quantities import MIN_CPU, MIN_MEMORY

Document = dict[str, Any]
STUDENT_ROLE = "practicum-student"
"""ClusterRole that the chart makes."""
_POD_SECURITY = "pod-security.kubernetes.io"
_RBAC = "rbac.authorization.k8s.io"


def build_namespace(course: Course, student: Student) -> Document:
    """Return the namespace, under Pod Security `restricted`."""
    levels = {f"{_POD_SECURITY}/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    marks = _build_marks(course) | {labels.STUDENT: student.name} | levels
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": student.home, "labels": marks}}


def build_home(
    course: Course, student: Student, settings: Settings, authority: str, api_server: list[Document]
) -> list[Document]:
    """Return everything inside a student's namespace but the volume's claim, which is made once and then kept.

    Args:
        course: The course.
        student: The student.
        settings: The controller's.
        authority: Certificate authority of the ingest, PEM.
        api_server: Rules of a network policy for where the API server answers.
    """
    return [
        build_quota(course, student),
        build_limits(course, student),
        *(
            _build_object(course, student, "networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)
            for name, spec in build_policies(settings, api_server).items()
        ),
        _build_object(course, student, "v1", "ServiceAccount", SERVICE_ACCOUNT, automountServiceAccountToken=False),
        _build_object(course, student, "v1", "ServiceAccount", CHAOS_ACCOUNT, automountServiceAccountToken=False),
        build_role_binding(course, student),
        build_chaos_binding(course, student),
        _build_object(course, student, "v1", "ConfigMap", CA_CONFIG_MAP, data={"ca.crt": authority}),
        # Without content: the student's command writes it.
        _build_object(course, student, "v1", "ConfigMap", KEYS_CONFIG_MAP),
        build_local_queue(course, student),
    ]


def build_quota(course: Course, student: Student) -> Document:
    """Return the ResourceQuota: what all pods of the namespace may ask for together."""
    quota = course.spec.quota
    hard = {
        "requests.cpu": quota.cpu,
        "requests.memory": quota.memory,
        "limits.memory": quota.memory,
        "pods": str(quota.pods),
        "count/weekjobs.practicum.dev": str(quota.week_jobs),
        f"requests.{course.spec.gpu.get_resource_name()}": str(quota.slices),
    }
    return _build_object(course, student, "v1", "ResourceQuota", "practicum", spec={"hard": hard})


def build_limits(course: Course, student: Student) -> Document:
    """Return the LimitRange: what a container gets that asks for nothing, and the least that one may ask for."""
    usual = course.spec.stage_resources
    amounts = {"cpu": usual.cpu, "memory": usual.memory}
    least = {"cpu": MIN_CPU, "memory": MIN_MEMORY}
    limit = {"type": "Container", "default": amounts, "defaultRequest": amounts, "min": least}
    return _build_object(course, student, "v1", "LimitRange", "practicum", spec={"limits": [limit]})


def build_role_binding(course: Course, student: Student) -> Document:
    """Return who may work in the namespace."""
    return _build_object(
        course,
        student,
        f"{_RBAC}/v1",
        "RoleBinding",
        STUDENT_ROLE,
        roleRef={"apiGroup": _RBAC, "kind": "ClusterRole", "name": STUDENT_ROLE},
        subjects=[{"apiGroup": _RBAC, "kind": "User", "name": name} for name in student.subjects],
    )


def build_chaos_binding(course: Course, student: Student) -> Document:
    """Return what lets experiments break pods of this namespace."""
    subject = {"kind": "ServiceAccount", "name": CHAOS_ACCOUNT, "namespace": student.home}
    role = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": CHAOS_ACCOUNT}
    return _build_object(course, student, f"{_RBAC}/v1", "RoleBinding", CHAOS_ACCOUNT, roleRef=role, subjects=[subject])


def build_claim(course: Course, student: Student) -> Document:
    """Return the claim of the workspace. Nothing owns it: it outlives week jobs, course and roster."""
    workspace = course.spec.workspace
    spec: Document = {
        "accessModes": [workspace.access_mode],
        "resources": {"requests": {"storage": workspace.size}},
    }
    if workspace.storage_class_name:
        spec["storageClassName"] = workspace.storage_class_name
    return _build_object(course, student, "v1", "PersistentVolumeClaim", WORKSPACE_CLAIM, spec=spec)


def build_local_queue(course: Course, student: Student, *, is_archived: bool = False) -> Document:
    """Return the student's queue; an archived student's admits nothing and ends what runs."""
    name = labels.build_queue_name(course.metadata.name, student.home)
    spec: Document = {
        "clusterQueue": get_cluster_queue_name(course.metadata.name),
        "stopPolicy": "HoldAndDrain" if is_archived else "None",
    }
    if course.spec.queue.fair_sharing:
        spec["fairSharing"] = {"weight": "1"}
    return _build_object(course, student, "kueue.x-k8s.io/v1beta2", "LocalQueue", name, spec=spec)


def get_cluster_queue_name(course: str) -> str:
    """Return the name of a course's ClusterQueue.

    >>> get_cluster_queue_name("llm")
    'practicum-llm'
    """
    return f"practicum-{course}"


def _build_marks(course: Course) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": labels.MANAGER, labels.COURSE: course.metadata.name}


def _build_object(
    course: Course,
    student: Student,
    api_version: str,
    kind: str,
    name: str,
    **parts: Any,  # noqa: ANN401 - the object's own fields
) -> Document:
    metadata = {"name": name, "namespace": student.home, "labels": _build_marks(course)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}
