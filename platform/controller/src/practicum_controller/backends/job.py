"""Kubernetes Jobs for steps that run in one pod."""

from __future__ import annotations

import datetime as dt
from typing import Any

from practicum_controller.backends.backend import ChildState, Document, Needs, Sight, Standing
from practicum_controller.backends.pod_status import (
    explain_pods,
    find_condition,
    is_of_attempt,
    is_pod_running,
    read_pods_start,
    read_pods_stop,
)
from practicum_controller.backends.pods import build_pod_template, get_needs
from practicum_controller.backends.queueing import explain_pods_on_their_way, explain_queue, explain_start
from practicum_controller.backends.request import ChildRequest
from practicum_controller.documents import read_time
from practicum_controller.kinds import JOBS, Resource
from practicum_core.errors import Reason

FINISHED_TTL_S = 86_400
"""Seconds that a finished Job keeps its pod, for its log; the reports are kept by the controller."""
_JOB_UID = "batch.kubernetes.io/controller-uid"


class JobBackend:
    """One pod, once: retries are the plan's, and a pod that the node took away does not count as a failure."""

    resources: tuple[Resource, ...] = (JOBS,)
    is_server = False
    is_scaled = False

    def build(self, request: ChildRequest) -> list[dict[str, Any]]:
        """Return the Job. It starts suspended: the queue lets it out."""
        disrupted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
        job = {
            "apiVersion": JOBS.api_version,
            "kind": JOBS.kind,
            "metadata": request.build_metadata(),
            "spec": {
                "suspend": True,
                "parallelism": 1,
                "completions": 1,
                "backoffLimit": 0,
                "ttlSecondsAfterFinished": FINISHED_TTL_S,
                "podFailurePolicy": {"rules": [disrupted]},
                "template": build_pod_template(request),
            },
        }
        return [job]

    def get_needs(self, request: ChildRequest) -> Needs:
        """Return what its pod holds."""
        return get_needs(request)

    def is_pod_of(self, pod: Document, main: Document) -> bool:
        """Whether a pod is this Job's, and not one of a Job of the same name that was deleted before."""
        uid = main["metadata"]["uid"]
        return is_of_attempt(pod, main) and pod["metadata"].get("labels", {}).get(_JOB_UID, uid) == uid

    def read_state(self, sight: Sight) -> ChildState:
        """Return how far the Job has come. One that is "active" may hold a pod whose image cannot be pulled."""
        ended = find_condition(sight.main, "Failed") or find_condition(sight.main, "Complete")
        if ended is not None:
            said = f"ended without a record ({ended.get('message') or ended.get('reason') or ended['type']})"
            return explain_pods(sight.pods) or ChildState(Standing.ENDED, Reason.STAGE_CRASHED, said)
        if sight.main["spec"].get("suspend"):
            return explain_queue(sight.workload)
        fault = explain_pods_on_their_way(sight)
        if fault is not None:
            return fault
        if any(is_pod_running(pod) for pod in sight.pods):
            return ChildState(Standing.RUNNING)
        return explain_start(sight, may_lack_pods=False)

    def read_start(self, sight: Sight) -> dt.datetime | None:
        """Return since when its container runs or, where it ended, when it began."""
        return read_pods_start(sight.pods)

    def read_stop(self, sight: Sight) -> dt.datetime | None:
        """Return when its container ended, else when the Job completed."""
        if any(is_pod_running(pod) for pod in sight.pods):
            return None
        return read_pods_stop(sight.pods) or read_time(sight.main.get("status", {}).get("completionTime"))
