"""A loader with a worker thread: the worker cuts rows into parts, the loader takes them from a queue."""

from __future__ import annotations

import queue
import threading


def put_parts(row: dict, part_words: int, places: queue.Queue) -> None:
    words = row["text"].split()
    for start in range(0, len(words), part_words):
        places.put(words[start : start + part_words])
    places.put(None)  # the end of the row


def load(rows: list[dict], config: dict) -> list[list[str]]:
    """Return the parts of all rows, in order; each part is taken as soon as it is there."""
    parts: list[list[str]] = []
    for row in rows:
        places: queue.Queue = queue.Queue(maxsize=config["queue_size"])
        worker = threading.Thread(target=put_parts, args=(row, config["part_words"], places))
        worker.start()
        while (part := places.get()) is not None:
            parts.append(part)
        worker.join()
    return parts
