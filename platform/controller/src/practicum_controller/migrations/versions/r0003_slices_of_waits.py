"""What a child waited for: GPU slices, or none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column, and forget the waits of before: nobody knows what they were for."""
    op.execute("DELETE FROM waits")
    op.add_column("waits", sa.Column("slices", sa.Integer, nullable=False, server_default="0"))
