"""The history keeps what it is told, once, in SQLite and in PostgreSQL, from every earlier revision on."""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from postgres_server import require_postgres, run_postgres
from practicum_controller.database import Database, build_script_directory, parse_url
from practicum_controller.eta import Wait
from practicum_controller.history import History, WeekJobEntry
from practicum_controller.ledger import AccountKey, Usage
from practicum_controller.tables import METADATA, UtcDateTime
from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.metrics import Metric
from practicum_core.reports import StepReport

NOW = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
REVISIONS = [script.revision for script in build_script_directory().walk_revisions()]


@pytest.fixture(scope="module")
def postgres_url():
    with run_postgres(require_postgres()) as url:
        yield url


@pytest.fixture(scope="module")
def database_numbers():
    return count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path, database_numbers):
    """URL of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a 100% folder/history.sqlite"
    server = request.getfixturevalue("postgres_url")
    name = f"history_{next(database_numbers)}"
    engine = sa.create_engine(parse_url(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.replace("/postgres", f"/{name}")


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def history(database):
    return History(database)


def build_report(**fields):
    return StepReport(**({"uid": "u1", "step": "sft", "attempt": 1, "outcome": "running", "progress": 0.5} | fields))


def build_usage(child_uid="c1", **fields):
    start = {"key": AccountKey(child_uid), "week_job_uid": "u1", "namespace": "student-01", "course": "llm"}
    return Usage(**(start | {"student": "student-01", "step": "sft", "gpus": 0.5, "started_at": NOW} | fields))


def build_entry(**fields):
    start = {"uid": "u1", "namespace": "student-01", "name": "week-03", "unit": "sft", "course": "llm"}
    return WeekJobEntry(**(start | {"student": "student-01", "phase": "Running", "created_at": NOW} | fields))


def load_reports(history):
    """Return the reports alone, without the times at which they came."""
    kept = history.load_reports()
    return {uid: {attempt: one.report for attempt, one in attempts.items()} for uid, attempts in kept.items()}


def read_tables(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        return context.get_current_revision(), compare_metadata(context, METADATA)


def test_migrations_make_the_tables_of_the_code(database):
    revision, differences = read_tables(database)
    assert (revision, differences) == (REVISIONS[0], [])


@pytest.mark.parametrize("revision", REVISIONS)
def test_upgrade_from_each_revision_keeps_reports(url, revision):
    older = Database(url, revision)
    if revision != "base":
        History(older).save_report(build_report(outcome="succeeded", progress=1), NOW)
    older.close()
    newer = Database(url)
    assert read_tables(newer) == (REVISIONS[0], [])
    assert load_reports(History(newer)) == {"u1": {("sft", 1): build_report(outcome="succeeded", progress=1)}}
    newer.close()


def test_accounts_whose_key_was_a_string_are_taken_over(url):
    columns = ("week_job_uid", "namespace", "course", "student", "step")
    values = {"gpus": 0.5, "started_at": NOW, "ended_at": NOW + HOUR, "gpu_seconds": 1800.0}
    older = Database(url, "0003")
    moments = {name: sa.column(name, UtcDateTime()) for name in ("started_at", "ended_at")}
    table = sa.table("usage", *map(sa.column, ("child_uid", *columns, "gpus", "gpu_seconds")), *moments.values())
    with older.write() as connection:
        for child_uid in ("c1", "c1#1", "c2"):
            connection.execute(sa.insert(table).values(child_uid=child_uid, **dict.fromkeys(columns, "x"), **values))
    older.close()
    newer = Database(url)
    usages = History(newer).list_usage(None, NOW)
    newer.close()
    assert {usage.key for usage in usages} == {AccountKey("c1"), AccountKey("c1", 1), AccountKey("c2")}
    assert {(usage.started_at, usage.ended_at, usage.gpus) for usage in usages} == {(NOW, NOW + HOUR, 0.5)}


def test_two_replicas_may_start_at_once(url):
    with ThreadPoolExecutor(16) as pool:
        databases = list(pool.map(lambda _: Database(url), range(16)))
    assert {read_tables(database)[0] for database in databases} == {REVISIONS[0]}
    for database in databases:
        database.close()


def test_tables_of_a_newer_version_are_left_alone(url):
    database = Database(url)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(ConfigError, match="newer version") as caught:
        Database(url)
    assert "install that version" in caught.value.fix


def test_last_progress_replaces_the_one_before(history):
    assert history.save_report(build_report(), NOW)
    assert not history.save_report(build_report(), NOW), "the same again"
    assert history.save_report(build_report(progress=0.75), NOW)
    assert history.load_reports()["u1"]["sft", 1].report.progress == 0.75


def test_first_end_of_an_attempt_stands(history):
    end = build_report(outcome="failed", progress=None, reason=Reason.TRAINING_DIVERGED, message="loss is 10^9")
    assert history.save_report(end, NOW)
    assert not history.save_report(end, NOW)
    assert not history.save_report(build_report(), NOW), "late progress"
    assert not history.save_report(build_report(outcome="succeeded"), NOW), "another end"
    assert history.save_report(build_report(attempt=2), NOW)
    assert load_reports(history) == {"u1": {("sft", 1): end, ("sft", 2): build_report(attempt=2)}}


def test_evidence_lies_apart_from_the_reports(history):
    report = build_report(step="report", outcome="succeeded", evidence_html="H4sIAAAA", metrics=[
        Metric(name="损失", value=1.25, unit="nat", low=1.0, high=1.5)])  # fmt: skip
    history.save_report(report, NOW)
    assert history.load_reports()["u1"]["report", 1].report == report.model_copy(update={"evidence_html": None})
    assert history.read_evidence("u1", "report", 1) == "H4sIAAAA"
    assert history.read_evidence("u1", "sft", 1) is None


def test_reports_of_ended_week_jobs_may_be_left_out(history):
    for uid, ended_at in (("u1", None), ("u2", NOW)):
        history.save_report(build_report(uid=uid), NOW)
        history.save_week_job(build_entry(uid=uid, ended_at=ended_at))
    history.save_report(build_report(uid="u3"), NOW)
    assert set(history.load_reports(with_ended=False)) == {"u1", "u3"}


def test_a_report_of_another_version_is_left_out(history, database, caplog):
    history.save_report(build_report(), NOW)
    history.save_report(build_report(step="audit"), NOW)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE step_reports SET body = '{\"colour\": 1}' WHERE step = 'audit'")
    assert set(history.load_reports()["u1"]) == {("sft", 1)}
    assert "left out" in caplog.text


def list_open(history):
    return [usage for usage in history.list_usage(None, NOW + 1000 * HOUR) if usage.ended_at is None]


def test_usage_is_opened_and_closed_once(history):
    history.open_usage(build_usage())
    history.open_usage(build_usage(started_at=NOW + HOUR))
    history.close_usage(AccountKey("unknown"), NOW)
    assert list_open(history) == [build_usage()]
    history.close_usage(AccountKey("c1"), NOW + HOUR)
    history.close_usage(AccountKey("c1"), NOW + 5 * HOUR)
    history.open_usage(build_usage())
    assert history.list_usage("student-01", NOW) == [build_usage(ended_at=NOW + HOUR)]
    assert list_open(history) == []


def test_usage_is_listed_by_namespace_and_time(history):
    history.open_usage(build_usage(child_uid="old", ended_at=NOW + HOUR))
    history.open_usage(build_usage(child_uid="across", ended_at=NOW + 3 * HOUR))
    history.open_usage(build_usage(child_uid="running", started_at=NOW + HOUR))
    history.open_usage(build_usage(child_uid="other", namespace="student-02", student="student-02"))
    since = NOW + 2 * HOUR
    assert [usage.key.child_uid for usage in history.list_usage("student-01", since)] == ["across", "running"]
    assert {usage.key.child_uid for usage in history.list_usage(None, since)} == {"across", "running", "other"}


def test_an_end_before_the_start_is_no_negative_use(history):
    history.open_usage(build_usage())
    history.close_usage(AccountKey("c1"), NOW - HOUR)
    assert [usage.get_gpu_seconds(NOW + HOUR) for usage in history.list_usage(None, NOW - HOUR)] == [0.0]


def test_waits_are_listed_latest_first(history):
    for number in range(5):
        history.record_wait(Wait(f"c{number}", "llm", number, 60.0 * number, NOW + number * HOUR, 1))
    history.record_wait(Wait("c4", "llm", 9, 999.0, NOW + 9 * HOUR, 1))
    history.record_wait(Wait("x", "other", None, 1.0, NOW, 1))
    history.record_wait(Wait("cpu", "llm", 0, 2.0, NOW + 5 * HOUR))
    waits = history.list_waits("llm", with_gpu=True, limit=2)
    assert [(wait.child_uid, wait.waited_s) for wait in waits] == [("c4", 240.0), ("c3", 180.0)]
    assert [wait.child_uid for wait in history.list_waits("llm", with_gpu=False)] == ["cpu"]


def test_forgetting_keeps_what_was_used(history):
    history.save_week_job(build_entry())
    history.save_report(build_report(outcome="succeeded", evidence_html="H4sI"), NOW)
    history.open_usage(build_usage(ended_at=NOW + HOUR))
    history.forget("u1", NOW + HOUR)
    history.forget("u1", NOW + 2 * HOUR)
    history.save_week_job(build_entry(phase="Failed"))
    assert history.load_reports() == {}
    assert history.read_evidence("u1", "sft", 1) is None
    assert history.list_week_jobs() == [build_entry(phase="Failed", forgotten_at=NOW + HOUR)]
    assert len(history.list_usage("student-01", NOW)) == 1
    history.prune(NOW + 2 * HOUR)
    assert (history.list_week_jobs(), history.list_usage(None, NOW)) == ([], [])


def test_week_jobs_deleted_while_nobody_looked_are_forgotten(history):
    for uid in ("u1", "u2"):
        history.save_report(build_report(uid=uid), NOW)
    assert history.forget_missing({"u2", "u3"}, NOW) == 1
    assert set(history.load_reports()) == {"u2"}


def test_pruning_spares_what_runs(history):
    history.save_week_job(build_entry())
    history.open_usage(build_usage())
    history.prune(NOW + 1000 * HOUR)
    assert len(list_open(history)) == len(history.list_week_jobs("student-01")) == 1


def test_many_threads_lose_nothing(history):
    def save(number):
        history.save_report(build_report(uid=f"u{number % 20}", step=f"s{number // 20}"), NOW)
        history.open_usage(build_usage(child_uid=str(number % 50)))
        return len(history.load_reports())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(200)))
    assert sum(len(attempts) for attempts in history.load_reports().values()) == 200
    assert len(list_open(history)) == 50


def test_progress_and_end_at_once_leave_the_end(history):
    barrier = threading.Barrier(8)

    def save(number):
        barrier.wait()
        return history.save_report(build_report(outcome="succeeded" if number == 4 else "running", eta_s=number), NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save, range(8)))
    assert history.load_reports()["u1"]["sft", 1].report.is_final


def test_a_failed_block_leaves_nothing(history, database):
    def fail_halfway():
        with database.write() as connection:
            connection.exec_driver_sql("DELETE FROM alembic_version")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert read_tables(database)[0] == REVISIONS[0]


def test_a_moment_without_a_zone_is_refused(history):
    with pytest.raises(sa.exc.StatementError, match="no time zone"):
        history.save_report(build_report(), NOW.replace(tzinfo=None))


def test_moments_of_another_zone_come_back_in_utc(history):
    zone = dt.timezone(dt.timedelta(hours=8))
    history.open_usage(build_usage(started_at=NOW.astimezone(zone)))
    assert list_open(history)[0].started_at.isoformat() == NOW.isoformat()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "cannot be read"),
        ("no url with s3cret", "cannot be read"),
        ("mysql://user:s3cret@host/db", "mysql is not a database"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_wrong_url_is_named_without_its_password(url, words):
    with pytest.raises(ConfigError, match=words) as caught:
        Database(url)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_is_away_is_a_fault_without_the_password():
    with pytest.raises(PlatformError) as caught:
        Database("postgresql://practicum:s3cret@127.0.0.1:1/history")
    assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert "s3cret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PlatformError) as caught:
        Database(f"sqlite:///{tmp_path}/file/history.sqlite")
    assert caught.value.reason is Reason.PERMISSION_DENIED


def test_a_file_that_is_no_database_is_a_fault(tmp_path):
    (tmp_path / "history.sqlite").write_text("not a database " * 100)
    with pytest.raises(sa.exc.DatabaseError):
        Database(f"sqlite:///{tmp_path}/history.sqlite")


def test_sqlite_keeps_a_commit_through_a_power_cut(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/history.sqlite")
    with database.read() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]
    database.close()


def test_a_writer_of_another_process_is_waited_for(tmp_path):
    path = tmp_path / "history.sqlite"
    history = History(Database(f"sqlite:///{path}"))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.5, other.execute, ["COMMIT"])
    timer.start()
    assert history.save_report(build_report(), NOW)
    timer.join()
    other.close()
    history._database.close()


def test_entries_keep_their_order(history):
    first = build_entry()
    second = replace(first, uid="u2", created_at=NOW + HOUR)
    history.save_week_job(first)
    history.save_week_job(second)
    assert history.list_week_jobs("student-01", limit=1) == [second]
    assert history.list_week_jobs("student-02") == []
