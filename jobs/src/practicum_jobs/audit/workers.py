"""Batches analysed on several cores: in order, a few at a time, so that memory stays bounded.

Workers come from a fork server that has used no native thread pool: a process that has (rensa and tokenizers keep
one) must not be forked, its children would wait for threads that they do not have.
"""

from __future__ import annotations

import contextlib
import functools
import gc
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
from practicum_jobs.audit.analysis import Analyser, BatchFacts, HeldOut, Shared
from practicum_jobs.datasets.readers import Piece

Item = TypeVar("Item")
Result = TypeVar("Result")
Batch = list[Piece]
BATCHES_AHEAD = 2
"""Batches that wait per worker."""
GARBAGE_THRESHOLD = 100_000
"""Objects after which a worker looks for cycles: rows have none, and looking through a batch costs 8 % of its time."""


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
        self.shared = Shared()
        self._shared_file: Path | None = None

    def prepare(self, batches: Iterable[Batch]) -> Iterator[HeldOut]:
        """Hash batches of evaluation rows, in order."""
        return self._map(_prepare, self._analyser.prepare, batches)

    def share(self, shared: Shared, folder: Path) -> None:
        """Let :meth:`analyse` use what ``shared`` holds; it reaches the workers by a file in ``folder``."""
        self.shared = shared
        if self._pool is not None:
            number = int(self._shared_file.stem) + 1 if self._shared_file else 0
            self._shared_file = folder / f"{number}.pickle"
            self._shared_file.write_bytes(pickle.dumps(shared, protocol=pickle.HIGHEST_PROTOCOL))

    def analyse(self, batches: Iterable[Batch]) -> Iterator[BatchFacts]:
        """Read batches and compute their facts, in order."""
        shared = self.shared
        remote = functools.partial(_analyse, self._shared_file)
        return self._map(remote, lambda batch: self._analyser.analyse(batch, shared), batches)

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
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    _adopted.append(analyser)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare(batch: Batch) -> HeldOut:
    return _adopted[0].prepare(batch)


def _analyse(shared_file: Path | None, batch: Batch) -> BatchFacts:
    shared = _load_shared(shared_file) if shared_file else Shared()
    return _adopted[0].analyse(batch, shared)


@functools.lru_cache(maxsize=1)
def _load_shared(path: Path) -> Shared:
    shared = pickle.loads(path.read_bytes())  # noqa: S301 - written by this stage into its own temporary folder
    if not isinstance(shared, Shared):
        raise TypeError(f"{path}: not what workers share")
    return shared
