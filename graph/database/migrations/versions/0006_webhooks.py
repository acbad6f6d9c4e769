"""Webhooks, and the messages that wait to be delivered to them."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

downgrade_drops = (
    "webhook_deliveries",
    "webhooks",
)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE webhooks (
            id bigserial NOT NULL,
            url varchar(2000) NOT NULL,
            role varchar(200) NOT NULL,
            query text NOT NULL,
            secret varchar(100) NOT NULL,
            position bigint NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            paused_at timestamptz,
            problem varchar(500),
            CONSTRAINT webhooks_pkey PRIMARY KEY (id)
        )
    """)
    op.execute("""
        CREATE TABLE webhook_deliveries (
            webhook_id bigint NOT NULL,
            event bigint NOT NULL,
            subject varchar(200) NOT NULL,
            type varchar(200) NOT NULL,
            occurred_at timestamptz NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            due_at timestamptz NOT NULL DEFAULT now(),
            failing_since timestamptz,
            CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (webhook_id, event),
            CONSTRAINT webhook_deliveries_webhook_id_fkey FOREIGN KEY (webhook_id)
                REFERENCES webhooks (id) ON DELETE CASCADE
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE webhook_deliveries, webhooks")
