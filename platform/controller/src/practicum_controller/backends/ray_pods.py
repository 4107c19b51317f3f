"""Ray clusters of a step's pods: a head, and workers where the step has more than one pod.

The container is the stage's own; KubeRay puts `ray start` in place of its command. GPU counts are set here: KubeRay
does not recognise the resource names of shared GPUs.
"""

from __future__ import annotations

import re
from typing import Any

from practicum_controller.backends.pods import build_pod_template
from practicum_controller.backends.request import ChildRequest

WORKER_GROUP = "workers"
_GRACE_S = 300
"""Seconds for a checkpoint: `ray start`, the container's first process, does not pass SIGTERM on, the hook does."""
_STOP = ("python", "-m", "practicum_jobs.agent", "--stop")
_CPU = re.compile(r"(\d+(?:\.\d+)?)(m?)")


def build_ray_cluster(request: ChildRequest, num_pods: int) -> dict[str, Any]:
    """Return the specification of a Ray cluster of ``num_pods`` pods."""
    cluster: dict[str, Any] = {
        "rayVersion": request.settings.ray_version,
        "enableInTreeAutoscaling": False,
        "headGroupSpec": {
            "rayStartParams": _build_start_params(request, is_head=True),
            "template": _build_ray_pod(request),
        },
    }
    if num_pods > 1:
        cluster["workerGroupSpecs"] = [
            {
                "groupName": WORKER_GROUP,
                "replicas": num_pods - 1,
                "minReplicas": num_pods - 1,
                "maxReplicas": num_pods - 1,
                "rayStartParams": _build_start_params(request, is_head=False),
                "template": _build_ray_pod(request),
            }
        ]
    return cluster


def _build_ray_pod(request: ChildRequest) -> dict[str, Any]:
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
