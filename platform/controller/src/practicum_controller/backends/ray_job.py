"""Decides the KubeRay RayJob of a step that trains: a head alone for one worker, head and workers for several.

The head's container is the stage's own; KubeRay puts `ray start` in place of its command, and the entrypoint runs the
stage. GPU counts are set by us: KubeRay does not recognise the resource names of shared GPUs.
"""

from __future__ import annotations

import re

from practicum_controller.backends.pods import ChildRequest, build_pod_template
from practicum_controller.client import Document
from practicum_core.stages.spec import Runner

WORKER_GROUP = "workers"
ENTRYPOINT = "python -m practicum_jobs.agent"
_FINISHED_TTL_S = 0
"""Its pods would hold the namespace's quota while the next step waits for it."""
_GRACE_S = 300
"""Seconds for a checkpoint: `ray start`, the container's first process, does not pass SIGTERM on, the hook does."""
_STOP = ("python", "-m", "practicum_jobs.agent", "--stop")
_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)")


def needs_ray(request: ChildRequest) -> bool:
    """Whether the step trains on Ray: the flat engine runs in one plain pod."""
    step = request.item.step
    return step.spec.choose_runner(step.config) is Runner.RAY


def build_ray_job(request: ChildRequest) -> Document:
    """Return the RayJob. It starts suspended: the queue lets it out."""
    cluster: Document = {
        "rayVersion": request.settings.ray_version,
        "enableInTreeAutoscaling": False,
        "headGroupSpec": {
            "rayStartParams": _build_start_params(request, is_head=True),
            "template": _build_ray_pod(request),
        },
    }
    if request.num_pods > 1:
        cluster["workerGroupSpecs"] = [
            {
                "groupName": WORKER_GROUP,
                "replicas": request.num_pods - 1,
                "minReplicas": request.num_pods - 1,
                "maxReplicas": request.num_pods - 1,
                "rayStartParams": _build_start_params(request, is_head=False),
                "template": _build_ray_pod(request),
            }
        ]
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": request.build_metadata(),
        "spec": {
            "suspend": True,
            "submissionMode": "HTTPMode",
            "entrypoint": ENTRYPOINT,
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": _FINISHED_TTL_S,
            "backoffLimit": 0,
            "rayClusterSpec": cluster,
        },
    }


def _build_ray_pod(request: ChildRequest) -> Document:
    template = build_pod_template(request, is_restartable=True)
    template["spec"]["terminationGracePeriodSeconds"] = _GRACE_S
    container = template["spec"]["containers"][0]
    del container["command"]
    container["lifecycle"] = {"preStop": {"exec": {"command": list(_STOP)}}}
    return template


def _build_start_params(request: ChildRequest, *, is_head: bool) -> dict[str, str]:
    """Tell Ray what it has: it would count the node's, or not know the name of a shared GPU."""
    params = {"num-gpus": str(request.slices), "num-cpus": str(count_cpus(_get_cpu(request)))}
    if is_head:
        params["dashboard-host"] = "0.0.0.0"  # noqa: S104 - of the pod; the network policy says who reaches it
    return params


def _get_cpu(request: ChildRequest) -> str:
    return request.weekjob.spec.resources.cpu or request.course.stage_resources.cpu


def count_cpus(quantity: str) -> int:
    """Return whole CPUs, one at least.

    >>> count_cpus("500m"), count_cpus("2"), count_cpus("3500m")
    (1, 2, 3)
    """
    match = _CPU.fullmatch(quantity)
    if match is None:
        return 1
    amount = float(match[1]) / (1000 if match[2] else 1)
    return max(int(amount), 1)
