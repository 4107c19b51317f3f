"""What the pods of a student may reach, and who may reach them."""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from typing import Any

from practicum_controller.backends.pods import CHAOS_LABEL
from practicum_controller.client import ApiFault, Cluster
from practicum_controller.settings import Settings
from practicum_core import labels
from practicum_core.stages import STAGES

Document = dict[str, Any]
_API_SERVER = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"


def build_policies(settings: Settings, api_server: list[Document]) -> dict[str, Document]:
    """Return the network policies by name: nothing but DNS, the controller's ingest, the operator's dashboard and home.

    Pods that break pods reach the API server too, by its own addresses and no others.

    Args:
        settings: The controller's.
        api_server: Rules for where the API server answers (:func:`find_api_server`).
    """
    everything: Document = {}
    platform = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}}}
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    # Ray's own pods of every student carry the operator's name but not its component.
    operator = {"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}}
    outside = {"matchExpressions": [{"key": labels.STUDENT, "operator": "DoesNotExist"}]}
    ray = {"podSelector": operator, "namespaceSelector": outside}
    # KEDA's operator asks the gateways how much waits.
    keda = {"podSelector": {"matchLabels": {"app": "keda-operator"}}, "namespaceSelector": outside}
    # Prometheus reads the metrics of gateways and engines (the chart's PodMonitor); the label is the operator's.
    prometheus = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
        "namespaceSelector": outside,
    }
    # Any address would do to carry data out: a server of one's own that listens on this port. The pods of the DNS, and
    # where pods are told to ask: a cache of the node that takes the questions is no pod.
    blocks = filter(None, settings.dns_networks.split(","))
    servers: list[Document] = [{"namespaceSelector": outside}, *({"ipBlock": {"cidr": block}} for block in blocks)]
    own: list[Document] = [{"podSelector": {}}]
    policies: dict[str, Document] = {
        "practicum-deny": {"podSelector": everything, "policyTypes": ["Ingress", "Egress"]},
        "practicum-home": {
            "podSelector": everything,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": own}],
            "egress": [{"to": own}],
        },
        "practicum-dns": {
            "podSelector": everything,
            "policyTypes": ["Egress"],
            "egress": [{"to": servers, "ports": dns}],
        },
        "practicum-ingest": {
            "podSelector": everything,
            "policyTypes": ["Egress"],
            "egress": [{"to": [platform], "ports": [{"protocol": "TCP", "port": settings.ingest_port}]}],
        },
        "practicum-load": {
            "podSelector": everything,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [keda], "ports": [{"protocol": "TCP", "port": port} for port in list_meter_ports()]}],
        },
        "practicum-metrics": {
            "podSelector": everything,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [prometheus], "ports": [{"protocol": "TCP", "port": port} for port in list_server_ports()]}
            ],
        },
        "practicum-ray": {
            "podSelector": {"matchLabels": {"ray.io/is-ray-node": "yes"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [ray], "ports": [{"protocol": "TCP", "port": port} for port in list_ray_ports()]}],
        },
    }
    if api_server:
        policies["practicum-chaos"] = {
            "podSelector": {"matchLabels": {CHAOS_LABEL: "true"}},
            "policyTypes": ["Egress"],
            "egress": api_server,
        }
    return policies


async def find_api_server(cluster: Cluster) -> list[Document]:
    """Return where the API server answers, as rules of a network policy; none where this controller may not know.

    Raises:
        ApiFault: The API server does not answer.
    """
    try:
        endpoints = await cluster.read(_API_SERVER)
    except ApiFault as fault:
        if fault.status != HTTPStatus.FORBIDDEN:
            raise
        endpoints = None
    return list_addresses(endpoints or {})


def list_addresses(endpoints: Document) -> list[Document]:
    """Return the rules of a network policy for what an EndpointSlice names.

    >>> list_addresses({"endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 6443}]})
    [{'to': [{'ipBlock': {'cidr': '10.0.0.1/32'}}], 'ports': [{'protocol': 'TCP', 'port': 6443}]}]
    """
    addresses = sorted(text for one in endpoints.get("endpoints") or () for text in one["addresses"])
    ports = [{"protocol": "TCP", "port": one["port"]} for one in endpoints.get("ports") or ()]
    blocks = [{"ipBlock": {"cidr": str(ipaddress.ip_network(text))}} for text in addresses]
    return [{"to": blocks, "ports": ports}] if blocks and ports else []


def list_meter_ports() -> list[int]:
    """Return the ports of the stages that tell the load of others."""
    specs = (spec for spec in STAGES.values() if spec.find_meter is not None)
    return sorted({spec.endpoint.port for spec in specs if spec.endpoint is not None})


def list_server_ports() -> list[int]:
    """Return the ports of all servers, which have their metrics there."""
    return sorted({spec.endpoint.port for spec in STAGES.values() if spec.endpoint is not None})


def list_ray_ports() -> list[int]:
    """Return the ports of Ray's pods that KubeRay asks: the dashboard, its agents, and the proxies of served models."""
    served = {spec.endpoint.port for spec in STAGES.values() if spec.join_records is not None and spec.endpoint}
    return sorted({8265, 52365, *served})
