"""The type by which a statement checks what a replica has replayed."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # It is found as the tables are, whatever the search path. The constraints are checked in the
    # order of their names.
    op.execute("""
        CREATE DOMAIN replayed AS pg_lsn
            CONSTRAINT replayed_as_standby CHECK (pg_catalog.pg_is_in_recovery())
            CONSTRAINT replayed_check CHECK (value <= pg_catalog.pg_last_wal_replay_lsn())
    """)


def downgrade() -> None:
    op.execute("DROP DOMAIN replayed")
