"""One epoch over the rows."""

from __future__ import annotations

import json
from pathlib import Path

import loader
import yaml

if __name__ == "__main__":
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()]
    loader.load(rows, yaml.safe_load(Path("config.yaml").read_text()))
