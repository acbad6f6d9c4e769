"""A webhook's secret can be replaced: the one before it signs as well, for a time."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

locks = {"webhooks": "ACCESS EXCLUSIVE"}
downgrade_drops = ("webhooks.previous_secret", "webhooks.previous_until")


def upgrade() -> None:
    op.execute("""
        ALTER TABLE webhooks
            ADD COLUMN previous_secret varchar(100),
            ADD COLUMN previous_until timestamptz
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE webhooks DROP COLUMN previous_until, DROP COLUMN previous_secret")
