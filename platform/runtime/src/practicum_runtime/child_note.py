"""The file ``child.json`` of a step: which process works on it, or worked on it last."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass

from practicum_core.atomic import write_json_atomic
from practicum_core.layout import StageLayout
from practicum_runtime.process_tree import get_creation_time


@dataclass(frozen=True)
class ChildNote:
    """What ``child.json`` says. ``created_s`` tells the process from a later one with the same id."""

    pid: int
    created_s: float
    attempt: int
    started_at: str


def read_child_note(layout: StageLayout) -> ChildNote | None:
    """Read which process worked on a step last; ``None`` where none was noted."""
    try:
        return ChildNote(**json.loads(layout.child.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_child_note(layout: StageLayout, pid: int, attempt: int) -> None:
    """Note the process that works on a step now.

    Raises:
        PlatformError: The file cannot be written.
    """
    started_at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    write_json_atomic(layout.child, asdict(ChildNote(pid, get_creation_time(pid), attempt, started_at)))
