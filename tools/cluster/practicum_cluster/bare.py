"""The bare cluster: creates a sandbox of Linux namespaces, starts a node in it, and removes both without a trace.

It needs Linux, root, and the Debian packages that `tools/cluster/packages.sh` installs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from practicum_cluster import images, operators, serving_operators
from practicum_cluster.api import Api
from practicum_cluster.control_plane import ControlPlane
from practicum_cluster.layout import TOOLS, ensure_binaries, get_cache
from practicum_cluster.node import CTR, PAUSE_IMAGE, build_plane, ensure_node_binaries, offer_gpus
from practicum_cluster.place import Place
from practicum_cluster.sandbox import Sandbox
from practicum_cluster.shipping import Shipment

_START_S = 300.0
_SHIP_TRIES = 3
# What `ctr` says when containerd's collector removed a layer between the look at it and its use
# (containerd issue 3787); the next try unpacks it again.
_COLLECTED = "parent snapshot"
# One lock per machine and not per cache, because the network link into the sandbox has a fixed name.
_LOCK = Path("/run/practicum-bare-cluster.lock")
_LASTING = "a cluster of `make cluster-up` is running, and a machine can run only one: `make cluster-down` first"
_TIED = "process {pid} (a test run) has a bare cluster, and a machine can run only one: wait until it ends"


class BareCluster:
    """The bare cluster of this machine.

    Args:
        root: Folder of the run; removed and created again at each start.
        store: Folder of containerd's images; kept between runs.
        prefix: Command that starts the first process, such as one that ends it together with the caller.
    """

    def __init__(self, root: Path | None = None, store: Path | None = None, prefix: Sequence[str] = ()) -> None:
        self.root = root or get_cache() / "run"
        self.store = store or get_cache() / "containerd"
        # Not inside the folder of the run, which is removed while the sandbox may still run.
        self.sandbox = Sandbox(self.root.with_name(f"{self.root.name}-sandbox"), prefix)
        self._place = Place(_LOCK)
        self._sentence = _TIED.format(pid=os.getpid()) if prefix else _LASTING

    @property
    def plane(self) -> ControlPlane:
        """The control plane: credentials and clients. Its processes run in the sandbox, see :meth:`act`."""
        return build_plane(self.root)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's credentials."""
        return self.plane.kubeconfig

    @property
    def api(self) -> Api:
        """A client with every right."""
        return Api(self.kubeconfig)

    def prepare(self) -> None:
        """Install the Debian packages and build the programs of the node."""
        subprocess.run([TOOLS / "packages.sh"], check=True)
        ensure_node_binaries()

    def claim(self) -> None:
        """Take the lock of the machine's bare cluster, and remove what an interrupted run left behind.

        Raises:
            RuntimeError: A cluster is running; the message says whose, and what to do.
        """
        self._place.take(self._sentence)
        self._clear()

    def up(self, gpus: int = 1) -> Api:
        """Start the cluster. What an interrupted run left behind is removed first.

        Raises:
            RuntimeError: A cluster is already running, or a part did not start; the message names its log.
        """
        self.prepare()
        self.claim()
        try:
            self.root.mkdir(parents=True)
            self.sandbox.start(self._place.get_inherited())
            self.act("start")
            self.load_pause()
            offer_gpus(self.api, gpus)
        except BaseException:
            self.sandbox.stop()
            self._place.release()
            raise
        return self.api

    def install_operators(self) -> None:
        """Install Kueue and KubeRay and wait until both are ready."""
        self.load(*operators.ensure_archives())
        operators.install(self.api, self.kubeconfig)

    def install_serving_operators(self) -> None:
        """Install KEDA and KServe and wait until both are ready."""
        self.load(*serving_operators.ensure_serving_archives())
        serving_operators.install_serving(self.api, self.kubeconfig)

    def load_pause(self) -> None:
        """Import the image that every pod needs for its sandbox."""
        name, _, tag = PAUSE_IMAGE.rpartition("/")[2].partition(":")
        self.load(images.ensure_archive(name, tag, ensure_binaries("pause")["pause"], "/pause"))

    def load(self, *archives: Path) -> None:
        """Import images into the node."""
        self.sandbox.enter([*_PYTHON, "import", *archives], _START_S)

    def ship(self, *shipments: Shipment) -> None:
        """Copy images to the node, except layers that it already has, and remove those that they replace."""
        for shipment in shipments:
            for left in reversed(range(_SHIP_TRIES)):
                said = self._import(shipment)
                if said is None:
                    break
                if not left or _COLLECTED not in said:
                    raise RuntimeError(f"{shipment.reference}: not imported: {said[-2000:]}")
        self.sandbox.enter([*_PYTHON, "tidy"], _START_S)

    def _import(self, shipment: Shipment) -> str | None:
        """Import an image except the layers that the node holds now; returns what `ctr` said if it refused."""
        held = frozenset(self.sandbox.enter([*CTR, "content", "list", "--quiet"]).split())
        command = [*self.sandbox.build_entrance(), *CTR, "images", "import", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ctr:
            if ctr.stdin is None or ctr.stdout is None:
                raise RuntimeError("pipes were asked for")
            with contextlib.suppress(BrokenPipeError):
                shipment.write(ctr.stdin, held)
                ctr.stdin.close()
            said = ctr.stdout.read().decode(errors="replace")
        return said if ctr.returncode else None

    def act(self, action: str, *names: str) -> None:
        """Control the processes of the node: ``start``; ``stop NAME`` and ``run NAME`` for etcd and API server."""
        self.sandbox.enter([*_PYTHON, action, self.root, self.store, *names], _START_S)

    def down(self) -> None:
        """Stop the cluster and remove everything except the images, which the next run uses.

        Raises:
            RuntimeError: The cluster belongs to a test run, which stops it itself.
        """
        said = self._place.find_other()
        if said not in (None, _LASTING):
            raise RuntimeError(said)
        self._clear()
        self._place.release()

    def _clear(self) -> None:
        self.sandbox.stop()
        shutil.rmtree(self.root, ignore_errors=True)


_PYTHON = ("env", f"PYTHONPATH={TOOLS}", sys.executable, "-m", "practicum_cluster.node")


def get_reason_impossible() -> str | None:
    """Return why this machine cannot run the bare cluster; ``None`` if it can."""
    if sys.platform != "linux":
        return "Linux"
    if os.geteuid() != 0:
        return "the rights of root"
    return next(
        (f"the program {name}" for name in ("go", "unshare", "nsenter", "openssl") if not shutil.which(name)), None
    )
