"""A control plane for tests: etcd and an API server with certificates, on one address.

This is a real API server with custom resources, admission and access control, but without controllers.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from practicum_cluster.api import Api, wait_until
from practicum_cluster.certificates import Authority, Certificate
from practicum_cluster.daemons import Daemons
from practicum_cluster.kubeconfig import Server, build_user, write_kubeconfig
from practicum_cluster.layout import Layout, ensure_binaries

SERVICE_NETWORK = "10.96.0.0/16"
_FIRST_SERVICE = "10.96.0.1"
_SERVER_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    _FIRST_SERVICE,
    "127.0.0.1",
)
_READY_S = 120.0


@dataclass(frozen=True)
class Addresses:
    """The addresses on which the control plane listens."""

    host: str
    api_port: int
    etcd_port: int
    peer_port: int

    @classmethod
    def pick_loopback(cls) -> Addresses:
        """Return unused ports of the loopback address."""
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return cls("127.0.0.1", *ports)

    @property
    def url(self) -> str:
        """URL of the API server."""
        return f"https://{self.host}:{self.api_port}"


class ControlPlane:
    """etcd and an API server, which can be started and stopped together or separately."""

    def __init__(
        self,
        layout: Layout,
        addresses: Addresses,
        daemons: Daemons,
        prefix: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        """Store folders, addresses and processes.

        Args:
            layout: Folders of this cluster.
            addresses: Addresses on which to listen.
            daemons: Starts the processes.
            prefix: Command that starts every process, such as one that enters a network namespace.
            options: Options of the API server, in addition to those of every test cluster.
        """
        self.layout, self.addresses, self.daemons = layout, addresses, daemons
        self._prefix, self._options = tuple(prefix), tuple(options)
        self.authority = Authority(layout.pki)
        self.front = Authority(layout.pki, "front-proxy-ca")

    @property
    def server(self) -> Server:
        """The server as named in the credentials of clients."""
        return Server(self.addresses.url, self.authority.certificate)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's credentials."""
        return self.layout.kubeconfig

    @property
    def api(self) -> Api:
        """A client with every right."""
        return Api(self.layout.kubeconfig)

    def issue(
        self, name: str, common: str, organizations: Sequence[str] = (), names: Sequence[str] = ()
    ) -> Certificate:
        """Return a new certificate that the cluster's authority signed."""
        return self.authority.issue(name, common, organizations, names)

    def write_credentials(self, name: str, common: str, organizations: Sequence[str] = ()) -> Path:
        """Write a kubeconfig for a user with a certificate, and return its path."""
        user = build_user(self.issue(f"user-{name}", common, organizations))
        return write_kubeconfig(self.layout.credentials / f"{name}.kubeconfig", self.server, user)

    def write_token_credentials(self, name: str, token: str) -> Path:
        """Write a kubeconfig for the user of a token, and return its path."""
        return write_kubeconfig(self.layout.credentials / f"{name}.kubeconfig", self.server, {"token": token})

    def start(self) -> Api:
        """Create certificates, start both processes, and return a client when the API server is ready.

        Raises:
            TimeoutError: The API server did not become ready; its log is in the folder of the logs.
        """
        self.layout.make()
        self._make_certificates()
        self.write_credentials("admin", "practicum-admin", ("system:masters",))
        self.start_etcd()
        self.start_api_server()
        return self.wait_ready()

    def start_etcd(self) -> None:
        """Start etcd. It does not sync to disk, because the data of tests need not survive the machine."""
        program = ensure_binaries("etcd")["etcd"]
        self.daemons.start("etcd", [*self._prefix, program, *self._build_etcd_options()])

    def start_api_server(self) -> None:
        """Start the API server."""
        program = ensure_binaries("kube-apiserver")["kube-apiserver"]
        self.daemons.start("kube-apiserver", [*self._prefix, program, *self._build_api_options(), *self._options])

    def wait_ready(self) -> Api:
        """Wait until the API server is ready and return a client."""
        api = self.api
        log = self.daemons.get_log("kube-apiserver")
        wait_until(lambda: api.send("GET", "/readyz")[0] == 200, f"a ready API server, log {log}", _READY_S)  # noqa: PLR2004
        return api

    def stop(self) -> None:
        """Stop both, the API server first, because it still writes to etcd."""
        self.daemons.stop("kube-apiserver")
        self.daemons.stop("etcd")

    def _make_certificates(self) -> None:
        for each in (self.authority, self.front):
            each.ensure()
        hosts = (*_SERVER_NAMES, self.addresses.host)
        self.issue("kube-apiserver", "kube-apiserver", names=tuple(dict.fromkeys(hosts)))
        self.issue("etcd", "etcd", names=("localhost", "127.0.0.1"))
        self.issue("etcd-client", "kube-apiserver-etcd-client")
        self.issue("kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
        self.issue("service-account", "service-account")
        self.front.issue("front-proxy-client", "front-proxy-client")

    def _build_etcd_options(self) -> list[str]:
        client, peer = (f"https://127.0.0.1:{port}" for port in (self.addresses.etcd_port, self.addresses.peer_port))
        pki = self.layout.pki
        files = [
            f"--{prefix}{option}={pki / name}"
            for prefix in ("", "peer-")
            for option, name in (("cert-file", "etcd.crt"), ("key-file", "etcd.key"), ("trusted-ca-file", "ca.crt"))
        ]
        return [
            f"--data-dir={self.layout.etcd}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--client-cert-auth",
            "--peer-client-cert-auth",
            "--unsafe-no-fsync",
            "--quota-backend-bytes=4294967296",
            "--auto-compaction-retention=10m",
            "--log-level=warn",
            *files,
        ]

    def _build_api_options(self) -> list[str]:
        values = {
            "bind-address": self.addresses.host,
            "advertise-address": self.addresses.host,
            "secure-port": self.addresses.api_port,
            "etcd-servers": f"https://127.0.0.1:{self.addresses.etcd_port}",
            "service-cluster-ip-range": SERVICE_NETWORK,
            "service-account-issuer": "https://kubernetes.default.svc",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "allow-privileged": "true",
            "kubelet-preferred-address-types": "InternalIP",
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-username-headers": "X-Remote-User",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
            "profiling": "false",
        }
        files = {
            "etcd-cafile": "ca.crt",
            "etcd-certfile": "etcd-client.crt",
            "etcd-keyfile": "etcd-client.key",
            "client-ca-file": "ca.crt",
            "tls-cert-file": "kube-apiserver.crt",
            "tls-private-key-file": "kube-apiserver.key",
            "kubelet-client-certificate": "kubelet-client.crt",
            "kubelet-client-key": "kubelet-client.key",
            "service-account-key-file": "service-account.crt",
            "service-account-signing-key-file": "service-account.key",
            "requestheader-client-ca-file": "front-proxy-ca.crt",
            "proxy-client-cert-file": "front-proxy-client.crt",
            "proxy-client-key-file": "front-proxy-client.key",
        }
        pairs: dict[str, Any] = {**values, **{option: self.layout.pki / name for option, name in files.items()}}
        return [f"--{option}={value}" for option, value in pairs.items()]


def start_alone(folder: Path, prefix: Sequence[str] = ()) -> ControlPlane:
    """Start a control plane without a node on the loopback address, with its files in ``folder``.

    No controllers run: namespaces are deleted only when a test finalizes them, quotas are not counted, and service
    accounts are not created.
    """
    # A loopback address is not allowed in an endpoint.
    plane = ControlPlane(
        Layout(folder), Addresses.pick_loopback(), Daemons(folder), prefix, ["--endpoint-reconciler-type=none"]
    )
    try:
        plane.start()
    except BaseException:
        plane.stop()
        raise
    return plane
