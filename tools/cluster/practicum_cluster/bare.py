"""Decides how the bare cluster comes up and goes: walls first, then the node inside them; nothing remains outside.

Needs Linux, root, and the Debian packages that `tools/cluster/packages.sh` names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from practicum_cluster import images, operators
from practicum_cluster.api import Api
from practicum_cluster.control_plane import ControlPlane
from practicum_cluster.layout import TOOLS, ensure_binaries, get_cache
from practicum_cluster.node import CTR, PAUSE_IMAGE, build_plane, ensure_node_binaries, offer_gpus
from practicum_cluster.place import Place
from practicum_cluster.sandbox import Sandbox
from practicum_cluster.shipping import Shipment

_START_S = 300.0
# The machine's and not a cache's: the link that leads inside has one name.
_LOCK = Path("/run/practicum-bare-cluster.lock")
_LASTING = "a cluster of `make cluster-up` runs, and a machine has place for one: `make cluster-down` first"
_TIED = "process {pid} (a run of the tests) has a bare cluster, and a machine has place for one: wait until it ends"


class BareCluster:
    """One bare cluster of this machine.

    Args:
        root: Folder of the run; removed and made anew at each start.
        store: Folder of containerd's images, kept from run to run.
        prefix: A command that starts the first process; one that ties it to the caller's life, or none.
    """

    def __init__(self, root: Path | None = None, store: Path | None = None, prefix: Sequence[str] = ()) -> None:
        self.root = root or get_cache() / "run"
        self.store = store or get_cache() / "containerd"
        # Beside the run's folder, which is removed while the sandbox may still run.
        self.sandbox = Sandbox(self.root.with_name(f"{self.root.name}-sandbox"), prefix)
        self._place = Place(_LOCK)
        self._sentence = _TIED.format(pid=os.getpid()) if prefix else _LASTING

    @property
    def plane(self) -> ControlPlane:
        """The control plane: credentials and clients. Its processes live inside, see :meth:`act`."""
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
        """Bring what a cluster starts from: Debian's packages and the programs of the node."""
        subprocess.run([TOOLS / "packages.sh"], check=True)
        ensure_node_binaries()

    def claim(self) -> None:
        """Take the machine's place for a bare cluster, and remove what a stopped run left in it.

        Raises:
            RuntimeError: A cluster runs; says whose, and what to do.
        """
        self._place.take(self._sentence)
        self._clear()

    def up(self, gpus: int = 1) -> Api:
        """Start the cluster; what a stopped run left behind is removed first.

        Raises:
            RuntimeError: A cluster runs already, or a part did not start; names its log.
        """
        self.prepare()
        self.claim()
        try:
            self.root.mkdir(parents=True)
            self.sandbox.start(self._place.get_inherited())
            self.act("start")
            name, _, tag = PAUSE_IMAGE.rpartition("/")[2].partition(":")
            self.load(images.ensure_archive(name, tag, ensure_binaries("pause")["pause"], "/pause"))
            offer_gpus(self.api, gpus)
        except BaseException:
            self.sandbox.stop()
            self._place.release()
            raise
        return self.api

    def install_operators(self) -> None:
        """Install Kueue and KubeRay and wait until both answer."""
        self.load(*operators.ensure_archives())
        operators.install(self.api, self.kubeconfig)

    def load(self, *archives: Path) -> None:
        """Import images into the node."""
        self.sandbox.enter([*_PYTHON, "import", *archives], _START_S)

    def ship(self, *shipments: Shipment) -> None:
        """Bring images into the node; layers that it holds stay where they are."""
        for shipment in shipments:
            held = frozenset(self.sandbox.enter([*CTR, "content", "list", "--quiet"]).split())
            command = [*self.sandbox.build_entrance(), *CTR, "images", "import", "-"]
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as ctr:
                if ctr.stdin is None or ctr.stdout is None:
                    raise RuntimeError("pipes were asked for")
                with contextlib.suppress(BrokenPipeError):
                    shipment.write(ctr.stdin, held)
                    ctr.stdin.close()
                said = ctr.stdout.read().decode(errors="replace")
            if ctr.returncode:
                raise RuntimeError(f"{shipment.reference}: not imported: {said[-2000:]}")

    def act(self, action: str, *names: str) -> None:
        """Act on the node's processes: ``start``, ``stop NAME``, ``run NAME`` for the store and the API server."""
        self.sandbox.enter([*_PYTHON, action, self.root, self.store, *names], _START_S)

    def down(self) -> None:
        """End everything and remove what is left; the images stay for the next run.

        Raises:
            RuntimeError: The cluster is a test run's, which ends it itself.
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
    """Say why this machine cannot run the bare cluster, if so."""
    if sys.platform != "linux":
        return "Linux"
    if os.geteuid() != 0:
        return "the rights of root"
    return next(
        (f"the program {name}" for name in ("go", "unshare", "nsenter", "openssl") if not shutil.which(name)), None
    )
