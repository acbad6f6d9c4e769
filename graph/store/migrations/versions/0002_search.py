"""Indexes that serve orders, filters and searches."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CUSTOMER = "first_name || ' ' || last_name || ' ' || username || ' ' || email || ' ' || town"

UPGRADE = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX customers_last_name_id_idx ON customers (last_name, id)",
    "CREATE INDEX customers_town_id_idx ON customers (town, id)",
    "CREATE INDEX customers_created_on_id_idx ON customers (created_on, id)",
    f"""
    CREATE INDEX customers_words_idx ON customers
    USING gin (to_tsvector('simple'::regconfig, {_CUSTOMER}))
    """,
    f"CREATE INDEX customers_trigrams_idx ON customers USING gin (({_CUSTOMER}) gin_trgm_ops)",
    "CREATE INDEX items_name_id_idx ON items (name, id)",
    "CREATE INDEX items_selling_price_id_idx ON items (selling_price, id)",
    "CREATE INDEX items_words_idx ON items USING gin (to_tsvector('simple'::regconfig, name))",
    "CREATE INDEX items_trigrams_idx ON items USING gin ((name) gin_trgm_ops)",
    "CREATE INDEX orders_date_placed_id_idx ON orders (date_placed, id)",
)
DOWNGRADE = (
    "DROP INDEX orders_date_placed_id_idx",
    "DROP INDEX items_trigrams_idx",
    "DROP INDEX items_words_idx",
    "DROP INDEX items_selling_price_id_idx",
    "DROP INDEX items_name_id_idx",
    "DROP INDEX customers_trigrams_idx",
    "DROP INDEX customers_words_idx",
    "DROP INDEX customers_created_on_id_idx",
    "DROP INDEX customers_town_id_idx",
    "DROP INDEX customers_last_name_id_idx",
    "DROP EXTENSION pg_trgm",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
