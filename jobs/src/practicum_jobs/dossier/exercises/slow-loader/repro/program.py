"""Three epochs; tokens are made once for each row, or the loader is slow."""

from __future__ import annotations

import json
from pathlib import Path

from loader import Loader

if __name__ == "__main__":
    made = Loader([json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()])
    for epoch in range(3):
        for _ in made.iterate(epoch):
            pass
    if made.num_encoded > len(made.rows):
        raise AssertionError("rows were encoded again in a later epoch")
