"""One index for searches that knows the letters of all scripts, whatever the database's locale."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None

_CUSTOMER = "first_name || ' ' || last_name || ' ' || username || ' ' || email || ' ' || town"

# The extension pg_trgm stays where it is: something else in the database may use it by now.
UPGRADE = (
    f"""
    CREATE INDEX customers_search_idx ON customers
    USING gin (graph_search_document({_CUSTOMER}))
    """,
    "CREATE INDEX items_search_idx ON items USING gin (graph_search_document(name))",
    "DROP INDEX IF EXISTS customers_words_idx",
    "DROP INDEX IF EXISTS customers_trigrams_idx",
    "DROP INDEX IF EXISTS items_words_idx",
    "DROP INDEX IF EXISTS items_trigrams_idx",
)
DOWNGRADE = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    f"""
    CREATE INDEX customers_words_idx ON customers
    USING gin (to_tsvector('simple'::regconfig, {_CUSTOMER}))
    """,
    f"CREATE INDEX customers_trigrams_idx ON customers USING gin (({_CUSTOMER}) gin_trgm_ops)",
    "CREATE INDEX items_words_idx ON items USING gin (to_tsvector('simple'::regconfig, name))",
    "CREATE INDEX items_trigrams_idx ON items USING gin ((name) gin_trgm_ops)",
    "DROP INDEX customers_search_idx",
    "DROP INDEX items_search_idx",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
