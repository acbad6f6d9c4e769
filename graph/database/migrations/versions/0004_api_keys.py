"""The keys of services."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

downgrade_drops = ("api_keys",)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE api_keys (
            prefix varchar(20) NOT NULL,
            secret_hash bytea NOT NULL,
            name varchar(200) NOT NULL,
            permissions varchar(200)[] NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz,
            revoked_at timestamptz,
            CONSTRAINT api_keys_pkey PRIMARY KEY (prefix)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE api_keys")
