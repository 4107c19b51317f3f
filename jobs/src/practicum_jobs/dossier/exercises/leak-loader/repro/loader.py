"""The loader: which rows are trained on, and which are the test."""

from __future__ import annotations

import zlib

NUM_PARTS, TEST_PARTS = 10, 3


def split(rows: list[dict]) -> dict[str, list[dict]]:
    """Split rows into train and test; all versions of a ticket lie in one split."""
    splits: dict[str, list[dict]] = {"train": [], "test": []}
    for row in rows:
        part = zlib.crc32(row["ticket"].encode()) % NUM_PARTS
        splits["test" if part < TEST_PARTS else "train"].append(row)
    return splits
