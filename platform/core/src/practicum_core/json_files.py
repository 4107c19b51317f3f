"""Reading of JSON files that another process writes, and that may be incomplete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json_or_empty(path: Path) -> dict[str, Any]:
    """Read a JSON mapping; empty if the file is missing, incomplete or not a mapping."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read the JSON mappings of a file, one per line. Truncated lines are skipped; a missing file has no lines.

    Only a line feed ends a line: a text may contain U+2028, at which ``str.splitlines`` would split.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [document for line in lines if (document := _parse_mapping(line)) is not None]


def _parse_mapping(line: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
