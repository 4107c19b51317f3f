"""Folders of temporary files with long paths, and full ones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from practicum_core.errors import PlatformError, Reason
from practicum_runtime.step_lock import hold_step
from practicum_runtime.step_process import start_step
from practicum_runtime.temporary_folder import MAX_FOLDER_BYTES, make_short_link, require_temporary_folder

FORK_SERVER = """
import multiprocessing, os, pathlib, tempfile
def work(number):
    pathlib.Path(tempfile.gettempdir(), "kept").write_text(str(number))
if __name__ == "__main__":
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        pool.map(work, [7])
    print(tempfile.gettempdir())
"""


@pytest.fixture
def long_folder(tmp_path):
    folder = tmp_path / ("long-" * 18)
    folder.mkdir()
    return folder


def run_step(layout, program, folder):
    (layout.root / "program.py").write_text(program)
    command = [sys.executable, layout.root / "program.py"]
    with hold_step(layout) as lock:
        process = start_step(layout, command, {**os.environ, "TMPDIR": str(folder)}, 1, lock)
    status = process.wait(30)
    link = Path(layout.log.read_text().split()[-1])
    return process, status, link


def test_a_program_that_makes_sockets_runs_below_a_long_path(layout, long_folder):
    """As it is, the path is too long for one: this is what the link is for."""
    (layout.root / "program.py").write_text(FORK_SERVER)
    alone = subprocess.run(
        [sys.executable, layout.root / "program.py"],
        env={**os.environ, "TMPDIR": str(long_folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "path too long" in alone.stderr
    process, status, link = run_step(layout, FORK_SERVER, long_folder)
    assert status == 0
    assert len(str(link)) <= MAX_FOLDER_BYTES
    assert (long_folder / "kept").read_text() == "7"
    process.sweep()
    assert not link.is_symlink()
    assert [path.name for path in long_folder.iterdir()] == ["kept"], "nothing else is left behind"


def test_a_short_path_is_left_as_it_is(layout):
    folder = tempfile.mkdtemp(prefix="p-", dir="/tmp")
    try:
        process, status, found = run_step(layout, "import os; print(os.environ['TMPDIR'])", folder)
        assert (status, str(found)) == (0, folder)
        process.sweep()
        assert Path(folder).is_dir()
    finally:
        shutil.rmtree(folder)


def test_a_process_that_is_killed_leaves_no_link(layout, long_folder):
    program = "import os, signal; print(os.environ['TMPDIR'], flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    process, status, link = run_step(layout, program, long_folder)
    assert status == -signal.SIGKILL
    process.sweep()
    assert not link.is_symlink()


def test_a_program_that_does_not_start_leaves_no_link(layout, long_folder):
    before = set(Path("/tmp").glob("prac-*"))  # noqa: S108 - a short path is what this is about
    with hold_step(layout) as lock, pytest.raises(PlatformError):
        start_step(layout, [layout.root / "missing"], {"TMPDIR": str(long_folder)}, 1, lock)
    made = set(Path("/tmp").glob("prac-*")) - before  # noqa: S108 - as above
    assert not [link for link in made if link.is_symlink() and link.readlink() == long_folder]


@pytest.mark.parametrize("folder", [None, "", "/tmp", "/" + "x" * (MAX_FOLDER_BYTES - 1)])  # noqa: S108 - as above
def test_no_link_is_made_for_a_short_path(folder):
    assert make_short_link(folder) is None


def test_bytes_count_and_not_letters():
    link = make_short_link("/" + "临" * 8)
    try:
        assert link.readlink() == Path("/" + "临" * 8)
    finally:
        link.unlink()


def test_a_link_that_was_left_behind_goes_when_its_folder_has_gone(long_folder, tmp_path):
    left, kept = make_short_link(str(long_folder)), make_short_link(str(tmp_path))
    long_folder.rmdir()
    make_short_link(str(tmp_path)).unlink()
    assert (left.is_symlink(), kept.is_symlink()) == (False, True)
    kept.unlink()


def test_where_no_link_can_be_made_the_error_names_the_setting(monkeypatch, long_folder):
    monkeypatch.setattr("practicum_runtime.temporary_folder._PLACES", (str(long_folder / "missing"),))
    assert make_short_link(str(long_folder)) is None
    monkeypatch.setattr(tempfile, "tempdir", str(long_folder))
    with pytest.raises(PlatformError, match=r"TMPDIR: the path .* has \d+ bytes; sockets need one of 24 at most"):
        require_temporary_folder(1)


def test_a_full_disk_is_told_with_the_setting(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108 - as above
    assert require_temporary_folder(1) == Path("/tmp")  # noqa: S108 - as above
    with pytest.raises(PlatformError, match=r"TMPDIR: /tmp has \d+ MiB left; \d+ MiB are needed") as caught:
        require_temporary_folder(shutil.disk_usage("/tmp").total + 1)  # noqa: S108 - as above
    assert caught.value.reason is Reason.DISK_FULL
