"""KServe InferenceServices for servers that run in several pods, from none to as many as the week job allows.

KServe (mode Standard) makes a Deployment from the runtime of the chart and from what stands here, and mounts a model of
the workspace without a copy. Each pod is queued by Kueue on its own. Its number is KEDA's: a ScaledObject of ours asks
the gateway how much waits and runs; without one the number is fixed.

Source: kserve v0.20, pkg/controller/v1beta1/inferenceservice; keda v2.18, pkg/scalers/metrics_api_scaler.go.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from practicum_controller.backends.backend import ChildState, Document, Needs, Sight, Standing
from practicum_controller.backends.pod_status import find_condition, read_pods_start, read_pods_stop
from practicum_controller.backends.pods import build_pod_template, get_needs
from practicum_controller.backends.request import ChildRequest
from practicum_controller.backends.scaling import build_meter_service, build_scaled_object, get_scale
from practicum_controller.backends.server_pods import (
    add_server,
    build_service,
    get_endpoint,
    is_pod_since,
    list_present,
    read_server_state,
)
from practicum_controller.kinds import INFERENCE_SERVICES, SCALED_OBJECTS, SERVICES, Resource

MODEL_MOUNT = "/mnt/models"
"""Where KServe mounts the model of a claim."""
MODEL_FORMAT = "huggingface"
"""Of another format, KServe takes a model without an address for one that a sidecar of its own loads."""
_CLAIM = "pvc://workspace/"
_ANNOTATIONS = {"serving.kserve.io/deploymentMode": "Standard", "serving.kserve.io/autoscalerClass": "external"}
"""KServe makes a Deployment and no autoscaler, and leaves the number of replicas alone."""
_LEAVE_S = 10
"""Seconds that a replica answers on after its end was decided: until then no gateway sends it a new request."""
_IDLE = "scaled to zero: no request waits; the gateway wakes it up"


class InferenceServiceBackend:
    """An InferenceService, the Service by whose name the gateway reaches its pods, and what scales them."""

    resources: tuple[Resource, ...] = (INFERENCE_SERVICES, SERVICES, SCALED_OBJECTS)
    is_server = True
    is_scaled = True

    def build(self, request: ChildRequest) -> list[dict[str, Any]]:
        """Return the InferenceService, its Service and, where its replicas may vary, its ScaledObject."""
        scale = get_scale(request)
        metadata = request.build_metadata()
        metadata["annotations"] |= _ANNOTATIONS
        template = build_pod_template(request, is_restartable=True)
        pod = template["spec"]
        container = pod.pop("containers")[0]
        add_server(container, get_endpoint(request))
        # Its name is the runtime's: KServe refuses another.
        del container["name"]
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": _LEAVE_S}}}
        container["env"] += [
            {"name": "PRACTICUM_REPLICA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]
        model: dict[str, Any] = {
            "modelFormat": {"name": MODEL_FORMAT},
            "runtime": request.settings.serving_runtime,
            **container,
        }
        uri = getattr(request.item.step.config, "model", "")
        if uri.startswith(_CLAIM):
            model["storageUri"] = uri
            model["env"].append({"name": "PRACTICUM_MODEL_MOUNT", "value": MODEL_MOUNT})
        predictor = {
            **pod,
            "minReplicas": scale.first,
            "maxReplicas": scale.most,
            # A new pod is ready before an old one goes: an update loses no request.
            "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "model": model,
        }
        service = {
            "apiVersion": INFERENCE_SERVICES.api_version,
            "kind": INFERENCE_SERVICES.kind,
            "metadata": metadata,
            "spec": {"predictor": predictor},
        }
        own = build_service(request)
        # Every replica has an address of its own: the gateway spreads the load over them.
        own["spec"]["clusterIP"] = "None"
        if not scale.varies:
            return [service, own]
        scaled = build_scaled_object(request, f"{request.name}-predictor")
        return [service, own, build_meter_service(request), scaled]

    def get_needs(self, request: ChildRequest) -> Needs:
        """Return what its fewest pods hold, one at least: more than that waits in the queue."""
        return get_needs(request)

    def is_pod_of(self, pod: Document, main: Document) -> bool:
        """Whether a pod is this InferenceService's, and not one of the same name that was deleted before."""
        return is_pod_since(pod, main)

    def read_state(self, sight: Sight) -> ChildState:
        """Return how far the server has come. One without pods that was ready before is idle, and as good as ready."""
        pods = list_present(sight)
        if not pods and _is_ready(sight.main):
            return ChildState(Standing.READY, message=_IDLE)
        state = read_server_state(sight)
        said = _read_fault(sight.main)
        if state.standing is Standing.STARTING and state.reason is None and not pods and said:
            return ChildState(Standing.STARTING, None, said)
        return state

    def read_start(self, sight: Sight) -> dt.datetime | None:
        """Return since when its containers run or, where they ended, when the first began."""
        return read_pods_start(sight.pods)

    def read_stop(self, sight: Sight) -> dt.datetime | None:
        """Return when its last container ended; ``None`` while one runs."""
        return read_pods_stop(sight.pods)


def _is_ready(main: Document) -> bool:
    return find_condition(main, "Ready") is not None


def _read_fault(main: Document) -> str:
    """Say what KServe says of an InferenceService without pods."""
    conditions = main.get("status", {}).get("conditions") or ()
    if not conditions:
        return "waits for KServe, which has not taken it up yet; if this lasts, ask whether its controller runs"
    told = next((one for one in conditions if one["status"] == "False" and one.get("message")), None)
    return f"KServe: {told.get('reason', '')}: {told['message']}" if told else ""
