"""KubeRay RayJobs for steps that train on Ray: a head alone for one worker, head and workers for several.

The entrypoint runs the stage on the cluster of :mod:`practicum_controller.backends.ray_pods`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from practicum_controller.backends.backend import ChildState, Document, Needs, Sight, Standing
from practicum_controller.backends.pod_status import (
    explain_pods,
    is_of_attempt,
    is_pod_running,
    read_pods_start,
    read_pods_stop,
)
from practicum_controller.backends.pods import get_needs
from practicum_controller.backends.queueing import explain_pods_on_their_way, explain_queue, explain_start
from practicum_controller.backends.ray_pods import build_ray_cluster
from practicum_controller.backends.request import ChildRequest
from practicum_controller.documents import read_time
from practicum_controller.kinds import RAY_JOBS, Resource
from practicum_core.errors import Reason

ENTRYPOINT = "python -m practicum_jobs.agent"
_FINISHED_TTL_S = 0
"""Its pods would hold the namespace's quota while the next step waits for it."""
_RAY_CLUSTER = "ray.io/cluster"
_UNSEEN = frozenset({None, "", "Suspended"})
"""What stands in a RayJob that was let out of its queue until the operator looks at it."""
_ENDED = frozenset({"Complete", "Failed", "ValidationFailed"})


class RayJobBackend:
    """A Ray cluster of the step's pods, and the job that KubeRay submits to it, once: retries are the plan's."""

    resources: tuple[Resource, ...] = (RAY_JOBS,)
    is_server = False
    is_scaled = False

    def build(self, request: ChildRequest) -> list[dict[str, Any]]:
        """Return the RayJob. It starts suspended: the queue lets it out."""
        job = {
            "apiVersion": RAY_JOBS.api_version,
            "kind": RAY_JOBS.kind,
            "metadata": request.build_metadata(),
            "spec": {
                "suspend": True,
                "submissionMode": "HTTPMode",
                "entrypoint": ENTRYPOINT,
                "shutdownAfterJobFinishes": True,
                "ttlSecondsAfterFinished": _FINISHED_TTL_S,
                "backoffLimit": 0,
                "rayClusterSpec": build_ray_cluster(request, request.num_pods),
            },
        }
        return [job]

    def get_needs(self, request: ChildRequest) -> Needs:
        """Return what the head and its workers hold."""
        return get_needs(request)

    def is_pod_of(self, pod: Document, main: Document) -> bool:
        """Whether a pod is of the RayJob's present cluster."""
        cluster = main.get("status", {}).get("rayClusterName")
        marks = pod["metadata"].get("labels", {})
        return is_of_attempt(pod, main) and (not cluster or marks.get(_RAY_CLUSTER, cluster) == cluster)

    def read_state(self, sight: Sight) -> ChildState:
        """Return how far the RayJob has come. Its cluster runs before the stage does, which waits for the head."""
        status = sight.main.get("status", {})
        if status.get("jobDeploymentStatus") in _ENDED:
            said = status.get("message") or status.get("reason") or f"Ray job {status.get('jobStatus', 'ended')}"
            return explain_pods(sight.pods) or ChildState(Standing.ENDED, Reason.STAGE_CRASHED, str(said))
        if sight.main["spec"].get("suspend"):
            return explain_queue(sight.workload)
        fault = explain_pods_on_their_way(sight)
        if fault is not None:
            return fault
        if status.get("jobStatus") == "RUNNING" and any(is_pod_running(pod) for pod in sight.pods):
            return ChildState(Standing.RUNNING)
        state = explain_start(sight, may_lack_pods=True)
        if state.reason is None and not sight.pods and status.get("jobDeploymentStatus") in _UNSEEN:
            said = "waits for the operator KubeRay, which has not taken it up yet; if this lasts, ask whether it runs"
            return ChildState(Standing.STARTING, None, said)
        return state

    def read_start(self, sight: Sight) -> dt.datetime | None:
        """Return since when its containers run; the pods of a Ray cluster go with it, and then its own time counts."""
        status = sight.main.get("status", {})
        # A job that was never submitted has no status.
        is_over = status.get("jobStatus") and status.get("endTime")
        return read_pods_start(sight.pods) or (read_time(status.get("startTime")) if is_over else None)

    def read_stop(self, sight: Sight) -> dt.datetime | None:
        """Return when the job ended: a Ray cluster outlives its job, and a worker may end before it."""
        return read_time(sight.main.get("status", {}).get("endTime")) or read_pods_stop(sight.pods)
