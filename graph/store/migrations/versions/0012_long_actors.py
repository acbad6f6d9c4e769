"""An actor is an issuer of tokens and a subject of up to 255 characters."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

locks = {
    "events": "ACCESS EXCLUSIVE",
}

# PostgreSQL changes no column that a view shows. Others see the old view until all is done.
_CHANGE = """
    DO $$
    DECLARE
        definition text := pg_get_viewdef('history'::regclass);
    BEGIN
        DROP VIEW history;
        ALTER TABLE events ALTER actor TYPE {type};
        EXECUTE 'CREATE VIEW history AS ' || definition;
    END
    $$
"""


def upgrade() -> None:
    # A longer bound changes no row: the lock is held for a moment.
    op.execute(_CHANGE.format(type="varchar(500)"))


def downgrade() -> None:
    op.execute(_CHANGE.format(type="varchar(200) USING left(actor, 200)"))
