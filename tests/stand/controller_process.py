"""The controller's real process: its certificate, its variables, its start."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys

import trustme

from practicum_cluster.api import wait_until
from practicum_controller.backends.pods import SERVICE_ACCOUNT
from practicum_core.reports import INGEST_AUDIENCE, REPORTS_ROUTE

NAMESPACE = "practicum-system"


def write_certificate(folder):
    """Write what the process serves reports with, and the authority that its clients trust."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    leaf.private_key_pem.write_to_path(folder / "tls.key")
    (folder / "tls.crt").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))


def start_controller(server, tls, database, log, program=("-m", "practicum_controller"), **variables):
    """Start the process; what it says is added to the file ``log``."""
    settings = {
        "KUBECONFIG": server.kubeconfig,
        "PRACTICUM_DATABASE_URL": f"sqlite:///{database}",
        "PRACTICUM_TLS_DIR": tls,
        **variables,
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *program],
            env=os.environ | {key: str(value) for key, value in settings.items()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def request_token(api, namespace, pod=None, audience=INGEST_AUDIENCE):
    """Return the token that the kubelet would give a stage's pod, or one that is bound to no pod.

    Args:
        api: The administrator's client.
        namespace: The pod's.
        pod: The pod's name and uid.
        audience: For whom it is.
    """
    spec = {"audiences": [audience], "expirationSeconds": 3600}
    if pod is not None:
        spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", **pod}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{SERVICE_ACCOUNT}/token"
    return api.request("POST", path, request)["status"]["token"]


def pick_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Replica:
    """One process of the controller."""

    def __init__(self, server, tls, database, program=("-m", "practicum_controller"), **variables):
        self.tls = tls
        self.port, self.metrics_port = pick_port(), pick_port()
        settings = {
            "PRACTICUM_NAMESPACE": NAMESPACE,
            "PRACTICUM_INGEST_PORT": self.port,
            "PRACTICUM_METRICS_PORT": self.metrics_port,
            **variables,
        }
        self.log = database.with_name(f"{self.port}.log")
        self.process = start_controller(server, tls, database, self.log, program, **settings)

    def request(self, method, path, body=None, token=None):
        context = ssl.create_default_context(cafile=str(self.tls / "ca.crt"))
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=20, context=context)
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with contextlib.closing(connection):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # A server that refuses a body answers before it was sent.
                connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def report(self, token, document):
        return self.request("POST", REPORTS_ROUTE, document, token)

    def read_metrics(self):
        connection = http.client.HTTPConnection("localhost", self.metrics_port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    def wait(self, standing, timeout_s=40):
        def look():
            assert self.process.poll() is None, self.log.read_text()
            return self.request("GET", "/readyz") == (200, {"status": standing})

        wait_until(look, f"{standing}: {self.log.read_text()}", timeout_s)

    def stop(self, number=signal.SIGTERM, timeout_s=10):
        self.process.send_signal(number)
        return self.process.wait(timeout_s)
