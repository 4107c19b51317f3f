"""KubeRay RayServices for servers of models: Ray Serve around the engine, on as many pods as it may have.

The number of replicas is Ray Serve's, which counts the requests under way. The pods are queued by Kueue all at once,
and stay: a replica needs one, and Kueue admits no Ray cluster that grows.

Source: kuberay v1.6, ray-operator/apis/ray/v1/rayservice_types.go.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from practicum_controller.backends.backend import ChildState, Document, Needs, Sight, Standing
from practicum_controller.backends.pod_status import find_condition, read_pods_start, read_pods_stop
from practicum_controller.backends.pods import get_needs
from practicum_controller.backends.queueing import explain_pods_on_their_way, explain_queue, explain_start
from practicum_controller.backends.ray_pods import build_ray_cluster
from practicum_controller.backends.request import ChildRequest
from practicum_controller.backends.scaling import get_scale
from practicum_controller.backends.server_pods import build_service, get_endpoint, is_pod_since
from practicum_controller.kinds import RAY_SERVICES, SERVICES, Resource
from practicum_core.weekjob import Serving

APPLICATION = "practicum_jobs.agent.ray_service:build"
_SERVES = {"ray.io/serve": "true"}
"""Label of the pods whose proxy answers, kept by KubeRay."""
_PROXY_PROBE_S = 5
_PORTS = {"gcs-server": 6379, "client": 10001, "dashboard": 8265}
"""Ports of a head by the names that KubeRay looks for: those of its own are added only where a container names none."""
_PROXY_PORT_NAME = "serve"


class RayServiceBackend:
    """A Ray cluster that serves a model, and the Service by whose name the gateway reaches its proxies."""

    resources: tuple[Resource, ...] = (RAY_SERVICES, SERVICES)
    is_server = True
    is_scaled = False

    def build(self, request: ChildRequest) -> list[dict[str, Any]]:
        """Return the RayService, which the queue lets out, and its Service."""
        cluster = build_ray_cluster(request, get_scale(request).most)
        port = get_endpoint(request).port
        _open_proxy(cluster["headGroupSpec"], port)["ports"] += [
            {"name": name, "containerPort": number, "protocol": "TCP"} for name, number in _PORTS.items()
        ]
        for group in cluster.get("workerGroupSpecs", ()):
            # Ray Serve has proxies on those pods alone that have a replica. Of the head, KubeRay asks for it itself.
            _open_proxy(group, port)["readinessProbe"] |= {
                "httpGet": {"path": "/-/healthz", "port": port},
                "failureThreshold": 1,
            }
        cluster["suspend"] = True
        service = {
            "apiVersion": RAY_SERVICES.api_version,
            "kind": RAY_SERVICES.kind,
            "metadata": request.build_metadata(),
            "spec": {"serveConfigV2": json.dumps(_build_serve_config(request)), "rayClusterConfig": cluster},
        }
        address = build_service(request)
        address["spec"]["selector"] |= _SERVES
        address["spec"]["ports"][0]["targetPort"] = _PROXY_PORT_NAME
        return [service, address]

    def get_needs(self, request: ChildRequest) -> Needs:
        """Return what all its pods hold."""
        one = get_needs(request)
        return Needs(get_scale(request).most, one.cpu, one.memory, one.slices)

    def is_pod_of(self, pod: Document, main: Document) -> bool:
        """Whether a pod is of this RayService, and not of one of the same name that was deleted before."""
        return is_pod_since(pod, main)

    def read_state(self, sight: Sight) -> ChildState:
        """Return how far it has come. Its cluster runs before the model is loaded."""
        if sight.main["spec"].get("suspend"):
            return explain_queue(sight.workload)
        if find_condition(sight.main, "Ready"):
            return ChildState(Standing.READY)
        fault = explain_pods_on_their_way(sight)
        if fault is not None:
            return fault
        if any(find_condition(pod, "Ready") for pod in sight.pods):
            return ChildState(Standing.RUNNING, message="Ray runs, and loads the model")
        return explain_start(sight, may_lack_pods=True)

    def read_start(self, sight: Sight) -> dt.datetime | None:
        """Return since when its containers run or, where they ended, when the first began."""
        return read_pods_start(sight.pods)

    def read_stop(self, sight: Sight) -> dt.datetime | None:
        """Return when its last container ended; ``None`` while one runs."""
        return read_pods_stop(sight.pods)


def _build_serve_config(request: ChildRequest) -> dict[str, Any]:
    scale, serving = get_scale(request), request.weekjob.spec.serving or Serving()
    arguments = {
        "fewest": max(scale.fewest, 1),
        "most": scale.most,
        "requests_per_replica": serving.requests_per_replica,
        "num_gpus": request.slices,
    }
    application = {"name": "served", "route_prefix": "/", "import_path": APPLICATION, "args": arguments}
    return {
        "http_options": {"host": "0.0.0.0", "port": get_endpoint(request).port},  # noqa: S104 - of the pods
        "proxy_location": "EveryNode",
        "applications": [application],
    }


def _open_proxy(group: dict[str, Any], port: int) -> dict[str, Any]:
    """Name the proxy's port, and probe Ray over HTTP: the probes that KubeRay gives workers need a program for it."""
    container: dict[str, Any] = group["template"]["spec"]["containers"][0]
    container["ports"] = [{"name": _PROXY_PORT_NAME, "containerPort": port, "protocol": "TCP"}]
    ray = {"httpGet": {"path": "/api/healthz", "port": 52365}, "periodSeconds": _PROXY_PROBE_S, "timeoutSeconds": 5}
    container["readinessProbe"] = ray | {"initialDelaySeconds": 5, "failureThreshold": 12}
    container["livenessProbe"] = ray | {"initialDelaySeconds": 60, "failureThreshold": 24}
    return container
