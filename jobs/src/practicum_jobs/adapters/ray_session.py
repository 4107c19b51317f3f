"""Ray sessions: a private one on this machine that leaves nothing behind, or a connection to a named cluster.

Each private session has its own folder, ports and token, so sessions on one machine do not see each other. The folder
is in the system's temporary folder because the path of a socket may have 107 characters at most.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from practicum_runtime.temporary_folder import require_temporary_folder

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.25",  # how soon a checkpoint counts and a lost worker is seen
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
_FOLDER_BYTES = 32 * 2**20
"""Sockets and logs of a session; with less Ray waits half a minute in vain and does not say for what."""
_OBJECT_STORE_BYTES = 96 * 2**20
"""Small, since rows are passed in files and the object store holds only the job's description."""


def is_cluster_named() -> bool:
    """Whether the environment names a Ray cluster to connect to, as KubeRay does."""
    return bool(os.environ.get("RAY_ADDRESS"))


@contextlib.contextmanager
def open_session(num_workers: int, num_threads: int) -> Iterator[None]:
    """Connect to the named cluster, or start a private session and end it with all its processes.

    A session that this process has open already is used and left open.

    Args:
        num_workers: Training workers; a private session has one CPU slot for each.
        num_threads: Threads of each worker.
    """
    _set_token()
    import ray  # noqa: PLC0415 - seconds; only where training starts, and after the token is set

    if ray.is_initialized():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with _set_environment(num_threads), _make_folder() as folder:
        try:
            _start(num_workers, folder)
            _restore(handlers)  # Ray puts its own in their place
            yield
        finally:
            ray.shutdown()
            _restore(handlers)


def _start(num_workers: int, folder: Path) -> None:
    import ray  # noqa: PLC0415 - as above

    if is_cluster_named():
        ray.init(log_to_driver=False, logging_level="ERROR", configure_logging=False)
        return
    ray.init(
        address="local",
        num_cpus=num_workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        configure_logging=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        _node_ip_address="127.0.0.1",
        _temp_dir=str(folder),
    )


def _set_token() -> None:
    """Give this process's sessions a token of their own: other users of the machine cannot reach them.

    Ray reads mode and token once, when it is first imported, so they stay set; a cluster brings its own.
    """
    if not is_cluster_named() and "ray" not in sys.modules and "RAY_AUTH_TOKEN" not in os.environ:
        os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})


@contextlib.contextmanager
def _set_environment(num_threads: int) -> Iterator[None]:
    """Set what Ray and its workers inherit, and take it back."""
    values = {**_QUIET, "OMP_NUM_THREADS": str(num_threads)}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _make_folder() -> Iterator[Path]:
    """Make the folder of a private session; on a named cluster, where nothing is put into it, any folder will do.

    Raises:
        PlatformError: The folder of temporary files has a long path, or no space.
    """
    if not is_cluster_named():
        require_temporary_folder(_FOLDER_BYTES)
    folder = Path(tempfile.mkdtemp(prefix="practicum-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    with contextlib.suppress(ValueError):  # not in the main thread: Ray set none either
        for number, handler in handlers.items():
            signal.signal(number, handler)
