"""An actor is an issuer of tokens and a subject of up to 255 characters."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A longer bound changes no row: the lock is held for a moment.
    op.execute("ALTER TABLE events ALTER actor TYPE varchar(500)")


def downgrade() -> None:
    op.execute("ALTER TABLE events ALTER actor TYPE varchar(200) USING left(actor, 200)")
