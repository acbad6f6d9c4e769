"""Leases of work that one process at a time does, and how far logs were pruned."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

downgrade_drops = (
    "leases",
    "pruned_logs",
)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE leases (
            name varchar(200) NOT NULL,
            holder varchar(200) NOT NULL,
            until timestamptz NOT NULL,
            CONSTRAINT leases_pkey PRIMARY KEY (name)
        )
    """)
    op.execute("""
        CREATE TABLE pruned_logs (
            log varchar(63) NOT NULL,
            through bigint NOT NULL,
            pruned_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pruned_logs_pkey PRIMARY KEY (log)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE leases, pruned_logs")
