"""Which migrations were applied, and which code each of them still serves."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

serves = "0009"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE applied_migrations (
            chain varchar(63) NOT NULL,
            revision varchar(32) NOT NULL,
            serves varchar(32) NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT applied_migrations_pkey PRIMARY KEY (chain, revision)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE applied_migrations")
