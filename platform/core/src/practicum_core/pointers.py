"""Named pointers to runs, such as ``best`` or ``served``, and the journal of their moves.

A pointer is ``<experiments>/pointers/NAME.json``; every move is one line of ``pointers.jsonl`` beside it, appended
before the pointer moves and never rewritten. Whether a run may be pointed to is the caller's to check.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from practicum_core.atomic import append_json_line, explain_os_errors, write_json_atomic
from practicum_core.errors import ConfigError, DataError, PlatformError, Reason, suggest_similar
from practicum_core.file_lock import lock_within
from practicum_core.json_files import read_json_lines
from practicum_core.layout import is_run_id, is_safe_name

FOLDER = "pointers"
_LOCK_WAIT_S = 5.0
"""A move takes milliseconds; several at once take turns."""


@dataclass(frozen=True)
class Move:
    """One audit line. ``before`` is empty for a pointer's first move."""

    time: str
    name: str
    action: str
    before: str
    after: str
    who: str
    why: str


class Pointers:
    """The pointers of one folder of runs."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        self._journal = self._folder / "pointers.jsonl"

    def list_names(self) -> list[str]:
        """List the pointers that exist."""
        return sorted(path.stem for path in self._folder.glob("*.json")) if self._folder.is_dir() else []

    def read(self, name: str) -> str:
        """Return the run that a pointer leads to, as ``UNIT/ID``.

        Raises:
            ConfigError: There is no such pointer.
            DataError: Its file is broken.
        """
        check_name(name)
        path = self._folder / f"{name}.json"
        try:
            run = str(json.loads(path.read_text(encoding="utf-8"))["run"])
        except FileNotFoundError as error:
            raise ConfigError(
                f"no pointer '{name}'{suggest_similar(name, self.list_names())}",
                f"set it with: practicum pointer set {name} RUN",
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}: not a whole pointer", f"set it again: practicum pointer set {name} RUN"
            ) from error
        unit, _, run_id = run.partition("/")
        if not (is_safe_name(unit) and is_run_id(run_id)):
            raise DataError(f"{path}: {run!r} names no run", f"set it again: practicum pointer set {name} RUN")
        return run

    def set(self, name: str, run: str, why: str) -> Move:
        """Move a pointer to a run.

        Args:
            name: The pointer.
            run: The run as UNIT/RUN_ID.
            why: Kept in the audit line.

        Raises:
            ConfigError: The name is none of a pointer.
        """
        check_name(name)
        with self._hold():
            self._finish_cut_off_move(name)
            return self._move("set", name, run, why)

    def rollback(self, name: str, why: str, check: Callable[[str], None]) -> Move:
        """Move a pointer back to where it was before its last move; again, and it goes one further back.

        Args:
            name: The pointer.
            why: Kept in the audit line.
            check: Asked whether the run that it leads back to may be pointed to; what it raises keeps the pointer.

        Raises:
            ConfigError: There is no such pointer, or it has never been elsewhere.
        """
        with self._hold():
            self._finish_cut_off_move(name)
            self.read(name)
            trail = self._rebuild_trail(name)
            if len(trail) < 2:  # noqa: PLR2004 - the present place and one before it
                raise ConfigError(f"pointer '{name}' has no earlier run", "set it to another run instead")
            check(trail[-2])
            return self._move("rollback", name, trail[-2], why)

    def read_moves(self, name: str) -> list[Move]:
        """Return every move of a pointer, oldest first."""
        moves = [_parse_move(document) for document in read_json_lines(self._journal)]
        return [move for move in moves if move is not None and move.name == name]

    def _finish_cut_off_move(self, name: str) -> None:
        """Bring the pointer to where its last audit line says, should a move have been cut off between the two."""
        moves = self.read_moves(name)
        if moves and self._find(name) != moves[-1].after:
            self._write(name, moves[-1].after, moves[-1].time)

    def _find(self, name: str) -> str:
        """Return where the pointer leads; empty where it has no file, or none that is whole."""
        try:
            return self.read(name)
        except (ConfigError, DataError):
            return ""

    def _write(self, name: str, run: str, time: str) -> None:
        write_json_atomic(self._folder / f"{name}.json", {"name": name, "run": run, "moved_at": time})

    def _rebuild_trail(self, name: str) -> list[str]:
        trail: list[str] = []
        for move in self.read_moves(name):
            if move.action == "rollback":
                del trail[-1:]
            else:
                trail.append(move.after)
        return trail

    def _move(self, action: str, name: str, after: str, why: str) -> Move:
        before = self._find(name)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        move = Move(now, name, action, before, after, _get_user(), why)
        append_json_line(self._journal, asdict(move))
        self._write(name, after, now)
        return move

    @contextlib.contextmanager
    def _hold(self) -> Iterator[None]:
        path = self._folder / ".lock"
        with explain_os_errors(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        with handle:
            if not lock_within(handle.fileno(), _LOCK_WAIT_S):
                raise PlatformError(Reason.RUN_BUSY, f"{path}: another command moves a pointer", "try again")
            yield


def check_name(name: str) -> None:
    """Refuse what no pointer can be called.

    Raises:
        ConfigError: The name is such a one.
    """
    if not is_safe_name(name):
        raise ConfigError(
            f"'{name}' is no pointer name", "use lower-case letters, digits, dots and dashes, such as best or served"
        )


def _parse_move(document: dict[str, Any]) -> Move | None:
    try:
        return Move(**document)
    except TypeError:
        return None


def _get_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
