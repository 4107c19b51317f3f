"""A loader with a worker thread: the worker cuts rows into parts, the loader takes them from a queue."""

from __future__ import annotations

import queue
import threading

PATIENCE_S = 0.5
"""A row is cut in microseconds: who waits longer waits for somebody who waits for him."""


def put_parts(
    row: dict, part_words: int, places: queue.Queue, is_done: threading.Event, is_over: threading.Event
) -> None:
    words = row["text"].split()
    for start in range(0, len(words), part_words):
        while not is_over.is_set():
            try:
                places.put(words[start : start + part_words], timeout=0.01)
                break
            except queue.Full:
                continue
    is_done.set()


def load(rows: list[dict], config: dict) -> list[list[str]]:
    """Return the parts of all rows, in order."""
    parts: list[list[str]] = []
    for row in rows:
        places: queue.Queue = queue.Queue(maxsize=config["queue_size"])
        is_done, is_over = threading.Event(), threading.Event()
        worker = threading.Thread(target=put_parts, args=(row, config["part_words"], places, is_done, is_over))
        worker.start()
        if not is_done.wait(PATIENCE_S):
            is_over.set()
            worker.join()
            raise TimeoutError("loader and worker wait for each other")
        worker.join()
        while not places.empty():
            parts.append(places.get())
    return parts
