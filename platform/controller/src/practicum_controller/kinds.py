"""One table of the Kubernetes kinds that the controller reads or writes, and where their objects live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Resource:
    """Where objects of one kind live.

    >>> Resource("Job", "batch/v1", "jobs").build_path("student-01", "a")
    '/apis/batch/v1/namespaces/student-01/jobs/a'
    """

    kind: str
    api_version: str
    plural: str
    is_namespaced: bool = True

    def build_path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Return the path of one object, or of the collection."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        inside = f"/namespaces/{namespace}" if namespace and self.is_namespaced else ""
        return f"{root}{inside}/{self.plural}" + (f"/{name}" if name else "")


_PRACTICUM, _KUEUE, _RBAC = "practicum.dev/v1alpha1", "kueue.x-k8s.io/v1beta2", "rbac.authorization.k8s.io/v1"
WEEK_JOBS = Resource("WeekJob", _PRACTICUM, "weekjobs")
COURSES = Resource("Course", _PRACTICUM, "courses", is_namespaced=False)
JOBS = Resource("Job", "batch/v1", "jobs")
DEPLOYMENTS = Resource("Deployment", "apps/v1", "deployments")
SERVICES = Resource("Service", "v1", "services")
RAY_JOBS = Resource("RayJob", "ray.io/v1", "rayjobs")
RAY_CLUSTERS = Resource("RayCluster", "ray.io/v1", "rayclusters")
RAY_SERVICES = Resource("RayService", "ray.io/v1", "rayservices")
INFERENCE_SERVICES = Resource("InferenceService", "serving.kserve.io/v1beta1", "inferenceservices")
SCALED_OBJECTS = Resource("ScaledObject", "keda.sh/v1alpha1", "scaledobjects")
PODS = Resource("Pod", "v1", "pods")
EVENTS = Resource("Event", "v1", "events")
NAMESPACES = Resource("Namespace", "v1", "namespaces", is_namespaced=False)
LEASES = Resource("Lease", "coordination.k8s.io/v1", "leases")
SECRETS = Resource("Secret", "v1", "secrets")
CONFIG_MAPS = Resource("ConfigMap", "v1", "configmaps")
RESOURCE_QUOTAS = Resource("ResourceQuota", "v1", "resourcequotas")
LIMIT_RANGES = Resource("LimitRange", "v1", "limitranges")
SERVICE_ACCOUNTS = Resource("ServiceAccount", "v1", "serviceaccounts")
CLAIMS = Resource("PersistentVolumeClaim", "v1", "persistentvolumeclaims")
NETWORK_POLICIES = Resource("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies")
ROLE_BINDINGS = Resource("RoleBinding", _RBAC, "rolebindings")
WORKLOADS = Resource("Workload", _KUEUE, "workloads")
LOCAL_QUEUES = Resource("LocalQueue", _KUEUE, "localqueues")
CLUSTER_QUEUES = Resource("ClusterQueue", _KUEUE, "clusterqueues", is_namespaced=False)
RESOURCE_FLAVORS = Resource("ResourceFlavor", _KUEUE, "resourceflavors", is_namespaced=False)
PRIORITY_CLASSES = Resource("WorkloadPriorityClass", _KUEUE, "workloadpriorityclasses", is_namespaced=False)

KINDS: Mapping[str, Resource] = MappingProxyType(
    {value.kind: value for value in list(globals().values()) if isinstance(value, Resource)}
)
"""Kind -> where its objects live."""

OPERATORS: Mapping[str, str] = MappingProxyType(
    {
        RAY_JOBS.kind: "KubeRay",
        RAY_SERVICES.kind: "KubeRay",
        INFERENCE_SERVICES.kind: "KServe",
        SCALED_OBJECTS.kind: "KEDA",
    }
)
"""Kind -> the operator that brings it."""
