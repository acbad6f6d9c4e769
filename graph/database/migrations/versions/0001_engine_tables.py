"""Idempotency keys, imports and token buckets.

Databases of versions before this chain have the tables already: the store's migrations made them.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

downgrade_drops = (
    "cost_buckets",
    "idempotency_keys",
    "imports",
)

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS idempotency_keys (
        viewer varchar(200) NOT NULL,
        key varchar(200) NOT NULL,
        request bytea NOT NULL,
        answer bytea,
        created_on timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT idempotency_keys_pkey PRIMARY KEY (viewer, key)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS idempotency_keys_created_on_idx ON idempotency_keys (created_on)
    """,
    """
    CREATE TABLE IF NOT EXISTS imports (
        source varchar(64) NOT NULL,
        position bigint NOT NULL,
        rows bigint NOT NULL,
        refused bigint NOT NULL,
        refused_bytes bigint NOT NULL,
        CONSTRAINT imports_pkey PRIMARY KEY (source)
    )
    """,
    """
    CREATE UNLOGGED TABLE IF NOT EXISTS cost_buckets (
        client bytea NOT NULL,
        full_at timestamptz NOT NULL,
        given boolean NOT NULL,
        CONSTRAINT cost_buckets_pkey PRIMARY KEY (client)
    ) WITH (fillfactor = 50)
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE idempotency_keys, imports, cost_buckets")
