"""JSON files cut into records in bounded memory: lines, the elements of one array, or objects one after the other.

A record longer than the limit is passed over, never held. Why no library does this: decision record 0013.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from practicum_jobs.datasets.columns import RowFault

CHUNK_BYTES = 1 << 20

_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""The inside of a string, up to its closing quote, a lone backslash at the chunk's end, or the chunk's end."""
_DEEP = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
"""Whole strings and all else up to a bracket, or up to a string that the chunk's end cuts off."""
_TOP = re.compile(rb'(?:[^"{}\[\],]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
"""The same, between the elements of the array, where a comma matters."""
_KEY = re.compile(rb'"([A-Za-z_ -]{1,40})"\s*:\s*\[')
"""A key of a list."""
_BLANK = b" \t\r\n"
_QUOTE = ord('"')


def iter_lines(
    handle: BinaryIO, max_row_bytes: int, *, keep_blank: bool = False
) -> Iterator[tuple[int, bytes | RowFault]]:
    """Yield the lines with their numbers, from 1; a longer line than allowed as a fault.

    Args:
        handle: At the start of the file.
        max_row_bytes: Of a line without its newline.
        keep_blank: Yield blank lines too.
    """
    line_number = 0
    while line := handle.readline(max_row_bytes + 1):
        line_number += 1
        if line_number == 1 and line.startswith(codecs.BOM_UTF8):
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > max_row_bytes and not line.endswith(b"\n"):
            size = len(line) + _skip_line(handle)
            yield line_number, _fault_length(size, max_row_bytes)
        elif keep_blank or (line and not line.isspace()):
            yield line_number, line


def _skip_line(handle: BinaryIO) -> int:
    size = 0
    while part := handle.readline(CHUNK_BYTES):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size


def iter_elements(handle: BinaryIO, max_row_bytes: int, first_line: int = 1) -> Iterator[tuple[int, bytes | RowFault]]:
    """Yield the elements of the JSON array in a file with the number of the line that each starts on.

    Strings and brackets alone are followed here, so that a malformed element does not hide the ones behind it.

    Args:
        handle: Before the array: the next character other than blanks is ``[``.
        max_row_bytes: Of an element.
        first_line: Number of the line at which ``handle`` stands.
    """
    scan = _ArrayScan(max_row_bytes, line_number=first_line)
    while chunk := handle.read(CHUNK_BYTES):
        yield from scan.feed(chunk)
        while scan.is_closed:
            tail = (scan.tail + handle.read(CHUNK_BYTES)).lstrip(_BLANK)
            if not tail.startswith(b"["):
                yield from _check_tail(scan, tail)
                return
            scan = _ArrayScan(max_row_bytes, line_number=scan.line_number)
            yield from scan.feed(tail)
    yield scan.line_number, RowFault("broken_json", "the array is not closed: the file ends inside it")


def iter_objects(handle: BinaryIO, max_row_bytes: int) -> Iterator[tuple[int, bytes | RowFault]]:
    """Yield objects that stand one after the other, each perhaps over several lines, perhaps with commas between."""
    scan = _ArrayScan(max_row_bytes, depth=1, is_sequence=True)
    while chunk := handle.read(CHUNK_BYTES):
        yield from scan.feed(chunk)
    if scan.size:
        yield (
            scan.start_line,
            RowFault("broken_json", "the file ends inside this row: a bracket or quote is not closed"),
        )


def _check_tail(scan: _ArrayScan, tail: bytes) -> Iterator[tuple[int, bytes | RowFault]]:
    """Say what stands behind the array; of an object around it, the closing bracket is nothing."""
    if tail.strip(b"}" + _BLANK):
        keys = [key.decode(errors="replace") for key in _KEY.findall(tail)]
        shown = f": {', '.join(keys[:5])[:80]}" if keys else ""
        detail = f"what stands behind the end of the array is not read{shown}"
        yield scan.line_number, RowFault("unread_part", detail, keys[0] if keys else "")


@dataclass
class _ArrayScan:
    """Where a scan of an array stands between two chunks."""

    max_row_bytes: int
    line_number: int = 1
    depth: int = 0
    in_string: bool = False
    is_escaped: bool = False
    is_sequence: bool = False
    """The elements stand in no brackets: each ends where its own do."""
    is_closed: bool = False
    tail: bytes = b""
    start_line: int = 1
    size: int = 0
    parts: list[bytes] = field(default_factory=list)

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes | RowFault]]:
        """Take a chunk; yield the elements that end in it."""
        position = start = 0
        while position < len(chunk) and not self.is_closed:
            if self.in_string:
                position = self._pass_text(chunk, position)
                continue
            skipped = (_DEEP if self.depth > 1 else _TOP).match(chunk, position)
            end = skipped.end() if skipped else position
            position = end + 1
            if end < len(chunk) and self._step(chunk[end]):
                # A bracket that ends an element of a sequence is part of it; a comma never is.
                self._keep(chunk[start : position if chunk[end] in b"]}" and self.is_sequence else end])
                start = position
                yield from self._finish()
        if not self.is_closed:
            self._keep(chunk[start:])
        else:
            self.tail = chunk[position:]

    def _step(self, mark: int) -> bool:
        """Follow a structural character; say whether an element (or the text before the array) ends at it."""
        if mark == _QUOTE:
            self.in_string = True
            return False
        if mark in b"[{":
            self.depth += 1
            return self.depth == 1
        if mark in b"]}":
            self.depth -= 1
            if self.is_sequence:
                is_end = self.depth <= 1
                self.depth = max(self.depth, 1)
                return is_end
            self.is_closed = self.depth == 0
            return self.is_closed
        return self.depth == 1

    def _pass_text(self, chunk: bytes, position: int) -> int:
        """Return the position behind the string, or the chunk's end."""
        if self.is_escaped:
            position += 1
            self.is_escaped = False
        match = _TEXT.match(chunk, position)
        end = match.end() if match else position
        if end >= len(chunk):
            return len(chunk)
        self.in_string = chunk[end : end + 1] != b'"'
        self.is_escaped = self.in_string
        return end + 1

    def _keep(self, part: bytes) -> None:
        if not self.size:
            kept = part.lstrip(_BLANK)
            self.line_number += part.count(b"\n", 0, len(part) - len(kept))
            self.start_line, part = self.line_number, kept
        self.line_number += part.count(b"\n")
        self.size += len(part)
        if self.size <= self.max_row_bytes:
            self.parts.append(part)
        else:
            self.parts.clear()

    def _finish(self) -> Iterator[tuple[int, bytes | RowFault]]:
        if self.size > self.max_row_bytes:
            yield self.start_line, _fault_length(self.size, self.max_row_bytes)
        elif self.size and self.parts != [b"\xef\xbb\xbf"]:
            yield self.start_line, b"".join(self.parts)
        self.parts, self.size = [], 0


def _fault_length(size: int, max_row_bytes: int) -> RowFault:
    return RowFault("row_too_long", f"{size:,} bytes, more than the {max_row_bytes:,} that a row may have")
