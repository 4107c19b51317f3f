"""The tables of the history as the newest code sees them.

The revisions under ``migrations`` make these tables step by step; a test compares the two.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa


class UtcDateTime(sa.TypeDecorator[dt.datetime]):
    """A moment: aware in Python, in UTC in the database. SQLite keeps no zone, so it is put back when read."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Refuse a moment without a zone and turn any other into UTC."""
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Return the moment in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


METADATA = sa.MetaData()

WEEK_JOBS = sa.Table(
    "week_jobs",
    METADATA,
    sa.Column("uid", sa.String(64), primary_key=True),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("name", sa.String(63), nullable=False),
    sa.Column("unit", sa.String(63), nullable=False),
    sa.Column("course", sa.String(63), nullable=False),
    sa.Column("student", sa.String(63), nullable=False),
    sa.Column("phase", sa.String(32), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("forgotten_at", UtcDateTime),
    sa.Index("ix_week_jobs_namespace_created_at", "namespace", "created_at"),
)

STEP_REPORTS = sa.Table(
    "step_reports",
    METADATA,
    sa.Column("uid", sa.String(64), primary_key=True),
    sa.Column("step", sa.String(63), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("is_final", sa.Boolean, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
"""The last report of each attempt, as JSON without the evidence page."""

EVIDENCE_PAGES = sa.Table(
    "evidence_pages",
    METADATA,
    sa.Column("uid", sa.String(64), primary_key=True),
    sa.Column("step", sa.String(63), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("html", sa.Text, nullable=False),
)
"""Pages of up to a megabyte: apart, so that reading every report at start does not read them."""

USAGE = sa.Table(
    "usage",
    METADATA,
    sa.Column("child_uid", sa.String(64), primary_key=True),
    sa.Column("run", sa.Integer, primary_key=True, server_default="0"),
    sa.Column("week_job_uid", sa.String(64), nullable=False),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("course", sa.String(63), nullable=False),
    sa.Column("student", sa.String(63), nullable=False),
    sa.Column("step", sa.String(63), nullable=False),
    sa.Column("gpus", sa.Float, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("gpu_seconds", sa.Float),
    sa.Index("ix_usage_namespace_ended_at", "namespace", "ended_at"),
)

WAITS = sa.Table(
    "waits",
    METADATA,
    sa.Column("child_uid", sa.String(64), primary_key=True),
    sa.Column("course", sa.String(63), nullable=False),
    sa.Column("position", sa.Integer),
    sa.Column("waited_s", sa.Float, nullable=False),
    sa.Column("admitted_at", UtcDateTime, nullable=False),
    sa.Column("slices", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_waits_course_admitted_at", "course", "admitted_at"),
)
