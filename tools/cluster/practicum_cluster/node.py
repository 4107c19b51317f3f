"""The node of the bare cluster: containerd, kubelet, kube-proxy, DNS, network policies, and the controllers.

All of it runs inside the namespaces of :mod:`practicum_cluster.sandbox`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from practicum_cluster.api import Api, wait_until
from practicum_cluster.control_plane import SERVICE_NETWORK, Addresses, ControlPlane
from practicum_cluster.daemons import Daemons
from practicum_cluster.layout import TOOLS, Layout, ensure_binaries
from practicum_cluster.programs import run_program
from practicum_cluster.provisioner import build_storage_class
from practicum_cluster.sandbox import (
    BRIDGE,
    CLUSTER_NETWORK,
    CONTROL_GROUP,
    DNS_ADDRESS,
    NODE_ADDRESS,
    NODE_NETWORK,
    POD_NETWORK,
    UPLINK,
    make_control_groups,
)

NODE_NAME = "node-1"
PAUSE_IMAGE = "localhost/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CTR = ("ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io")
GPU = "nvidia.com/gpu"
_PLUGINS = "/usr/lib/cni"
_AGENTS = "practicum:node-agents"
_READY_S = 90.0
_PROGRAMS = (
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "coredns",
    "network-policies",
)


def build_plane(root: Path) -> ControlPlane:
    """Return the control plane of the bare cluster whose folder is ``root``."""
    return ControlPlane(Layout(root), Addresses(NODE_ADDRESS, 6443, 2379, 2380), Daemons(root))


class Node:
    """The node and the controllers beside it.

    Args:
        root: Folder of this run; removed before the next one.
        store: Folder of containerd's images; kept between runs.
    """

    def __init__(self, root: Path, store: Path) -> None:
        self.root, self.store = root, store
        self.plane = build_plane(root)
        self._daemons = self.plane.daemons

    def start(self) -> None:
        """Start everything and wait until the node is ready."""
        prepare_mounts(self.root)
        prepare_network()
        make_control_groups()
        self.start_containerd()
        api = self.plane.start()
        self._apply_basics(api)
        for start in (
            self._start_controllers,
            self._start_kubelet,
            self._start_proxy,
            self._start_names,
            self._start_policies,
            self._start_provisioner,
        ):
            start()
        wait_until(lambda: _is_ready(api), f"a ready node, log {self._daemons.get_log('kubelet')}", _READY_S)

    def start_containerd(self) -> None:
        """Start the container runtime and wait until it answers."""
        (self.root / "cni").mkdir(exist_ok=True)
        (self.root / "cni/10-practicum.conflist").write_text(json.dumps(_build_network()))
        path = self.root / "containerd.toml"
        path.write_text(_build_containerd(self.root, self.store))
        self.store.mkdir(parents=True, exist_ok=True)
        self._daemons.start("containerd", ["containerd", "--config", path, "--log-level", "warn"])
        wait_until(lambda: _run_ctr("version").returncode == 0, "containerd", _READY_S)

    def _apply_basics(self, api: Api) -> None:
        api.apply(build_storage_class())
        api.apply(_build_agents_role())
        api.apply(_build_agents_binding())

    def _start_controllers(self) -> None:
        pki = self.plane.layout.pki
        for name, user in (
            ("controller-manager", "system:kube-controller-manager"),
            ("scheduler", "system:kube-scheduler"),
        ):
            self.plane.write_credentials(name, user)
        common = {"bind-address": "127.0.0.1", "kube-api-qps": 200, "kube-api-burst": 400, "leader-elect": "false"}
        manager = common | {
            "kubeconfig": self._get_credentials("controller-manager"),
            "use-service-account-credentials": "true",
            "service-account-private-key-file": pki / "service-account.key",
            "root-ca-file": pki / "ca.crt",
            "allocate-node-cidrs": "false",
            "concurrent-job-syncs": 10,
            "resource-quota-sync-period": "10s",
        }
        scheduler = common | {"kubeconfig": self._get_credentials("scheduler")}
        self._start_program("kube-controller-manager", manager)
        self._start_program("kube-scheduler", scheduler)

    def _start_kubelet(self) -> None:
        self.plane.write_credentials("kubelet", f"system:node:{NODE_NAME}", ("system:nodes",))
        config = self.root / "kubelet.json"
        resolver = self.root / "resolv.conf"
        resolver.write_text("")
        config.write_text(json.dumps(_build_kubelet(self.plane.layout.pki / "ca.crt", resolver)))
        options = {
            "config": config,
            "kubeconfig": self._get_credentials("kubelet"),
            "hostname-override": NODE_NAME,
            "node-ip": NODE_ADDRESS,
            "root-dir": "/var/lib/kubelet",
            "v": 1,
        }
        self._start_program("kubelet", options)

    def _start_proxy(self) -> None:
        credentials = self.plane.write_credentials("kube-proxy", "system:kube-proxy")
        config = self.root / "kube-proxy.json"
        config.write_text(json.dumps(_build_proxy(credentials)))
        self._start_program("kube-proxy", {"config": config})

    def _start_names(self) -> None:
        credentials = self.plane.write_credentials("coredns", "practicum:coredns", (_AGENTS,))
        file = self.root / "Corefile"
        file.write_text(
            f".:53 {{\n  bind {DNS_ADDRESS}\n  errors\n  health 127.0.0.1:8053\n"
            "  kubernetes cluster.local in-addr.arpa ip6.arpa {\n"
            f"    kubeconfig {credentials}\n    ttl 5\n  }}\n  cache 5\n}}\n"
        )
        self._daemons.start("coredns", [ensure_binaries("coredns")["coredns"], "-conf", file])

    def _start_policies(self) -> None:
        credentials = self.plane.write_credentials("network-policies", "practicum:network-policies", (_AGENTS,))
        self._start_program("network-policies", {"kubeconfig": credentials, "hostname-override": NODE_NAME, "v": 2})

    def _start_provisioner(self) -> None:
        program: list[str | Path] = [sys.executable, "-m", "practicum_cluster.provisioner"]
        command = [*program, self.plane.kubeconfig, self.root / "volumes"]
        self._daemons.start("provisioner", command, {"PYTHONPATH": str(TOOLS)})

    def _start_program(self, name: str, options: Mapping[str, object]) -> None:
        program = ensure_binaries(name)[name]
        self._daemons.start(name, [program, *(f"--{option}={value}" for option, value in options.items())])

    def _get_credentials(self, name: str) -> Path:
        return self.plane.layout.credentials / f"{name}.kubeconfig"


def ensure_node_binaries() -> None:
    """Build the programs of the node ahead of its start, which has a time limit."""
    ensure_binaries("etcd", "kube-apiserver", "kubectl", "pause", *_PROGRAMS)


def prepare_mounts(root: Path) -> None:
    """Mount folders of the node at the fixed paths that its programs use."""
    run_program(("mount", "--make-rshared", "/"))
    for folder in ("/run", "/var/lib", "/var/log"):
        run_program(("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder))
    inside, outside = Path("/var/lib/kubelet"), root / "kubelet"
    for each in (inside, outside):
        each.mkdir()
    run_program(("mount", "--bind", str(outside), str(inside)))
    run_program(("mount", "--make-rshared", str(inside)))


def prepare_network() -> None:
    """Create the bridge, attach the link to the host, and enable packet forwarding."""
    run_program(("ip", "link", "set", "lo", "up"))
    run_program(("ip", "address", "add", f"{DNS_ADDRESS}/32", "dev", "lo"))
    run_program(("ip", "link", "add", BRIDGE, "type", "bridge"))
    run_program(("ip", "address", "add", NODE_NETWORK, "dev", BRIDGE))
    run_program(("ip", "link", "set", UPLINK, "master", BRIDGE, "up"))
    run_program(("ip", "link", "set", BRIDGE, "up"))
    # Packets to a service address without a rule must not leave the node.
    run_program(("ip", "route", "add", SERVICE_NETWORK, "dev", BRIDGE))
    for name in ("ip_forward", "conf/all/route_localnet"):
        Path(f"/proc/sys/net/ipv4/{name}").write_text("1")
    Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0")


def import_image(archive: Path) -> None:
    """Import an image's archive into the node."""
    answer = _run_ctr("images", "import", str(archive))
    if answer.returncode:
        raise RuntimeError(f"{archive}: {answer.stderr.strip()}")


