"""Week jobs, the last report of each attempt, and the evidence pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables that reports go to."""
    op.create_table(
        "week_jobs",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("unit", sa.String(63), nullable=False),
        sa.Column("course", sa.String(63), nullable=False),
        sa.Column("student", sa.String(63), nullable=False),
        sa.Column("phase", sa.String(32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("forgotten_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_week_jobs_namespace_created_at", "week_jobs", ["namespace", "created_at"])
    op.create_table(
        "step_reports",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("step", sa.String(63), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("is_final", sa.Boolean, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "evidence_pages",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("step", sa.String(63), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("html", sa.Text, nullable=False),
    )
