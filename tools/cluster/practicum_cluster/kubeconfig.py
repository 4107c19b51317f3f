"""Reading and writing of kubeconfig files. They are JSON, which is valid YAML: no library is needed."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_cluster.certificates import Certificate

_CLUSTER_KEYS = frozenset({"server", "certificate-authority-data", "extensions"})
_USER_KEYS = frozenset({"token", "client-certificate-data", "client-key-data", "extensions"})
_FIX = "give a kubeconfig whose user has a token or a certificate, and whose cluster has its authority, inside the file"


@dataclass(frozen=True)
class Server:
    """An API server: its URL and its certificate authority."""

    url: str
    authority: Path
    """Certificate of the authority that signed the server's certificate."""


@dataclass(frozen=True)
class Credentials:
    """A user of an API server, as in a kubeconfig."""

    url: str
    authority: str | None
    """Certificate of the authority in PEM; ``None`` means the authorities that the machine trusts."""
    token: str | None
    certificate: bytes | None
    """The user's certificate and key in PEM."""


def read_kubeconfig(path: Path) -> Credentials:
    """Read the user and the cluster of a kubeconfig in JSON that has one of each.

    Raises:
        RuntimeError: It uses fields that are not supported here; the message lists all of them.
    """
    try:
        document = json.loads(path.read_text())
        (cluster,), (user,) = document["clusters"], document["users"]
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f"{path}: no JSON with one cluster and one user in it ({error})") from None
    cluster, user = cluster["cluster"], user["user"]
    problems = list_problems(cluster, user)
    if problems:
        raise RuntimeError(f"{path}: cannot be used here: {'; '.join(problems)}; {_FIX}")
    authority, both = cluster.get("certificate-authority-data"), None
    if "client-key-data" in user:
        both = base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"])
    decoded = base64.b64decode(authority).decode() if authority else None
    return Credentials(cluster["server"], decoded, user.get("token"), both)


def list_problems(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> list[str]:
    """Return the fields of a kubeconfig that are not supported here.

    >>> list_problems({"server": "https://a:6443"}, {"token": "t"})
    []
    >>> list_problems({"server": "https://a", "proxy-url": "b"}, {"exec": {}})
    ["cluster: 'proxy-url' is not understood", "user: 'exec' is not understood", 'user: neither token nor certificate']
    """
    problems = [f"cluster: '{key}' is not understood" for key in sorted(cluster.keys() - _CLUSTER_KEYS)]
    if urllib.parse.urlsplit(str(cluster.get("server", ""))).scheme != "https":
        problems.append(f"cluster: its server is {cluster.get('server')}, which is no address by https")
    problems += [f"user: '{key}' is not understood" for key in sorted(user.keys() - _USER_KEYS)]
    if "token" not in user and not {"client-certificate-data", "client-key-data"} <= user.keys():
        problems.append("user: neither token nor certificate")
    return problems


def write_kubeconfig(path: Path, server: Server, user: dict[str, Any]) -> Path:
    """Write a kubeconfig that only its owner can read. It refers to no other file, so it can be moved."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "practicum",
        "clusters": [
            {
                "name": "practicum",
                "cluster": {"server": server.url, "certificate-authority-data": _encode(server.authority)},
            }
        ],
        "users": [{"name": "practicum", "user": user}],
        "contexts": [{"name": "practicum", "context": {"cluster": "practicum", "user": "practicum"}}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2))
    return path


def build_user(certificate: Certificate) -> dict[str, Any]:
    """Return a kubeconfig user with a certificate."""
    return {"client-certificate-data": _encode(certificate.certificate), "client-key-data": _encode(certificate.key)}


def _encode(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
