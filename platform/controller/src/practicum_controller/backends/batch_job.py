"""Decides the Kubernetes Job of a step that runs in one pod."""

from __future__ import annotations

from practicum_controller.backends.pods import ChildRequest, build_pod_template
from practicum_controller.client import Document

FINISHED_TTL_S = 86_400
"""Seconds that a finished Job keeps its pod, for its log; the reports are kept by the controller."""


def build_job(request: ChildRequest) -> Document:
    """Return the Job. It starts suspended: the queue lets it out.

    Retries are the plan's, so the Job has none; a pod that the node took away does not count as a failure.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": request.build_metadata(),
        "spec": {
            "suspend": True,
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": FINISHED_TTL_S,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": build_pod_template(request),
        },
    }
