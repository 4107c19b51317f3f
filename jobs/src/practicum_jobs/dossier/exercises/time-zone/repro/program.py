"""Run ids of the runs in rows.jsonl, whose clocks show local time, in the order in which they were started."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from practicum_core.layout import build_run_id


def read_starts() -> list[tuple[str, dt.datetime]]:
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    starts = [(row["id"], dt.datetime.fromisoformat(row["started"])) for row in rows]
    return sorted(starts, key=lambda start: start[1])


def name_runs(starts: list[tuple[str, dt.datetime]]) -> list[str]:
    return [build_run_id(start, bytes(3)) for _, start in starts]


if __name__ == "__main__":
    names = name_runs(read_starts())
    if names != sorted(names):
        raise AssertionError("the run ids do not sort by the time of their start")
