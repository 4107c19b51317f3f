"""Kubernetes Deployments with a Service for servers that run in one pod.

Kueue queues the pods of a Deployment, not the Deployment: each pod waits behind a scheduling gate. The kubelet starts a
container again that died or does not answer, and the Deployment makes a pod again that was deleted or evicted.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from practicum_controller.backends.backend import ChildState, Document, Needs, Sight
from practicum_controller.backends.pod_status import read_pods_start, read_pods_stop
from practicum_controller.backends.pods import build_pod_template, get_needs
from practicum_controller.backends.request import ChildRequest
from practicum_controller.backends.server_pods import (
    add_server,
    build_service,
    get_endpoint,
    is_pod_since,
    list_marks,
    read_server_state,
)
from practicum_controller.kinds import DEPLOYMENTS, SERVICES, Resource


class DeploymentBackend:
    """One pod that is replaced when it is lost, and the Service by whose name other steps reach it."""

    resources: tuple[Resource, ...] = (DEPLOYMENTS, SERVICES)
    is_server = True
    is_scaled = False

    def build(self, request: ChildRequest) -> list[dict[str, Any]]:
        """Return the Deployment and its Service."""
        template = build_pod_template(request, is_restartable=True)
        add_server(template["spec"]["containers"][0], get_endpoint(request))
        deployment = {
            "apiVersion": DEPLOYMENTS.api_version,
            "kind": DEPLOYMENTS.kind,
            "metadata": request.build_metadata(),
            "spec": {
                "replicas": 1,
                "revisionHistoryLimit": 0,
                # A second pod beside the first would ask for what the quota has once.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": list_marks(request)},
                "template": template,
            },
        }
        return [deployment, build_service(request)]

    def get_needs(self, request: ChildRequest) -> Needs:
        """Return what its pod holds."""
        return get_needs(request)

    def is_pod_of(self, pod: Document, main: Document) -> bool:
        """Whether a pod is this Deployment's, and not one of a Deployment of the same name that was deleted before."""
        return is_pod_since(pod, main)

    def read_state(self, sight: Sight) -> ChildState:
        """Return how far the server has come."""
        return read_server_state(sight)

    def read_start(self, sight: Sight) -> dt.datetime | None:
        """Return since when its container runs or, where it ended, when it began."""
        return read_pods_start(sight.pods)

    def read_stop(self, sight: Sight) -> dt.datetime | None:
        """Return when its container ended; ``None`` while one runs."""
        return read_pods_stop(sight.pods)
