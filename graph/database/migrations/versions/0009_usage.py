"""Which clients use which fields and operations."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

downgrade_drops = ("usage",)


def upgrade() -> None:
    # A row changes every minute while it is in use: the fill factor leaves room in its page.
    op.execute("""
        CREATE TABLE usage (
            kind varchar(20) NOT NULL,
            name varchar(300) NOT NULL,
            client varchar(100) NOT NULL,
            version varchar(100) NOT NULL,
            uses bigint NOT NULL,
            first_used timestamptz NOT NULL DEFAULT now(),
            last_used timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT usage_pkey PRIMARY KEY (kind, name, client, version)
        ) WITH (fillfactor = 50)
    """)


def downgrade() -> None:
    op.execute("DROP TABLE usage")
