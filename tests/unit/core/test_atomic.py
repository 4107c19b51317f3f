"""What is appended stays readable: a full disk is told, and a line without its end takes none with it."""

from __future__ import annotations

import os

import pytest

from practicum_core.atomic import append_json_line
from practicum_core.errors import PlatformError, Reason
from practicum_core.json_files import read_json_lines


def test_lines_come_back(tmp_path):
    path = tmp_path / "lines.jsonl"
    lines = [{"text": "a\u2028b\u0085c"}, {"text": "\n"}, {"text": "\ud800"}]
    for line in lines:
        append_json_line(path, line)
    assert read_json_lines(path)[:2] == lines[:2]
    assert len(read_json_lines(path)) == 3


def test_a_line_without_its_end_is_lost_alone(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2')
    append_json_line(path, {"a": 3})
    assert read_json_lines(path) == [{"a": 1}, {"a": 3}]


def test_a_disk_that_takes_half_a_line_is_full(tmp_path, monkeypatch):
    path = tmp_path / "lines.jsonl"
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: whole(descriptor, line[:4]))
    with pytest.raises(PlatformError) as caught:
        append_json_line(path, {"a": 1})
    assert caught.value.reason is Reason.DISK_FULL


def test_a_missing_file_has_no_lines(tmp_path):
    assert read_json_lines(tmp_path / "none.jsonl") == []
