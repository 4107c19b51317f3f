"""How much the CPU quota of this process's control group held it up, from control groups of version 1 or 2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_CONTROLLER_DIRS = ("cpu", "cpu,cpuacct")


@dataclass(frozen=True)
class CpuThrottling:
    """Sums since the group was made; all zero without a quota.

    Attributes:
        num_periods: Periods (100 ms, by default) in which the group had something to run.
        num_throttled: Those of them in which its quota was used up.
        throttled_s: How long its processors stood still for that, summed over processors.
    """

    num_periods: int
    num_throttled: int
    throttled_s: float


def read_throttling(membership: Path = _MEMBERSHIP, root: Path = _ROOT) -> CpuThrottling | None:
    """Read the counters of this process's group; ``None`` where there are none.

    Source: kernel, cgroup-v2 (``cpu.stat``) and sched-bwc for version 1, where the time is in nanoseconds.
    """
    for path in _list_paths(membership, root):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            found = {name: int(value) for name, value in (line.split() for line in lines)}
        except (OSError, ValueError):
            continue
        if "nr_periods" not in found:
            continue
        seconds = found.get("throttled_usec", 0) / 1e6 + found.get("throttled_time", 0) / 1e9
        return CpuThrottling(found["nr_periods"], found.get("nr_throttled", 0), seconds)
    return None


def _list_paths(membership: Path, root: Path) -> list[Path]:
    """List where the file of this process's group may be; a container that sees only its own has it at the root."""
    try:
        lines = [line.split(":", 2) for line in membership.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    paths: list[Path] = []
    for _, controllers, group in (line for line in lines if len(line) == 3):  # noqa: PLR2004 - as in cgroups(7)
        if not controllers:
            folders = [root]
        elif "cpu" in controllers.split(","):
            folders = [root / name for name in (*_CONTROLLER_DIRS, controllers)]
        else:
            continue
        paths += [folder / place / "cpu.stat" for folder in folders for place in (group.lstrip("/"), "")]
    return paths
