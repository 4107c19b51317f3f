"""What a student's namespace holds: limits, network rules, rights, a volume, a queue. Pure.

What is not allowed here is not allowed at all: pods reach the cluster's own DNS, the controller's ingest and each other
within the namespace; students manage week jobs and read what became of them, and write no status.
"""

from __future__ import annotations

from typing import Any

from practicum_controller.backends.pods import CA_CONFIG_MAP, SERVICE_ACCOUNT, WORKSPACE_CLAIM
from practicum_controller.settings import Settings
from practicum_core import labels
from practicum_core.api_keys import KEYS_CONFIG_MAP
from practicum_core.course import Course, Student
from practicum_core.quantities import MIN_CPU, MIN_MEMORY
from practicum_core.stages import STAGES

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


def build_home(course: Course, student: Student, settings: Settings, authority: str) -> list[Document]:
    """Return everything inside a student's namespace but the volume's claim, which is made once and then kept.

    Args:
        course: The course.
        student: The student.
        settings: The controller's.
        authority: Certificate authority of the ingest, PEM.
    """
    return [
        build_quota(course, student),
        build_limits(course, student),
        *build_network_policies(course, student, settings),
        _build_object(course, student, "v1", "ServiceAccount", SERVICE_ACCOUNT, automountServiceAccountToken=False),
        build_role_binding(course, student),
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


def build_network_policies(course: Course, student: Student, settings: Settings) -> list[Document]:
    """Return the network policies: nothing but DNS, the controller's ingest, the operator's dashboard and home."""
    everything: Document = {}
    platform = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}}}
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    # Ray's own pods of every student carry the operator's name but not its component.
    operator = {"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}}
    outside = {"matchExpressions": [{"key": labels.STUDENT, "operator": "DoesNotExist"}]}
    ray = {"podSelector": operator, "namespaceSelector": outside}
    # KEDA's operator asks the gateways how much waits.
    keda = {"podSelector": {"matchLabels": {"app": "keda-operator"}}, "namespaceSelector": outside}
    # Prometheus reads the metrics of gateways and engines (the chart's PodMonitor); the label is the operator's.
    prometheus = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
        "namespaceSelector": outside,
    }
    # Any address would do to carry data out: a server of one's own that listens on this port. The pods of the DNS, and
    # where pods are told to ask: a cache of the node that takes the questions is no pod.
    blocks = filter(None, settings.dns_networks.split(","))
    servers: list[Document] = [{"namespaceSelector": outside}, *({"ipBlock": {"cidr": block}} for block in blocks)]
    own: list[Document] = [{"podSelector": {}}]
    policies: dict[str, Document] = {
        "practicum-deny": {"podSelector": everything, "policyTypes": ["Ingress", "Egress"]},
        "practicum-home": {
            "podSelector": everything,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": own}],
            "egress": [{"to": own}],
        },
        "practicum-dns": {
            "podSelector": everything,
            "policyTypes": ["Egress"],
            "egress": [{"to": servers, "ports": dns}],
        },
        "practicum-ingest": {
            "podSelector": everything,
            "policyTypes": ["Egress"],
            "egress": [{"to": [platform], "ports": [{"protocol": "TCP", "port": settings.ingest_port}]}],
        },
        "practicum-load": {
            "podSelector": everything,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [keda], "ports": [{"protocol": "TCP", "port": port} for port in list_meter_ports()]}],
        },
        "practicum-metrics": {
            "podSelector": everything,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [prometheus], "ports": [{"protocol": "TCP", "port": port} for port in list_server_ports()]}
            ],
        },
        "practicum-ray": {
            "podSelector": {"matchLabels": {"ray.io/is-ray-node": "yes"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [ray], "ports": [{"protocol": "TCP", "port": port} for port in list_ray_ports()]}],
        },
    }
    return [
        _build_object(course, student, "networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)
        for name, spec in policies.items()
    ]


def list_meter_ports() -> list[int]:
    """Return the ports of the stages that tell the load of others."""
    specs = (spec for spec in STAGES.values() if spec.find_meter is not None)
    return sorted({spec.endpoint.port for spec in specs if spec.endpoint is not None})


def list_server_ports() -> list[int]:
    """Return the ports of all servers, which have their metrics there."""
    return sorted({spec.endpoint.port for spec in STAGES.values() if spec.endpoint is not None})


def list_ray_ports() -> list[int]:
    """Return the ports of Ray's pods that KubeRay asks: the dashboard, its agents, and the proxies of served models."""
    served = {spec.endpoint.port for spec in STAGES.values() if spec.join_records is not None and spec.endpoint}
    return sorted({8265, 52365, *served})


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
