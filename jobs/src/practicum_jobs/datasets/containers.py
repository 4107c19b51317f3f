"""A data file opened by what it holds, not by its name alone: compression, encoding, and foreign kinds refused.

Gives a stream of UTF-8 bytes for text files. What is plainly something else (a Git LFS pointer, a web page, an
archive) is refused with the one hint that fits.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from practicum_core.data_formats import COMPRESSIONS, SUFFIXES, TEXT_SUFFIXES, get_suffix
from practicum_core.errors import ConfigError, DataError, suggest_similar

HEAD_BYTES = 1 << 16
_MAGIC_BYTES = 32
Kind = Literal["json", "csv", "parquet", "arrow"]

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_KINDS: dict[str, Kind] = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".arrow": "arrow"}
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks with the encodings that they name: the longer first, since one begins like another."""
_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "fetch the file itself: git lfs pull"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "unpack it, or save the sheet as CSV"),
    (b"BZh", "compressed by bzip2", "unpack it: bunzip2"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it: unxz"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"<!doctype html", "a web page, not the data", "download the file itself, not the page about it"),
    (b"<html", "a web page, not the data", "download the file itself, not the page about it"),
    (b"\x80\x04", "a pickle, which can hold code and is not read", "save the data as JSON lines or Parquet"),
)
_RAW_BYTE = "\udc80"
"""Stands for a byte that an encoding has no character for: it becomes a byte that is not UTF-8, a fault of its row."""
_WIDE_RATIO = 0.2
"""Share of zeros among every other byte, from which a text is UTF-16; UTF-8 has none."""


def _keep_fault(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _RAW_BYTE, error.end


codecs.register_error("practicum.fault", _keep_fault)


def get_kind(path: Path) -> Kind:
    """Tell by name, and by the first bytes of a file whose name says JSON, what it holds.

    Raises:
        DataError: The name says nothing that is known.
    """
    suffix = get_suffix(path.name)
    if suffix not in SUFFIXES:
        hint = suggest_similar(suffix, SUFFIXES)
        raise DataError(f"{path}: unknown kind of file{hint}", f"known: {', '.join(SUFFIXES)}; text also .gz and .zst")
    with path.open("rb") as handle:
        head = handle.read(_MAGIC_BYTES)
    if head.startswith(b"PAR1"):
        return "parquet"
    kind: Kind = "arrow" if head.startswith(b"ARROW1") else _KINDS.get(suffix, "json")
    if kind in {"parquet", "arrow"}:
        _refuse_foreign(path, head)
    return kind


def check_encoding(name: str) -> str:
    """Return the usual name of a text encoding.

    Raises:
        ConfigError: No such encoding.
    """
    try:
        encoding = codecs.lookup(name).name
        "".encode(encoding)
    except (LookupError, ValueError) as error:
        raise ConfigError(f"unknown encoding '{name}'", "give one such as utf-8, gbk, gb18030, big5, utf-16") from error
    return encoding


@contextlib.contextmanager
def open_text(path: Path, encoding: str = "") -> Iterator[io.BufferedReader[Any]]:
    """Open a text file as a stream of UTF-8 bytes, read once from its start, which may be peeked at.

    Args:
        path: May be compressed, whatever its name.
        encoding: Of the text; empty means UTF-8, or UTF-16 or UTF-32 where a byte order mark says so. A byte that it
            has no character for is a fault of its row alone.

    Raises:
        DataError: The file is of a foreign kind, or (while it is read) its compression is damaged.
    """
    with path.open("rb", buffering=0) as raw, io.BufferedReader(_open_plain(path, raw), HEAD_BYTES) as stream:
        head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
        other = encoding if encoding not in ("", "utf-8") else _read_mark(head)
        if other:
            text = io.TextIOWrapper(stream, other, errors="practicum.fault", newline="")
            recoded = io.BufferedReader(_Recoded(text), HEAD_BYTES)
            yield recoded
        else:
            _refuse_foreign(path, head)
            yield stream


def _read_mark(head: bytes) -> str:
    """Return the encoding that a byte order mark names; empty for UTF-8.

    >>> _read_mark("a".encode("utf-16")), _read_mark("a".encode("utf-32")), _read_mark("a".encode("utf-8-sig"))
    ('utf-16', 'utf-32', '')
    """
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), "")


def _open_plain(path: Path, raw: io.FileIO) -> io.RawIOBase:
    head = raw.read(len(_ZSTD))
    raw.seek(0)
    if head.startswith(_GZIP):
        return _Decompressed(path, gzip.GzipFile(fileobj=raw).read)
    if head == _ZSTD:
        import pyarrow as pa  # noqa: PLC0415 - 0.2 s, for compressed files only

        return _Decompressed(path, pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd").read)
    if path.name.lower().endswith(COMPRESSIONS) and head:
        raise DataError(
            f"{path}: not compressed as its name says", "remove the ending of its name, or download it again"
        )
    return raw


class _Decompressed(io.RawIOBase):
    """What a decompressor gives, as a raw stream."""

    def __init__(self, path: Path, read: Callable[[int], bytes]) -> None:
        self._path = path
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            part = self._read(len(buffer))
        except (EOFError, OSError, ValueError, zlib.error) as error:
            detail = str(error).partition("\n")[0]
            raise DataError(f"{self._path}: the compressed file is damaged ({detail})", "download it again") from error
        buffer[: len(part)] = part
        return len(part)


class _Recoded(io.RawIOBase):
    """A text, encoded anew as UTF-8."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._left:
            self._left = self._text.read(HEAD_BYTES).encode("utf-8", "surrogateescape")
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _refuse_foreign(path: Path, head: bytes) -> None:
    start = head.lstrip()[:_MAGIC_BYTES].lower()
    for magic, what, fix in _FOREIGN:
        if start.startswith(magic.lower()):
            raise DataError(f"{path}: {what}", fix)
    wide = _find_wide(head) if get_suffix(path.name) in TEXT_SUFFIXES else ""
    if wide:
        raise DataError(f"{path}: every other byte is zero, as in UTF-16", f"tell the audit: --encoding {wide}")


def _find_wide(head: bytes) -> str:
    """Return the UTF-16 that a text without a mark is in: of the two bytes of an ASCII character one is zero.

    >>> _find_wide("[1]".encode("utf-16-le")), _find_wide("[1]".encode("utf-16-be")), _find_wide(b"[1]")
    ('utf-16-le', 'utf-16-be', '')
    """
    first, second = (head[start::2].count(0) / max(len(head) // 2, 1) for start in (0, 1))
    if max(first, second) <= _WIDE_RATIO or min(first, second) >= _WIDE_RATIO / 10:
        return ""
    return "utf-16-be" if first > second else "utf-16-le"
