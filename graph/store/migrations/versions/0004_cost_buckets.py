"""Buckets of cost, shared by all processes."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE UNLOGGED TABLE cost_buckets (
            client bytea NOT NULL,
            full_at timestamptz NOT NULL,
            given boolean NOT NULL,
            CONSTRAINT cost_buckets_pkey PRIMARY KEY (client)
        ) WITH (fillfactor = 50)
    """)


def downgrade() -> None:
    op.execute("DROP TABLE cost_buckets")
