"""One index for searches that knows the letters of all scripts, whatever the database's locale.

The indexes are built while the tables are in use, outside of the migration's transaction; an
interrupted one leaves an invalid index behind, which the next attempt removes first.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

locks = {
    "customers": "SHARE UPDATE EXCLUSIVE",
    "items": "SHARE UPDATE EXCLUSIVE",
}

_CUSTOMER = "first_name || ' ' || last_name || ' ' || username || ' ' || email || ' ' || town"

NEW = {
    "customers_search_idx": f"customers USING gin (graph_search_document({_CUSTOMER}))",
    "items_search_idx": "items USING gin (graph_search_document(name))",
}
OLD = {
    "customers_words_idx": f"customers USING gin (to_tsvector('simple'::regconfig, {_CUSTOMER}))",
    "customers_trigrams_idx": f"customers USING gin (({_CUSTOMER}) gin_trgm_ops)",
    "items_words_idx": "items USING gin (to_tsvector('simple'::regconfig, name))",
    "items_trigrams_idx": "items USING gin ((name) gin_trgm_ops)",
}
# The extension stays where it is: something else in the database may use it by now.
EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"


def upgrade() -> None:
    _replace(OLD, NEW)


def downgrade() -> None:
    op.execute(EXTENSION)
    _replace(NEW, OLD)


def _replace(old: dict[str, str], new: dict[str, str]) -> None:
    with op.get_context().autocommit_block():
        for name, index in new.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {index}")
        for name in old:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
