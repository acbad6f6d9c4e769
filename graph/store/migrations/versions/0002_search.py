"""Indexes that serve orders and filters.

It made indexes for words and trigrams too, and the extension pg_trgm: 0009 takes them away.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

locks = {
    "customers": "SHARE, reads all rows",
    "items": "SHARE, reads all rows",
    "orders": "SHARE, reads all rows",
}

UPGRADE = (
    "CREATE INDEX customers_last_name_id_idx ON customers (last_name, id)",
    "CREATE INDEX customers_town_id_idx ON customers (town, id)",
    "CREATE INDEX customers_created_on_id_idx ON customers (created_on, id)",
    "CREATE INDEX items_name_id_idx ON items (name, id)",
    "CREATE INDEX items_selling_price_id_idx ON items (selling_price, id)",
    "CREATE INDEX orders_date_placed_id_idx ON orders (date_placed, id)",
)
DOWNGRADE = (
    "DROP INDEX orders_date_placed_id_idx",
    "DROP INDEX IF EXISTS items_trigrams_idx",
    "DROP INDEX IF EXISTS items_words_idx",
    "DROP INDEX items_selling_price_id_idx",
    "DROP INDEX items_name_id_idx",
    "DROP INDEX IF EXISTS customers_trigrams_idx",
    "DROP INDEX IF EXISTS customers_words_idx",
    "DROP INDEX customers_created_on_id_idx",
    "DROP INDEX customers_town_id_idx",
    "DROP INDEX customers_last_name_id_idx",
    "DROP EXTENSION IF EXISTS pg_trgm",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
