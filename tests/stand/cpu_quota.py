"""A control group with a CPU quota for processes of a test, by version 1 or 2 of control groups."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")
PERIOD_US = 100_000


class QuotaGroup:
    """A group; processes are moved into it, with their threads, and back out of it at the end."""

    def __init__(self, folder: Path, share: float) -> None:
        self.folder = folder
        quota = int(share * PERIOD_US)
        if (folder / "cpu.max").exists():
            (folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))

    def add(self, pid: int) -> None:
        (self.folder / "cgroup.procs").write_text(str(pid))


@contextlib.contextmanager
def make_quota_group(share: float) -> Iterator[QuotaGroup]:
    """Make a group whose processes get ``share`` of one processor; skip the test where that is not allowed."""
    parent = ROOT / "cpu" if (ROOT / "cpu/cpu.cfs_quota_us").exists() else ROOT
    folder = parent / f"practicum-test-{uuid.uuid4().hex[:8]}"
    try:
        if parent == ROOT:
            (ROOT / "cgroup.subtree_control").write_text("+cpu")
        folder.mkdir()
        group = QuotaGroup(folder, share)
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        if "quota" in os.environ.get("PRACTICUM_REQUIRE", "").split(","):
            raise
        pytest.skip(f"this machine allows no CPU quota ({error})")
    try:
        yield group
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (parent / "cgroup.procs").write_text(pid)
        deadline_s = time.monotonic() + 5
        while folder.exists() and time.monotonic() < deadline_s:
            with contextlib.suppress(OSError):  # until the kernel has let go of processes that ended
                folder.rmdir()
            time.sleep(0.05)
