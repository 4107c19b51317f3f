"""Decides how a client's credentials are written. JSON is YAML, so nothing that writes YAML is needed."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_cluster.certificates import Certificate


@dataclass(frozen=True)
class Server:
    """An API server as clients reach it."""

    url: str
    authority: Path
    """Certificate of the authority that signed the server's."""


def write_kubeconfig(path: Path, server: Server, user: dict[str, Any]) -> Path:
    """Write credentials that only their owner can read; they name no other file, so they can be moved."""
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
    """Return a user known by a certificate."""
    return {"client-certificate-data": _encode(certificate.certificate), "client-key-data": _encode(certificate.key)}


def _encode(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
