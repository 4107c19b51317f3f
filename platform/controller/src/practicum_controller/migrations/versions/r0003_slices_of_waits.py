"""What a child waited for: GPU slices, or none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; waits of before count as waits for a processor until they are pruned."""
    op.add_column("waits", sa.Column("slices", sa.Integer, nullable=False, server_default="0"))
