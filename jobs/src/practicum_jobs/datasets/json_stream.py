"""Decides how a file of JSON is cut into records in bounded memory: one a line, or the elements of one array.

A record longer than the limit is passed over, never held. Refuses to know what a record means.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from practicum_jobs.datasets.formats import RowFault

CHUNK_BYTES = 1 << 20

_TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""The inside of a string, up to its closing quote, a lone backslash at the chunk's end, or the chunk's end."""
_DEEP = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
"""Whole strings and all else up to a bracket, or up to a string that the chunk's end cuts off."""
_TOP = re.compile(rb'(?:[^"{}\[\],]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
"""The same, between the elements of the array, where a comma matters."""
_BLANK = b" \t\r\n"
_QUOTE = ord('"')


def iter_lines(handle: BinaryIO, max_row_bytes: int) -> Iterator[tuple[int, bytes | RowFault]]:
    """Yield the lines that are not blank with their numbers, from 1; a longer line than allowed as a fault.

    Args:
        handle: At the start of the file.
        max_row_bytes: Of a line without its newline.
    """
    line_number = 0
    while line := handle.readline(max_row_bytes + 1):
        line_number += 1
        if line_number == 1 and line.startswith(codecs.BOM_UTF8):
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > max_row_bytes and not line.endswith(b"\n"):
            size = len(line) + _skip_line(handle)
            yield line_number, _fault_length(size, max_row_bytes)
        elif not line.isspace() and line:
            yield line_number, line


def _skip_line(handle: BinaryIO) -> int:
    size = 0
    while part := handle.readline(CHUNK_BYTES):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size


def iter_elements(handle: BinaryIO, max_row_bytes: int) -> Iterator[tuple[int, bytes | RowFault]]:
    """Yield the elements of the JSON array in a file with the number of the line that each starts on.

    Strings and brackets alone are followed here, so that a malformed element does not hide the ones behind it.

    Args:
        handle: At the start of the file, whose first character other than blanks is ``[``.
        max_row_bytes: Of an element.
    """
    scan = _ArrayScan(max_row_bytes)
    while chunk := handle.read(CHUNK_BYTES):
        yield from scan.feed(chunk)
    if not scan.is_closed:
        yield scan.line_number, RowFault("broken_json", "the array is not closed: the file ends inside it")


@dataclass
class _ArrayScan:
    """Where a scan of an array stands between two chunks."""

    max_row_bytes: int
    line_number: int = 1
    depth: int = 0
    in_string: bool = False
    is_escaped: bool = False
    is_closed: bool = False
    has_tail: bool = False
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
                self._keep(chunk[start:end])
                start = position
                yield from self._finish()
        if not self.is_closed:
            self._keep(chunk[start:])
        elif not self.has_tail and chunk[position:].strip(_BLANK):
            self.has_tail = True
            yield self.line_number, RowFault("broken_json", "text behind the end of the array is not read")

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


def decode_record(text: bytes) -> dict[str, object]:
    """Decode one record.

    Raises:
        RowFault: Not UTF-8, not JSON, or not an object.
    """
    try:
        # Decoded here because json would guess other encodings; surrogates come from escapes alone.
        decoded = text.decode()
        record = json.loads(decoded)
        if "\\ud" in decoded or "\\uD" in decoded:
            json.dumps(record, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise RowFault("invalid_utf8", f"byte {error.start + 1} of the row is not UTF-8 ({error.reason})") from error
    except UnicodeEncodeError as error:
        raise RowFault("invalid_utf8", "half of a surrogate pair: an escape that is no character") from error
    except RecursionError as error:
        raise RowFault("broken_json", "nested too deeply") from error
    except json.JSONDecodeError as error:
        raise RowFault("broken_json", f"{error.msg} at character {error.pos + 1} of the row") from error
    except ValueError as error:
        raise RowFault("broken_json", str(error)) from error
    if not isinstance(record, dict):
        raise RowFault("wrong_type", f"a row must be an object, got {type(record).__name__}")
    return record


def _fault_length(size: int, max_row_bytes: int) -> RowFault:
    return RowFault("row_too_long", f"{size:,} bytes, more than the {max_row_bytes:,} that a row may have")
