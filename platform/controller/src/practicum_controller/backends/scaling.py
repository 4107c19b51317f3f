"""How many replicas a server has: fixed, or by what its gateway counts, by KEDA from zero and back.

The gateway holds requests while there is no replica, and says how many wait and run. KEDA asks it every few seconds; it
scales to zero after the course's ``serving.idleSeconds`` without any.

Source: keda v2.18, pkg/scalers/metrics_api_scaler.go and apis/keda/v1alpha1/scaledobject_types.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from practicum_controller.backends.request import ChildRequest
from practicum_controller.backends.server_pods import PORT_NAME, get_service_name
from practicum_controller.kinds import SCALED_OBJECTS, SERVICES
from practicum_core import labels
from practicum_core.weekjob import Serving

_POLL_S = 5
_CALM_S = 30
"""Seconds of lower load after which a replica too many is stopped."""


@dataclass(frozen=True)
class Scale:
    """How many replicas there may be. ``first`` is how many are made at first: one at least, to see that it starts."""

    fewest: int
    most: int

    @property
    def first(self) -> int:
        """Replicas at first."""
        return max(self.fewest, 1)

    @property
    def varies(self) -> bool:
        """Whether their number follows the load."""
        return self.fewest < self.most


def get_scale(request: ChildRequest) -> Scale:
    """Return how many replicas the week job asks for: one, where it says nothing.

    >>> Scale(0, 2).first, Scale(0, 2).varies, Scale(1, 1).varies
    (1, True, False)
    """
    serving = request.weekjob.spec.serving or Serving()
    fewest = 1 if serving.min_replicas is None else serving.min_replicas
    most = max(fewest, 1) if serving.max_replicas is None else serving.max_replicas
    # Without a gateway nobody counts the load, nor wakes it up.
    return Scale(min(fewest, most), most) if request.meter is not None else Scale(max(fewest, 1), max(fewest, 1))


def build_meter_service(request: ChildRequest) -> dict[str, Any]:
    """Return the Service by whose name KEDA reaches the gateway, whichever attempt of its step runs."""
    assert request.meter is not None  # noqa: S101 - only what varies is scaled
    marks = {labels.WEEK_JOB_UID: request.uid, labels.STEP: request.meter.step}
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": _build_metadata(request, _get_meter_name(request)),
        "spec": {
            "selector": marks,
            "ports": [{"name": PORT_NAME, "port": request.meter.port, "targetPort": PORT_NAME}],
        },
    }


def build_scaled_object(request: ChildRequest, deployment: str) -> dict[str, Any]:
    """Return the ScaledObject of a Deployment whose load the gateway counts."""
    scale = get_scale(request)
    calm = {"stabilizationWindowSeconds": _CALM_S}
    return {
        "apiVersion": SCALED_OBJECTS.api_version,
        "kind": SCALED_OBJECTS.kind,
        "metadata": _build_metadata(request, request.name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
            "minReplicaCount": scale.fewest,
            "maxReplicaCount": scale.most,
            "pollingInterval": _POLL_S,
            "cooldownPeriod": request.course.serving.idle_seconds,
            # Else it is stopped as soon as KEDA asks for the first time.
            "initialCooldownPeriod": request.course.serving.idle_seconds,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": calm}}},
            "triggers": [
                {
                    "type": "metrics-api",
                    "metadata": {
                        "url": _build_meter_url(request),
                        "valueLocation": "load",
                        "targetValue": str((request.weekjob.spec.serving or Serving()).requests_per_replica),
                        "activationTargetValue": "0",
                    },
                }
            ],
        },
    }


def _build_metadata(request: ChildRequest, name: str) -> dict[str, Any]:
    metadata = request.build_metadata()
    kept = {key: value for key, value in metadata["labels"].items() if not key.startswith("kueue.x-k8s.io/")}
    owners = metadata["ownerReferences"]
    return {"name": name, "namespace": request.namespace, "labels": kept, "ownerReferences": owners}


def _get_meter_name(request: ChildRequest) -> str:
    return f"{get_service_name(request.name)}-load"


def _build_meter_url(request: ChildRequest) -> str:
    assert request.meter is not None  # noqa: S101 - as above
    return f"http://{_get_meter_name(request)}.{request.namespace}.svc:{request.meter.port}{request.meter.path}"
