"""A file of lines that is continued: what follows the last whole line is dropped, however long it is."""

from __future__ import annotations

import logging

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
