"""A customer's orders come by their moments: the index of their order.

The indexes are built while the table is in use, outside of the migration's transaction; an
interrupted one leaves an invalid index behind, which the next attempt removes first.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

locks = {
    "orders": "SHARE UPDATE EXCLUSIVE",
}

_BY_MOMENT = "orders_customer_id_date_placed_id_idx"
_BY_KEY = "orders_customer_id_id_idx"


def upgrade() -> None:
    _replace(_BY_KEY, _BY_MOMENT, "customer_id, date_placed, id")


def downgrade() -> None:
    _replace(_BY_MOMENT, _BY_KEY, "customer_id, id")


def _replace(old: str, new: str, columns: str) -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {new}")
        op.execute(f"CREATE INDEX CONCURRENTLY {new} ON orders ({columns})")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {old}")
