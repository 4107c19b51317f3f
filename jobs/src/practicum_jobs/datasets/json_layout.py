"""How a JSON file lays out its records, told from its first bytes and not from its name.

Lines of objects, one array, objects over several lines, or a list under a key of one object (``{"data": [...]}``).
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Literal, NamedTuple

from practicum_core.errors import DataError
from practicum_core.split_names import SPLIT_WORDS
from practicum_jobs.datasets.columns import RowFault
from practicum_jobs.datasets.containers import HEAD_BYTES
from practicum_jobs.datasets.json_stream import iter_elements, iter_lines, iter_objects

LIST_KEYS = frozenset({"data", "rows", "records", "examples", "instances", "items", "samples", "dataset", *SPLIT_WORDS})
"""Keys under which files keep their list of rows."""
_DECODER = json.JSONDecoder()
_BLANK = " \t\r\n"


class Layout(NamedTuple):
    """Where the records stand. ``offset`` is the place of the list, ``key`` its name, ``before`` the keys before it."""

    kind: Literal["lines", "array", "objects", "list"]
    offset: int = 0
    key: str = ""
    before: tuple[str, ...] = ()


def cut_json(path: Path, handle: BufferedReader, max_row_bytes: int) -> Iterator[tuple[int, bytes | RowFault]]:
    """Yield the records of a JSON file as bytes, each with the number of its line, and faults.

    Raises:
        DataError: Its lists belong to several splits, or it keeps columns and not rows.
    """
    head = handle.peek(HEAD_BYTES)[:HEAD_BYTES]
    layout = find_layout(head, is_whole=len(head) < HEAD_BYTES)
    if layout.kind == "lines":
        yield from iter_lines(handle, max_row_bytes)
    elif layout.kind == "array":
        yield from iter_elements(handle, max_row_bytes)
    elif layout.kind == "objects":
        yield from iter_objects(handle, max_row_bytes)
    else:
        yield from _cut_list(path, handle, layout, max_row_bytes)


def _cut_list(
    path: Path, handle: BufferedReader, layout: Layout, max_row_bytes: int
) -> Iterator[tuple[int, bytes | RowFault]]:
    first_line = 1 + handle.read(layout.offset).count(b"\n")
    for key in layout.before:
        yield first_line, RowFault("unread_part", f"the key {key[:40]!r} of the file is not read")
    for number, record in iter_elements(handle, max_row_bytes, first_line):
        _refuse_second_list(path, layout.key, record)
        yield number, record


def _refuse_second_list(path: Path, key: str, record: bytes | RowFault) -> None:
    if isinstance(record, RowFault) and record.key in LIST_KEYS:
        raise DataError(f"{path}: holds the lists '{key}' and '{record.key}'", "save each split as a file of its own")


def find_layout(head: bytes, *, is_whole: bool) -> Layout:
    """Tell the layout from the start of a file.

    Args:
        head: Its first bytes.
        is_whole: Whether they are the whole file.

    >>> find_layout(b'{"a": 1}', is_whole=True).kind, find_layout(b'{"data": [{"a": 1}]}', is_whole=True)[:3]
    ('lines', ('list', 9, 'data'))
    >>> find_layout(b'[1, 2]', is_whole=True).kind, find_layout(b'{ "a": 1 }', is_whole=True).kind
    ('array', 'lines')
    """
    # Structure is ASCII: reading it needs no right decoding, and one byte stays one character.
    text = head.decode("latin-1")
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    while start < len(text) and text[start] in _BLANK:
        start += 1
    line, _, rest = text[start:].partition("\n")
    # A first line that is a value of its own, with another behind it: one value a line.
    is_lines = rest.lstrip(_BLANK)[:1] in {"{", "["} and _is_value(line)
    if line.startswith("["):
        are_arrays = rest.lstrip(_BLANK).startswith("[") and line[1:].lstrip(_BLANK).startswith("{")
        return Layout("lines" if is_lines and not are_arrays else "array")
    if is_lines or not line.startswith("{"):
        return Layout("lines")
    layout = _find_list(text, start, is_whole=is_whole)
    if layout is not None:
        return layout
    if _is_value(line) or not _is_open(line, text[start:], is_whole=is_whole):
        return Layout("lines")
    return Layout("objects")


def _is_value(text: str) -> bool:
    try:
        _DECODER.decode(text.strip(_BLANK))
    except (ValueError, RecursionError):
        return False
    return True


def _is_open(line: str, text: str, *, is_whole: bool) -> bool:
    """Whether an object goes on behind its first line: it decodes whole, or the line ends where a value must follow."""
    try:
        _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return line.rstrip().endswith(("{", "[", ",", ":")) and not (is_whole and text.count("\n") == 0)
    return True


def _find_list(text: str, start: int, *, is_whole: bool) -> Layout | None:
    """Find the list under a known key of an object, or ``None`` where there is none in the text."""
    position = start + 1
    before: list[str] = []
    while True:
        try:
            position = _skip(text, position)
            key, position = _DECODER.raw_decode(text, position)
            position = _skip(text, position)
            if not isinstance(key, str) or text[position] != ":":
                return None
            position = _skip(text, position + 1)
            if key in LIST_KEYS and text[position] == "[" and _holds_objects(text, position, is_whole=is_whole):
                return Layout("list", position, key, tuple(before))
            before.append(key)
            _, position = _DECODER.raw_decode(text, position)
            position = _skip(text, position)
            if text[position] != ",":
                return None
            position += 1
        except (ValueError, IndexError, RecursionError):
            return None


def _holds_objects(text: str, position: int, *, is_whole: bool) -> bool:
    """Whether a list begins with an object that is a row, not a turn of a dialogue."""
    inner = _skip(text, position + 1)
    if text[inner] != "{":
        return False
    try:
        first, _ = _DECODER.raw_decode(text, inner)
    except ValueError:
        return not is_whole
    return not {"role", "from"} & set(first)


def _skip(text: str, position: int) -> int:
    while text[position] in _BLANK:
        position += 1
    return position
