"""The platform's search for leakage, on the splits of the loader."""

from __future__ import annotations

import json
from pathlib import Path

import loader

from practicum_jobs.text.overlap import find_overlap


def has_leaks(rows: list[dict]) -> bool:
    """Whether test rows overlap with training rows."""
    splits = {name: [(row["id"], row["text"]) for row in some] for name, some in loader.split(rows).items()}
    return not find_overlap(splits["train"], splits["test"]).is_empty


if __name__ == "__main__":
    if has_leaks([json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]):
        raise ValueError("test rows are in the training data")
