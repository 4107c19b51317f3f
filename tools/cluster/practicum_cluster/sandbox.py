"""The sandbox of the bare cluster: Linux namespaces for its network, mounts and process ids.

All processes, mounts, routes and packet filters of the cluster are inside. When its first process ends, the kernel
removes all of them. Only folders and control groups are outside; they are removed by name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from practicum_cluster.api import wait_until
from practicum_cluster.daemons import Daemons, read_start
from practicum_cluster.layout import TOOLS
from practicum_cluster.programs import run_program

NODE_ADDRESS = "10.188.0.1"
"""Address of the bridge, used by the API server and the node."""
DNS_ADDRESS = "169.254.20.10"
"""Address of NodeLocal DNSCache, which is local to every node."""
NODE_NETWORK = f"{NODE_ADDRESS}/24"
POD_NETWORK = "10.188.1.0/24"
CLUSTER_NETWORK = "10.188.0.0/16"
BRIDGE, UPLINK, OUTSIDE = "practicum0", "uplink", "practicum-up"
_OUTSIDE_ADDRESS = "10.188.0.254/24"
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
CONTROL_GROUP = "practicum"
_USUAL_WEIGHTS = {"cpu.shares": 1024, "cpu.weight": 100}
"""Weight of a process, or of a group, to which none was given: of control groups version 1 and 2."""
_NAMESPACES = "namespaces"
_REAPER = "practicum_cluster.reaper"
_END_S = 30.0


class Sandbox:
    """The namespaces of one bare cluster.

    Args:
        folder: Folder of its record and its log.
        prefix: Command that starts the first process, such as one that ends it together with the caller.
    """

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        self._daemons = Daemons(folder)
        self._prefix = tuple(prefix)

    def start(self, inherited: Sequence[int] = ()) -> None:
        """Create the namespaces and the network link into them.

        Args:
            inherited: Open descriptors that the first process keeps until it ends.
        """
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        program = [sys.executable, "-m", _REAPER]
        self._daemons.start(
            _NAMESPACES,
            [*self._prefix, *unshare, "--propagation=private", *program],
            {"PYTHONPATH": str(TOOLS)},
            inherited,
        )
        first = wait_until(self._find_first, "the first process of the cluster's namespaces", 10)
        run_program(("ip", "link", "add", OUTSIDE, "type", "veth", "peer", "name", UPLINK, "netns", str(first)))
        run_program(("ip", "address", "add", _OUTSIDE_ADDRESS, "dev", OUTSIDE))
        run_program(("ip", "link", "set", OUTSIDE, "up"))
        run_program(("ip", "route", "add", POD_NETWORK, "via", NODE_ADDRESS, "dev", OUTSIDE, "onlink"))

    def enter(self, command: Sequence[str | Path], timeout_s: float | None = None) -> str:
        """Run a program in the sandbox and return its output.

        Raises:
            RuntimeError: It failed; the message has its output.
        """
        answer = subprocess.run(
            [str(part) for part in (*self.build_entrance(), *command)],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
        if answer.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {answer.returncode}: {answer.stdout[-4000:]}")
        return answer.stdout

    def build_entrance(self) -> list[str]:
        """Return the command prefix that runs a command in the sandbox."""
        first = self._find_first()
        if first is None:
            raise RuntimeError("the bare cluster is not running")
        return ["nsenter", f"--target={first}", "--mount", "--net", "--pid", "--"]

    def stop(self) -> None:
        """Kill all processes in the sandbox, and remove what is left outside."""
        process = self._daemons.find(_NAMESPACES)
        first = self._find_first()
        started = read_start(first) if first else None
        # `unshare` ignores SIGTERM; when it is killed, everything inside ends with it.
        self._daemons.stop(_NAMESPACES, number=signal.SIGKILL)
        if process and first:
            wait_until(lambda: read_start(first) != started, "the end of the cluster's processes", _END_S)
        # The kernel removes the links of a namespace shortly after its last process has ended.
        if _has_link():
            subprocess.run(["ip", "link", "delete", OUTSIDE], check=False, capture_output=True)
        wait_until(lambda: not _has_link(), "the end of the cluster's link", _END_S)
        remove_control_groups()

    def _find_first(self) -> int | None:
        """Return the child of ``unshare`` once it runs the reaper; before that, its ``/proc`` is not mounted."""
        process = self._daemons.find(_NAMESPACES)
        if process is None:
            return None
        return next((pid for pid in _list_children(process.pid) if _REAPER in _read_arguments(pid)[:3]), None)


def _list_children(parent: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                children.append(int(stat.parent.name))
    return children


def _read_arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def _has_link() -> bool:
    return Path(f"/sys/class/net/{OUTSIDE}").exists()


def make_control_groups() -> None:
    """Create the control group of all pods in every hierarchy of control groups version 1."""
    for hierarchy in _list_hierarchies():
        group = hierarchy / CONTROL_GROUP
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # A cpuset group accepts no process before both files are set.
            if (group / name).exists() and not (group / name).read_text().strip():
                (group / name).write_text((hierarchy / name).read_text())
        for name, usual in _USUAL_WEIGHTS.items():
            if (group / name).exists():
                # Else all pods together would weigh as much as one process of the machine beside them.
                (group / name).write_text(str(usual * (os.cpu_count() or 1)))


def remove_control_groups() -> None:
    """Remove the control groups of the pods."""
    for hierarchy in _list_hierarchies():
        group = hierarchy / CONTROL_GROUP
        wait_until(lambda group=group: _is_removed(group), f"the end of the control group {group}", _END_S)  # type: ignore[misc] # the default binds the loop's value


def _is_removed(group: Path) -> bool:
    for folder in sorted(group.rglob("*"), key=lambda path: -len(path.parts)):
        if folder.is_dir():
            with contextlib.suppress(OSError):
                folder.rmdir()
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def _list_hierarchies() -> list[Path]:
    if (_CONTROL_GROUPS / "cgroup.controllers").exists():
        return [_CONTROL_GROUPS]
    return [path for path in _CONTROL_GROUPS.iterdir() if path.is_dir() and not path.is_symlink()]