def remove_replaced_images() -> None:
    """Remove images whose names belong to newer builds, with their layers; else the cache grows with each build.

    Raises:
        RuntimeError: containerd refused it.
    """
    replaced = list_replaced(_run_ctr("images", "list").stdout)
    if not replaced:
        return
    # --sync: the layers are gone when it returns, and not when something else is removed.
    answer = _run_ctr("images", "remove", "--sync", *replaced)
    if answer.returncode:
        raise RuntimeError(f"images of older builds were not removed: {answer.stderr.strip()}")


def list_replaced(listing: str) -> list[str]:
    """Return the records that the kubelet's interface keeps by content of images that no name refers to any more.

    Args:
        listing: What ``ctr images list`` prints.

    >>> rows = ["REF TYPE DIGEST", "localhost/a:dev x sha256:2", "sha256:20 x sha256:2", "sha256:10 x sha256:1"]
    >>> list_replaced(chr(10).join(rows))
    ['sha256:10']
    """
    rows = [line.split()[:3] for line in listing.splitlines()[1:] if line.strip()]
    named = {digest for name, _, digest in rows if not name.startswith("sha256:")}
    return [name for name, _, digest in rows if name.startswith("sha256:") and digest not in named]


def offer_gpus(api: Api, number: int, node: str = NODE_NAME) -> None:
    """Announce GPUs on a node. They do not exist; that is safe, because stages ask PyTorch for GPUs, not Kubernetes."""
    amounts = {GPU: str(number)}
    api.patch(f"/api/v1/nodes/{node}/status", {"status": {"capacity": amounts, "allocatable": amounts}})


