from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from practicum_core.errors import PlatformError, Reason
from practicum_jobs.storage.onceonly import ensure_folder

BUILDER = """
import sys, time
from pathlib import Path
from practicum_jobs.storage.onceonly import ensure_folder

def build(partial):
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    (partial / "half").write_text("x")
    print("building", flush=True)
    time.sleep(float(sys.argv[3]))
    (partial / "whole").write_text("x")

ensure_folder(Path(sys.argv[1]), build)
"""


def start_builder(folder: Path, log: Path, seconds: float) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BUILDER, str(folder), str(log), str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_processes_that_ask_at_once_build_once(tmp_path):
    log = tmp_path / "log"
    processes = [start_builder(tmp_path / "models" / "m", log, 0.5) for _ in range(3)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert log.read_text() == "built\n"
    assert sorted(file.name for file in (tmp_path / "models" / "m").iterdir()) == ["half", "whole"]


def test_a_killed_builder_leaves_nothing_that_is_taken_for_whole(tmp_path):
    folder = tmp_path / "models" / "m"
    process = start_builder(folder, tmp_path / "log", 60)
    assert process.stdout is not None
    assert process.stdout.readline() == "building\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not folder.exists()
    started = time.monotonic()
    ensure_folder(folder, lambda partial: (partial / "whole").touch())
    assert time.monotonic() - started < 30
    assert [file.name for file in folder.iterdir()] == ["whole"]
    assert [file.name for file in folder.parent.iterdir() if file.is_dir()] == ["m"]


def test_a_builder_that_raises_leaves_nothing(tmp_path):
    def build(partial: Path) -> None:
        (partial / "half").touch()
        raise ValueError("cut off")

    with pytest.raises(ValueError, match="cut off"):
        ensure_folder(tmp_path / "m", build)
    assert [file.name for file in tmp_path.iterdir() if file.is_dir()] == []


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - the shape of shutil's own result
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 5 * 2**20))
    with pytest.raises(PlatformError, match="5 MiB free, 520 MiB needed") as caught:
        ensure_folder(tmp_path / "m", lambda _: pytest.fail("must not build"), needed_bytes=520 * 2**20)
    assert caught.value.reason is Reason.DISK_FULL


def test_a_folder_without_permission_is_one_clear_error(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("x")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("runs as a user for whom no folder is read-only")
    with pytest.raises(PlatformError) as caught:
        ensure_folder(locked / "models" / "m", lambda _: None)
    assert caught.value.reason is Reason.PERMISSION_DENIED
