"""Decides how batches are analysed on several cores: in order, a few at a time, so that memory stays bounded.

Workers come from a fork server that has used no native thread pool: a process that has (rensa and tokenizers keep
one) must not be forked, its children would wait for threads that they do not have.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import pickle
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from practicum_core.errors import PlatformError, Reason
from practicum_jobs.audit.analysis import Analyser, BatchFacts
from practicum_jobs.audit.content import Content
from practicum_jobs.text.overlap import OverlapIndex, Prepared

Item = TypeVar("Item")
Result = TypeVar("Result")
Batch = list[Content]
BATCHES_AHEAD = 2
"""Batches that wait per worker."""


class Workers:
    """Runs an analyser over streams of batches, here or in worker processes.

    Args:
        analyser: Travels to the workers.
        pool: The workers; ``None`` runs everything in this process.
        num_ahead: Batches that may wait.
    """

    def __init__(self, analyser: Analyser, pool: ProcessPoolExecutor | None, num_ahead: int) -> None:
        self._analyser = analyser
        self._pool = pool
        self._num_ahead = num_ahead
        self._held_out: OverlapIndex | None = None
        self._held_out_file: Path | None = None

    def prepare(self, batches: Iterable[list[str]]) -> Iterator[Prepared]:
        """Hash batches of evaluation rows, in order."""
        return self._map(_prepare, self._analyser.prepare, batches)

    def set_held_out(self, index: OverlapIndex, folder: Path) -> None:
        """Let :meth:`analyse` match rows against ``index``, which reaches the workers by a file in ``folder``."""
        self._held_out = index
        if self._pool is not None:
            self._held_out_file = folder / "held-out.pickle"
            self._held_out_file.write_bytes(pickle.dumps(index, protocol=pickle.HIGHEST_PROTOCOL))

    def analyse(self, batches: Iterable[Batch]) -> Iterator[BatchFacts]:
        """Compute the facts of batches of rows, in order."""
        remote = functools.partial(_analyse, self._held_out_file)
        return self._map(remote, lambda batch: self._analyser.analyse(batch, self._held_out), batches)

    def _map(
        self, remote: Callable[[Item], Result], local: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Result]:
        if self._pool is None:
            yield from map(local, items)
            return
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(self._pool.submit(remote, item))
            if len(waiting) > self._num_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextlib.contextmanager
def open_workers(analyser: Analyser, num_workers: int) -> Iterator[tuple[Workers, Path]]:
    """Yield the workers and a temporary folder that lives as long as they do.

    Raises:
        PlatformError: A worker was killed, most likely for memory.
    """
    with tempfile.TemporaryDirectory(prefix="practicum-audit-") as folder:
        if num_workers <= 1:
            yield Workers(analyser, None, 0), Path(folder)
            return
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload([__name__])
        with ProcessPoolExecutor(num_workers, server, initializer=_adopt, initargs=(analyser,)) as pool:
            try:
                yield Workers(analyser, pool, BATCHES_AHEAD * num_workers), Path(folder)
            except BrokenProcessPool as error:
                raise PlatformError(
                    Reason.OUT_OF_MEMORY, "a worker of the audit was killed", "free memory, or use workers=1"
                ) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


_adopted: list[Analyser] = []
"""The worker's own analyser: one element in a worker process, none elsewhere."""


def _adopt(analyser: Analyser) -> None:
    """Begin a worker: cores are shared between processes, not threads, and no worker outlives the stage."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    _adopted.append(analyser)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare(dialogues: list[str]) -> Prepared:
    return _adopted[0].prepare(dialogues)


def _analyse(held_out: Path | None, batch: Batch) -> BatchFacts:
    return _adopted[0].analyse(batch, _load_index(held_out) if held_out else None)


@functools.lru_cache(maxsize=1)
def _load_index(path: Path) -> OverlapIndex:
    index = pickle.loads(path.read_bytes())  # noqa: S301 - written by this stage into its own temporary folder
    if not isinstance(index, OverlapIndex):
        raise TypeError(f"{path}: not an index")
    return index
