"""A private PostgreSQL on loopback, made in a temporary folder and removed with it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lacks import skip_lacking

START_TIMEOUT_S = 60


def find_postgres() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, or None where there is none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if folders:
        return folders[-1].parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None


def require_postgres() -> Path:
    """Return the folder of its programs, or skip the test."""
    found = find_postgres()
    if found is None:
        skip_lacking("PostgreSQL (Debian's package postgresql)", "postgres")
    return found


def find_user() -> str | None:
    """Return the user to run as: PostgreSQL refuses root. None means this one."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def find_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def run_postgres(programs: Path) -> Iterator[str]:
    """Yield the URL of a running server's empty database server; its folder is removed afterwards."""
    user = find_user()
    folder = Path(tempfile.mkdtemp(prefix="practicum-postgres-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        # `trust` on loopback alone, in a folder of its own: nothing to guess, nothing to leak.
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "practicum", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=True, capture_output=True, user=user, cwd=folder, timeout=START_TIMEOUT_S,
        )  # fmt: skip
        yield from _serve(programs, folder, data, user)
    finally:
        shutil.rmtree(folder)


def _serve(programs: Path, folder: Path, data: Path, user: str | None) -> Iterator[str]:
    port = find_port()
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    flags = [f"--{name}={value}" for name, value in options.items()]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *flags], stdout=log, stderr=log, user=user, cwd=folder
        )
    try:
        _wait(programs, port, server, folder / "log")
        yield f"postgresql://practicum@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)  # fast shutdown: ends sessions, leaves no process
        server.wait(timeout=START_TIMEOUT_S)


def _wait(programs: Path, port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    command = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + START_TIMEOUT_S
    while subprocess.run(command, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
        time.sleep(0.1)
