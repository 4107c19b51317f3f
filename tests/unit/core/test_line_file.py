"""A file of lines: it goes on after the last whole line of a killed process, and after a disk that was full."""

from __future__ import annotations

import logging
import resource
import signal

import pytest

from practicum_core import line_file
from practicum_core.line_file import LineFile


@pytest.mark.parametrize(
    ("left", "whole"),
    [(b"", b""), (b"one\n", b"one\n"), (b"one\ntwo", b"one\n"), (b"one\n" + b"x" * 40, b"one\n"), (b"x" * 40, b"")],
)
def test_what_follows_the_last_whole_line_is_dropped(tmp_path, monkeypatch, left, whole):
    monkeypatch.setattr(line_file, "_BLOCK_BYTES", 8)
    path = tmp_path / "lines.jsonl"
    path.write_bytes(left)
    lines = LineFile(path, 1000, "later lines", logging.getLogger("test"))
    assert lines.write(b"next")
    lines.close()
    assert not lines.write(b"after its end")
    assert path.read_bytes() == whole + b"next\n"


@pytest.fixture
def full_disk(monkeypatch):
    """Let no file of this process grow beyond so many bytes; a write is cut there, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    monkeypatch.setattr(line_file, "_RETRY_S", 0.0)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size if size is not None else old[0], old[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, handler)


def test_lines_are_lost_while_the_disk_is_full_and_written_again_after(tmp_path, full_disk, caplog):
    path = tmp_path / "lines.jsonl"
    lines = LineFile(path, 1000, "later lines", logging.getLogger("test"))
    full_disk(8)
    written = [lines.write(line) for line in (b"one", b"three", b"four")]
    full_disk(None)
    assert [*written, lines.write(b"five")] == [True, False, False, True]
    lines.close()
    # Half of a line that was cut is not left before the next one.
    assert path.read_bytes() == b"one\nfive\n"
    told = [record.getMessage() for record in caplog.records]
    assert sum("lines are lost for now" in one for one in told) == 1
    assert told[-1].endswith("goes on; 2 lines before are missing")


def test_between_two_tries_of_a_full_disk_nothing_is_asked_of_it(tmp_path, full_disk, monkeypatch):
    lines = LineFile(tmp_path / "lines.jsonl", 1000, "later lines", logging.getLogger("test"))
    monkeypatch.setattr(line_file, "_RETRY_S", 60.0)
    full_disk(0)
    assert not lines.write(b"one")
    full_disk(None)
    assert not lines.write(b"two")


def test_a_file_that_has_its_size_is_not_opened_again(tmp_path, full_disk):
    lines = LineFile(tmp_path / "lines.jsonl", 5, "later lines", logging.getLogger("test"))
    assert [lines.write(line) for line in (b"one", b"two", b"")] == [True, False, False]
