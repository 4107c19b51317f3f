"""GPU time by child, and how long children waited in the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables that budgets and estimates are computed from."""
    op.create_table(
        "usage",
        sa.Column("child_uid", sa.String(64), primary_key=True),
        sa.Column("week_job_uid", sa.String(64), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("course", sa.String(63), nullable=False),
        sa.Column("student", sa.String(63), nullable=False),
        sa.Column("step", sa.String(63), nullable=False),
        sa.Column("gpus", sa.Float, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("gpu_seconds", sa.Float),
    )
    op.create_index("ix_usage_namespace_ended_at", "usage", ["namespace", "ended_at"])
    op.create_table(
        "waits",
        sa.Column("child_uid", sa.String(64), primary_key=True),
        sa.Column("course", sa.String(63), nullable=False),
        sa.Column("position", sa.Integer),
        sa.Column("waited_s", sa.Float, nullable=False),
        sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_waits_course_admitted_at", "waits", ["course", "admitted_at"])
