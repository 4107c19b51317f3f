"""The history database: opening, migrating and locking it.

SQLite (a file, for one replica's volume) and PostgreSQL behave the same to the caller: a write is on disk when its
block ends, two writers never fail for each other, and a fault is a :class:`PlatformError` without any credential.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.pool import ConnectionPoolEntry

from practicum_core.errors import ConfigError, PlatformError, Reason

MIGRATIONS = Path(__file__).parent / "migrations"
DRIVERS = {"sqlite": "sqlite", "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
"""Scheme of a database URL as people write it -> dialect and driver."""
SQLITE_BUSY_TIMEOUT_S = 30
POOL_SIZE = 8
FAULTS = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError, sa.exc.TimeoutError)
"""What a database that is away, full or read-only raises; a wrong statement is a fault of the code and stays itself."""
MIGRATION_LOCK = 7_243_011
"""Key of the PostgreSQL advisory lock under which one replica at a time changes tables."""


def parse_url(text: str) -> sa.URL:
    """Return the URL with the driver that this version brings.

    >>> parse_url("postgresql://user@db/practicum").drivername
    'postgresql+psycopg'
    >>> parse_url("sqlite:////data/history.db").database
    '/data/history.db'

    Raises:
        ConfigError: It is no URL, or of another database; the text is not repeated, since it may hold a password.
    """
    fix = "give sqlite:////PATH/history.db or postgresql://USER:PASSWORD@HOST:PORT/NAME"
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError("the database URL cannot be read", fix) from None
    driver = DRIVERS.get(url.drivername.partition("+")[0])
    if driver is None:
        raise ConfigError(f"{url.drivername} is not a database that the history can be kept in", fix)
    if driver == "sqlite" and url.database in {None, "", ":memory:"}:
        raise ConfigError("the database URL names no file: the history would be lost at the next start", fix)
    return url.set(drivername=driver)


class Database:
    """An open database with the newest tables.

    Args:
        text: URL as people write it.
        revision: Revision to bring the tables to; the newest unless a test asks for an older one.

    Raises:
        ConfigError: The URL is wrong, or a newer version wrote the database.
        PlatformError: The database cannot be reached or written.
    """

    def __init__(self, text: str, revision: str = "head") -> None:
        url = parse_url(text)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._writing = threading.Lock()
        with self._translate():
            self._engine = _open_sqlite(url) if self.is_sqlite else _open_postgresql(url)
            try:
                with self.write() as connection:
                    _upgrade(connection, revision)
            except BaseException:
                self._engine.dispose()
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection on one consistent state of the database."""
        with self._translate(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection whose changes are on disk when the block ends, or not at all.

        SQLite has one writer: threads of this process take turns here instead of polling for its lock.
        """
        turn = self._writing if self.is_sqlite else contextlib.nullcontext()
        with self._translate(), turn, self._engine.execution_options(practicum_write=True).begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
        except (*FAULTS, OSError) as error:
            raise _describe_fault(error) from None


def _describe_fault(error: Exception) -> PlatformError:
    """Name a database's fault. A driver's message can hold parameters, so only its first line is passed on."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    line = (str(cause).splitlines() or [""])[0][:300]
    detail = f"the history's database: {type(cause).__name__}: {line}"
    if isinstance(cause, OSError) or "readonly" in line or "unable to open" in line:
        return PlatformError(Reason.PERMISSION_DENIED, detail, "make the volume of the history writable for the user")
    if "disk is full" in line or "No space left" in line:
        return PlatformError(Reason.DISK_FULL, detail, "enlarge the volume of the history")
    return PlatformError(Reason.UPSTREAM_UNAVAILABLE, detail, "see that the database runs and that its URL is right")


def _open_postgresql(url: sa.URL) -> sa.Engine:
    # pre_ping: a restarted server costs one round trip instead of one failed report.
    options = {"connect_timeout": 10, "application_name": "practicum-controller"}
    return sa.create_engine(url, pool_size=POOL_SIZE, pool_pre_ping=True, connect_args=options)


def _open_sqlite(url: sa.URL) -> sa.Engine:
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    options = {"timeout": SQLITE_BUSY_TIMEOUT_S, "check_same_thread": False}
    engine = sa.create_engine(url, pool_size=POOL_SIZE, connect_args=options)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sa.engine.interfaces.DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        del entry
        # Left to itself Python's sqlite3 begins late and in its own way; with None the listener below begins.
        connection.isolation_level = None
        cursor = connection.cursor()
        _switch_to_wal(cursor)
        # FULL: in WAL mode NORMAL may lose the last commits when the power fails, and a report was answered by then.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # IMMEDIATE: a transaction that reads and then writes would fail at once where another one wrote in between.
        is_write = connection.get_execution_options().get("practicum_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")

    return engine


def _switch_to_wal(cursor: sa.engine.interfaces.DBAPICursor) -> None:
    """Let readers go on beside the writer. Of several who open a new file at once SQLite refuses all but one.

    That refusal comes at once, whatever the busy timeout is: waiting there could be a deadlock for SQLite.
    """
    deadline = time.monotonic() + SQLITE_BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def build_script_directory() -> ScriptDirectory:
    """Return the packaged revisions."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def _upgrade(connection: sa.Connection, revision: str) -> None:
    """Bring the tables to ``revision`` within the caller's transaction, one replica at a time.

    Raises:
        ConfigError: The tables are of a revision that this version does not know.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
    scripts = build_script_directory()
    context = MigrationContext.configure(
        connection,
        opts={"fn": lambda current, _: scripts._upgrade_revs(revision, current)},  # noqa: SLF001 - as its manual shows
    )
    try:
        with Operations.context(context):
            context.run_migrations()
    except CommandError as error:
        raise ConfigError(
            f"the history's tables are of a newer version: {error}",
            "install that version again, or restore the history from before its upgrade",
        ) from None
