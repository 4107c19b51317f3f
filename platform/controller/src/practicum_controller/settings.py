"""The controller's settings: environment variables that start with ``PRACTICUM_``, read once."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from practicum_core.environments import ENVIRONMENTS
from practicum_core.errors import ConfigError

_PREFIX = "PRACTICUM_"
_TRUE = frozenset({"1", "true", "yes", "on"})
DEFAULT_IMAGES = {row.name: f"{row.image}:latest" for row in ENVIRONMENTS.values()}


@dataclass(frozen=True)
class Settings:
    """The controller's settings.

    ``pod_name`` is the pod that is labelled where it leads. ``images`` maps an environment to its image. Every week
    job is looked at again after ``resync_s`` even though nothing happened, and places in queues are asked for every
    ``queue_poll_s``. The history keeps what ended for ``history_days``. ``dns_networks`` are blocks of addresses,
    separated by commas, at which pods find the cluster's DNS; without them the controller's own, which is a pod's.
    ``tls_secret`` is the Secret of a certificate that the controller issues and renews itself, for ``tls_hosts``
    (separated by commas), and writes into ``tls_dir``; without it, the files in ``tls_dir`` are somebody else's.
    ``serving_runtime`` is KServe's ClusterServingRuntime of the chart.
    """

    namespace: str = "practicum-system"
    pod_name: str = ""
    database_url: str = "sqlite:////var/lib/practicum/history.sqlite"
    ingest_port: int = 8443
    metrics_port: int = 9090
    tls_dir: str = "/var/run/practicum-tls"
    tls_secret: str = ""
    tls_hosts: str = "practicum-controller.practicum-system.svc"
    tls_validity_days: int = 365
    ingest_url: str = "https://practicum-controller.practicum-system.svc:8443"
    images: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_IMAGES))
    image_pull_policy: str = "IfNotPresent"
    workers: int = 16
    leader_election: bool = True
    log_level: str = "INFO"
    resync_s: float = 300.0
    queue_poll_s: float = 5.0
    pre_running_deadline_s: int = 1800
    history_days: int = 400
    dns_networks: str = ""
    ray_version: str = "2.60.0"
    serving_runtime: str = "practicum"


def read_settings(variables: Mapping[str, str]) -> Settings:
    """Read settings from environment variables.

    Raises:
        ConfigError: Every value that is not of its type, in one message.

    >>> read_settings({"PRACTICUM_WORKERS": "4", "PRACTICUM_LEADER_ELECTION": "false"}).workers
    4
    """
    defaults = Settings()
    values: dict[str, object] = {}
    problems: list[str] = []
    for name in Settings.__dataclass_fields__:
        text = variables.get(_PREFIX + name.upper())
        if text is None:
            continue
        try:
            values[name] = _convert(text, getattr(defaults, name))
        except ValueError as error:
            problems.append(f"{_PREFIX}{name.upper()}: {error}")
    try:
        values["dns_networks"] = _read_networks(str(values.get("dns_networks", "")))
    except ValueError as error:
        problems.append(f"{_PREFIX}DNS_NETWORKS: {error}")
    if problems:
        raise ConfigError("; ".join(problems), "correct the chart's values")
    return Settings(**values)  # type: ignore[arg-type] # each value has the type of its default


def _read_networks(text: str) -> str:
    networks = [ipaddress.ip_network(block.strip()) for block in text.split(",") if block.strip()]
    for network in networks:
        if not network.prefixlen:
            raise ValueError(f"{network} is every address")
    return ",".join(map(str, networks))


def read_name_servers(text: str) -> str:
    r"""Return the addresses of a ``resolv.conf`` as blocks, separated by commas.

    >>> read_name_servers("search svc.cluster.local\nnameserver 10.96.0.10\nnameserver fd00::a\n")
    '10.96.0.10/32,fd00::a/128'
    """
    words = [line.split() for line in text.splitlines()]
    named = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
    # A link-local address of IPv6 names its link, which no rule can.
    return ",".join(str(ipaddress.ip_network(address)) for address in named if "%" not in address)


def _convert(text: str, default: object) -> object:
    if isinstance(default, bool):
        return text.lower() in _TRUE
    if isinstance(default, int | float):
        return type(default)(text)
    if isinstance(default, dict):
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("expected a JSON object")  # noqa: TRY004 - gathered with the other values' problems
        return default | document
    return text
