"""The columns of one record: which are read, and which are left over for a finding.

A reader asks :class:`Columns` for each column by name. Whatever nobody asked for, and has a value, is unread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from practicum_core.errors import suggest_similar

DefectKind = Literal[
    "broken_json",
    "broken_csv",
    "duplicate_key",
    "invalid_utf8",
    "missing_column",
    "wrong_type",
    "row_too_long",
    "unread_part",
]
Record = Mapping[str, Any]
_EMPTY: tuple[object, ...] = (None, "", [], {})


class RowFault(Exception):  # noqa: N818 - a finding about one row, turned into a Defect by the reader
    """Why a record is no row. ``key`` names the part of a file that it is about, where it is about one."""

    def __init__(self, kind: DefectKind, detail: str, key: str = "") -> None:
        super().__init__(detail)
        self.kind: DefectKind = kind
        self.detail = detail
        self.key = key


class Columns:
    """A record whose columns are taken one by one. A column whose value is null is no column."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self._taken: set[str] = set()
        self._parts: set[str] = set()

    def take(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return a column's value and count it as read; ``None`` where there is none."""
        self._taken.add(name)
        return self.record.get(name)

    def take_one(self, names: Iterable[str]) -> tuple[str, Any] | None:
        """Take the first of these columns that has a value, else the first that is merely not null."""
        first = None
        for name in names:
            value = self.record.get(name)
            if value:
                first = name
                break
            if value is not None and first is None:
                first = name
        return None if first is None else (first, self.take(first))

    def require(self, name: str) -> object:
        """Take a column that must have a value.

        Raises:
            RowFault: It is missing or null.
        """
        value = self.take(name)
        if value is None:
            state = "is empty" if name in self.record else f"is missing, has {list_columns(self.record, (name,))}"
            raise RowFault("missing_column", f"column '{name}' {state}")
        return value

    def take_text(self, name: str) -> str:
        """Take a column that must be text.

        Raises:
            RowFault: It is missing, null, or no text.
        """
        return check_text(self.require(name), name)

    def note_part(self, name: str) -> None:
        """Note a part of a column that is not read, such as ``messages[].weight``."""
        self._parts.add(name)

    def list_unread(self) -> tuple[str, ...]:
        """Return the columns with a value that nobody took, and the parts that were noted; sorted."""
        left = [
            str(name)[:80] for name, value in self.record.items() if name not in self._taken and value not in _EMPTY
        ]
        return tuple(sorted({*left, *self._parts})) if left or self._parts else ()


def check_text(value: object, column: str) -> str:
    """Return a value that is text.

    Raises:
        RowFault: It is not.
    """
    if not isinstance(value, str):
        raise RowFault("wrong_type", f"column '{column}' must be text, got {name_type(value)}")
    return value


def has_value(record: Record, name: str) -> bool:
    """Whether a column is there and is neither null, nor empty text, nor an empty list.

    >>> has_value({"a": "", "b": 0}, "a"), has_value({"a": "", "b": 0}, "b")
    (False, True)
    """
    return record.get(name) not in _EMPTY


def list_columns(record: Record, known: Iterable[str]) -> str:
    """Name the columns that are there, and the closest one to what is wanted."""
    columns = [str(column)[:40] for column in list(record)[:12]]
    hints = (suggest_similar(column, known) for column in columns)
    return (", ".join(columns) or "none") + next((hint for hint in hints if hint), "")


def name_type(value: object) -> str:
    """Say in words what kind of value this is.

    >>> name_type(True), name_type([]), name_type(None)
    ('true or false', 'a list', 'nothing')
    """
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
