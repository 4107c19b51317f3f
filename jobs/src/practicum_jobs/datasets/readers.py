"""Decides how rows are read from files: which formats there are and what is wrong with a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DefectKind = Literal["broken_json", "invalid_utf8", "missing_column", "wrong_type", "row_too_long"]


@dataclass(frozen=True, slots=True)
class Defect:
    """A place of a file from which no row could be read; reading goes on behind it."""

    file: Path
    line: int
    """Line of a text file, or number of the row, from 1."""
    kind: DefectKind
    detail: str
