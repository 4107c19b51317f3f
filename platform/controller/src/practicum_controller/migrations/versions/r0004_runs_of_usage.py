"""Which run of a child an account is of, as a column: it stood behind a "#" in the child's uid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_KEPT = ("week_job_uid", "namespace", "course", "student", "step", "gpus", "started_at", "ended_at", "gpu_seconds")


def upgrade() -> None:
    """Make the table anew, since the run is part of its key, and take over what it held."""
    op.drop_index("ix_usage_namespace_ended_at", "usage")
    op.rename_table("usage", "usage_before")
    op.create_table(
        "usage",
        sa.Column("child_uid", sa.String(64), nullable=False),
        sa.Column("run", sa.Integer, nullable=False, server_default="0"),
        sa.Column("week_job_uid", sa.String(64), nullable=False),
        sa.Column("namespace", sa.String(63), nullable=False),
        sa.Column("course", sa.String(63), nullable=False),
        sa.Column("student", sa.String(63), nullable=False),
        sa.Column("step", sa.String(63), nullable=False),
        sa.Column("gpus", sa.Float, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("gpu_seconds", sa.Float),
        # PostgreSQL keeps the name of the old table's key until that table is dropped.
        sa.PrimaryKeyConstraint("child_uid", "run", name="pk_usage"),
    )
    connection = op.get_bind()
    kept = ", ".join(_KEPT)
    for (key,) in connection.execute(sa.text("SELECT child_uid FROM usage_before")).all():
        child_uid, _, run = key.partition("#")
        copy = f"INSERT INTO usage (child_uid, run, {kept}) SELECT :uid, :run, {kept} FROM usage_before"  # noqa: S608
        values = {"uid": child_uid, "run": int(run or 0), "key": key}
        connection.execute(sa.text(f"{copy} WHERE child_uid = :key"), values)
    op.drop_table("usage_before")
    op.create_index("ix_usage_namespace_ended_at", "usage", ["namespace", "ended_at"])
