"""What is remembered beyond the cluster, in a database: reports, evidence pages, GPU time, waits.

Plain blocking calls that any thread may make. Every write may be made twice: the second changes nothing. The first
final report of an attempt stands, since the plan has acted on it by the time that another one can come.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.dialects import postgresql, sqlite

from practicum_controller.database import Database
from practicum_controller.eta import Wait
from practicum_controller.ledger import AccountKey, Usage
from practicum_controller.tables import EVIDENCE_PAGES, STEP_REPORTS, USAGE, WAITS, WEEK_JOBS
from practicum_core.reports import StepReport

LOGGER = logging.getLogger(__name__)


class Attempt(NamedTuple):
    """One attempt of a step, counted from 1."""

    step: str
    number: int


@dataclass(frozen=True)
class KeptReport:
    """A report, and when it came."""

    report: StepReport
    received_at: dt.datetime


Attempts = dict[Attempt, KeptReport]
"""The last report of each attempt."""


@dataclass(frozen=True)
class WeekJobEntry:
    """A week job as the history keeps it, also after it is gone from the cluster."""

    uid: str
    namespace: str
    name: str
    unit: str
    course: str
    student: str
    phase: str
    created_at: dt.datetime
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    forgotten_at: dt.datetime | None = None


class History:
    """The history in an open database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_week_job(self, entry: WeekJobEntry) -> None:
        """Remember where a week job stands; ``forgotten_at`` is written by :meth:`forget` alone."""
        values = {name: value for name, value in asdict(entry).items() if name != "forgotten_at"}
        with self._database.write() as connection:
            connection.execute(_insert(connection, WEEK_JOBS, values, replace=values.keys() - {"uid"}))

    def list_week_jobs(self, namespace: str | None = None, limit: int = 1000) -> list[WeekJobEntry]:
        """Return week jobs, the latest first, those that are gone included."""
        query = sa.select(WEEK_JOBS).order_by(WEEK_JOBS.c.created_at.desc(), WEEK_JOBS.c.uid).limit(limit)
        if namespace is not None:
            query = query.where(WEEK_JOBS.c.namespace == namespace)
        with self._database.read() as connection:
            return [WeekJobEntry(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's name

    def list_ended_uids(self) -> set[str]:
        """Return the uids of the week jobs that ended and are not gone from the cluster."""
        is_present = sa.and_(WEEK_JOBS.c.ended_at.is_not(None), WEEK_JOBS.c.forgotten_at.is_(None))
        with self._database.read() as connection:
            return set(connection.execute(sa.select(WEEK_JOBS.c.uid).where(is_present)).scalars())

    def save_report(self, report: StepReport, now: dt.datetime) -> bool:
        """Keep ``report`` as the last of its attempt; return whether anything changed.

        False means that the same report, or an end of this attempt, was kept before.
        """
        key = {"uid": report.uid, "step": report.step, "attempt": report.attempt}
        body = report.model_dump_json(exclude={"evidence_html"}, exclude_defaults=True)
        values = key | {"is_final": report.is_final, "received_at": now, "body": body}
        open_and_other = sa.and_(STEP_REPORTS.c.is_final.is_(False), STEP_REPORTS.c.body != body)
        with self._database.write() as connection:
            replaced = ("is_final", "received_at", "body")
            statement = _insert(connection, STEP_REPORTS, values, replace=replaced, where=open_and_other)
            # RETURNING names the row only where it was written; a count of rows is not kept for inserts.
            is_new = connection.execute(statement.returning(STEP_REPORTS.c.uid)).first() is not None
            if is_new and report.evidence_html is not None:
                page = key | {"html": report.evidence_html}
                connection.execute(_insert(connection, EVIDENCE_PAGES, page, replace=("html",)))
        return is_new

    def load_reports(self, *, with_ended: bool = True) -> dict[str, Attempts]:
        """Return the last report of every attempt by week job, without evidence pages.

        Args:
            with_ended: False leaves out week jobs that :meth:`save_week_job` was told ended.
        """
        table = STEP_REPORTS.c
        query = sa.select(table.uid, table.step, table.attempt, table.received_at, table.body)
        if not with_ended:
            ended = sa.select(WEEK_JOBS.c.uid).where(WEEK_JOBS.c.ended_at.is_not(None))
            query = query.where(table.uid.not_in(ended))
        reports: dict[str, Attempts] = defaultdict(dict)
        with self._database.read() as connection:
            for uid, step, attempt, received_at, body in connection.execute(query):
                report = _read_body(body)
                if report is not None:
                    reports[uid][Attempt(step, attempt)] = KeptReport(report, received_at)
        return dict(reports)

    def read_evidence(self, uid: str, step: str, attempt: int) -> str | None:
        """Return the evidence page of an attempt (gzip, then base64), or None where it sent none."""
        table = EVIDENCE_PAGES.c
        query = sa.select(table.html).where(table.uid == uid, table.step == step, table.attempt == attempt)
        with self._database.read() as connection:
            html: str | None = connection.execute(query).scalar_one_or_none()
        return html

    def read_last_evidence(self, uid: str) -> str | None:
        """Return the evidence page that the last attempt sent: one step of a unit draws it."""
        table = EVIDENCE_PAGES.c
        query = sa.select(table.html).where(table.uid == uid).order_by(table.attempt.desc()).limit(1)
        with self._database.read() as connection:
            html: str | None = connection.execute(query).scalar_one_or_none()
        return html

    def open_usage(self, usage: Usage) -> None:
        """Remember that a child holds GPUs; a child that is known already stays as it is."""
        with self._database.write() as connection:
            connection.execute(_insert(connection, USAGE, _build_usage_row(usage)))

    def close_usage(self, key: AccountKey, ended_at: dt.datetime) -> None:
        """Remember when a child gave its GPUs back; only the first time counts, an unknown child is ignored."""
        is_open = sa.and_(USAGE.c.child_uid == key.child_uid, USAGE.c.run == key.run, USAGE.c.ended_at.is_(None))
        with self._database.write() as connection:
            row = connection.execute(sa.select(USAGE).where(is_open)).one_or_none()
            if row is None:
                return
            usage = _read_usage(row)
            end = max(ended_at, usage.started_at)
            values = {"ended_at": end, "gpu_seconds": usage.get_gpu_seconds(end)}
            connection.execute(sa.update(USAGE).where(is_open).values(values))

    def list_usage(self, namespace: str | None, since: dt.datetime) -> list[Usage]:
        """Return what ran in ``namespace`` (everywhere for None) at any time after ``since``, in order of start."""
        query = sa.select(USAGE).where(sa.or_(USAGE.c.ended_at.is_(None), USAGE.c.ended_at > since))
        if namespace is not None:
            query = query.where(USAGE.c.namespace == namespace)
        with self._database.read() as connection:
            return [_read_usage(row) for row in connection.execute(query.order_by(USAGE.c.started_at))]

    def record_wait(self, wait: Wait) -> None:
        """Remember how long a child waited; a child that is known already stays as it is."""
        with self._database.write() as connection:
            connection.execute(_insert(connection, WAITS, asdict(wait)))

    def list_waits(self, course: str, *, with_gpu: bool, limit: int = 50) -> list[Wait]:
        """Return the last waits in a course for GPUs, or of children that wanted none, the latest first."""
        is_alike = WAITS.c.slices > 0 if with_gpu else WAITS.c.slices == 0
        query = sa.select(WAITS).where(WAITS.c.course == course, is_alike)
        query = query.order_by(WAITS.c.admitted_at.desc()).limit(limit)
        with self._database.read() as connection:
            return [Wait(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's name

    def reopen(self, uid: str) -> None:
        """Drop that a week job ended, and its reports: it runs with another specification from the beginning."""
        with self._database.write() as connection:
            for table in (STEP_REPORTS, EVIDENCE_PAGES, WEEK_JOBS):
                connection.execute(sa.delete(table).where(table.c.uid == uid))

    def forget(self, uid: str, now: dt.datetime) -> None:
        """Drop the working data of a week job that was deleted: its reports and evidence pages.

        What it used and how long it waited is kept, since deleting a week job must not give its GPU hours back; so is
        its row, marked with when it went. :meth:`prune` drops those by age.
        """
        with self._database.write() as connection:
            connection.execute(sa.delete(STEP_REPORTS).where(STEP_REPORTS.c.uid == uid))
            connection.execute(sa.delete(EVIDENCE_PAGES).where(EVIDENCE_PAGES.c.uid == uid))
            gone = sa.and_(WEEK_JOBS.c.uid == uid, WEEK_JOBS.c.forgotten_at.is_(None))
            connection.execute(sa.update(WEEK_JOBS).where(gone).values(forgotten_at=now))

    def forget_missing(self, known_uids: Collection[str], now: dt.datetime) -> int:
        """Forget every week job with working data that is not in ``known_uids``; return how many.

        For the start: a week job deleted while no controller ran leaves its reports behind.
        """
        with self._database.read() as connection:
            kept = set(connection.execute(sa.select(STEP_REPORTS.c.uid).distinct()).scalars())
        missing = kept - set(known_uids)
        for uid in missing:
            self.forget(uid, now)
        return len(missing)

    def prune(self, before: dt.datetime) -> None:
        """Drop what ended before ``before``: closed usage, waits, and week jobs that are gone."""
        with self._database.write() as connection:
            connection.execute(sa.delete(USAGE).where(USAGE.c.ended_at < before))
            connection.execute(sa.delete(WAITS).where(WAITS.c.admitted_at < before))
            connection.execute(sa.delete(WEEK_JOBS).where(WEEK_JOBS.c.forgotten_at < before))


def _insert(
    connection: sa.Connection,
    table: sa.Table,
    values: Mapping[str, Any],
    replace: Collection[str] = (),
    where: sa.ColumnElement[bool] | None = None,
) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that, where the key is there already, replaces the columns named (and does nothing without)."""
    is_postgresql = connection.dialect.name == "postgresql"
    statement = (postgresql.insert(table) if is_postgresql else sqlite.insert(table)).values(values)
    if not replace:
        return statement.on_conflict_do_nothing()
    new = {name: statement.excluded[name] for name in replace}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=new, where=where)


def _build_usage_row(usage: Usage) -> dict[str, Any]:
    end, values = usage.ended_at, asdict(usage)
    del values["key"]
    return values | usage.key._asdict() | {"gpu_seconds": None if end is None else usage.get_gpu_seconds(end)}


def _read_usage(row: sa.Row[Any]) -> Usage:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's name
    del values["gpu_seconds"]
    return Usage(key=AccountKey(values.pop("child_uid"), values.pop("run")), **values)


def _read_body(body: str) -> StepReport | None:
    try:
        return StepReport.model_validate_json(body)
    except ValidationError as error:
        # Written by another version: its step counts as not reported, and its pod may report again.
        LOGGER.warning("a stored report cannot be read (%d problems) and is left out", error.error_count())
        return None
