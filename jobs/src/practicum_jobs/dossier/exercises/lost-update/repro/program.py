"""Two moves of one pointer; the second begins while the first is between its journal and its file."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from practicum_core.pointers import Pointers

FIRST, SECOND = "sft/20260102t030405-00000a", "sft/20260102t030405-00000b"


class SlowPointers(Pointers):
    """Waits, between the journal and the file of a move, for another move that may have begun."""

    other_ended = threading.Event()
    has_journal = threading.Event()

    def _write(self, name: str, run: str, time: str) -> None:
        self.has_journal.set()
        self.other_ended.wait(0.3)
        super()._write(name, run, time)


def move_both(folder: Path) -> tuple[str, str]:
    """Move the pointer twice; return where it leads, and where its journal says."""
    slow = SlowPointers(folder)
    first = threading.Thread(target=slow.set, args=("served", FIRST, "first"))
    first.start()
    slow.has_journal.wait(5)
    Pointers(folder).set("served", SECOND, "second")
    slow.other_ended.set()
    first.join()
    lines = (folder / "pointers" / "pointers.jsonl").read_text().splitlines()
    return Pointers(folder).read("served"), json.loads(lines[-1])["after"]


if __name__ == "__main__":
    leads_to, journal = move_both(Path("runs"))
    if leads_to != journal:
        raise AssertionError("the pointer leads elsewhere than its journal says")