def _run_ctr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CTR, *arguments], check=False, capture_output=True, text=True)


def _is_ready(api: Api) -> bool:
    node = api.find(f"/api/v1/nodes/{NODE_NAME}") or {}
    conditions = node.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _build_network() -> dict[str, Any]:
    """Return the CNI configuration. Each pod has a link to the node, so that all packets pass the node's filters."""
    ptp = {
        "type": "ptp",
        "ipMasq": False,
        "mtu": 1500,
        "ipam": {
            "type": "host-local",
            "subnet": POD_NETWORK,
            "dataDir": "/run/cni-addresses",
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {
        "cniVersion": "0.4.0",
        "name": "practicum",
        "plugins": [ptp, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _build_containerd(root: Path, store: Path) -> str:
    unused = ", ".join(f'"io.containerd.snapshotter.v1.{name}"' for name in ("aufs", "btrfs", "zfs", "devmapper"))
    return f"""version = 2
root = "{store}"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [{unused}]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_PLUGINS}"
    conf_dir = "{root}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    discard_unpacked_layers = true
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def _build_kubelet(authority: Path, resolver: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CONTROL_GROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_ADDRESS],
        "resolvConf": str(resolver),
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "healthzBindAddress": "127.0.0.1",
        "maxPods": 60,
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
        "syncFrequency": "10s",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }


def _build_proxy(credentials: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": NODE_ADDRESS,
        "hostnameOverride": NODE_NAME,
        "clusterCIDR": CLUSTER_NETWORK,
        "clientConnection": {"kubeconfig": str(credentials)},
        "conntrack": {"maxPerCore": 0},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nodePortAddresses": ["primary"],
    }


def _build_agents_role() -> dict[str, Any]:
    verbs = ["get", "list", "watch"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "practicum-node-agents"},
        "rules": [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces", "nodes"], "verbs": verbs},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
            {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": verbs},
        ],
    }


def _build_agents_binding() -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "practicum-node-agents"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "practicum-node-agents"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": _AGENTS}],
    }


def main() -> None:
    """Run a command on the node: ``start ROOT STORE``, ``import ARCHIVE...``, ``tidy``, ``stop|run ROOT STORE NAME``.

    ``tidy`` removes images of older builds.
    """
    action, *rest = sys.argv[1:]
    if action == "import":
        for archive in rest:
            import_image(Path(archive))
        remove_replaced_images()
        return
    if action == "tidy":
        remove_replaced_images()
        return
    node = Node(Path(rest[0]), Path(rest[1]))
    match action:
        case "start":
            node.start()
        case "stop":
            node.plane.daemons.stop(rest[2])
        case "run" if rest[2] == "etcd":
            node.plane.start_etcd()
        case "run" if rest[2] == "kube-apiserver":
            node.plane.start_api_server()
            node.plane.wait_ready()
        case _:
            raise SystemExit(f"unknown action: {action}")


if __name__ == "__main__":
    main()
