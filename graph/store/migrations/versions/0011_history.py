"""The view `history` of the event log, and the indexes for the histories of customers and items.

No event is written anew, and none is locked: the indexes are built while the table is in use, and
the view translates what it is asked for. An interrupted index is invalid; the next attempt removes
it first.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

locks = {
    "events": "SHARE UPDATE EXCLUSIVE",
}

_ENTITIES = {"customer": "Customer", "item": "Item"}


def upgrade() -> None:
    op.execute("""
        CREATE VIEW history AS
        SELECT id, occurred_at,
               CASE entity WHEN 'Customer' THEN 'CUSTOMER' WHEN 'Item' THEN 'ITEM'
                    WHEN 'Order' THEN 'ORDER' WHEN 'OrderLine' THEN 'ORDER_LINE' END AS entity,
               kind, actor,
               CASE WHEN entity = 'Customer' THEN entity_id END AS customer_id,
               CASE WHEN entity = 'Item' THEN entity_id END AS item_id,
               order_id,
               CASE WHEN entity = 'OrderLine' THEN entity_id END AS order_line_id
        FROM events
    """)
    with op.get_context().autocommit_block():
        for name, entity in _ENTITIES.items():
            key = f"(CASE WHEN entity = '{entity}' THEN entity_id END)"
            index = f"events_{name}_id_idx"
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
            op.execute(
                f"CREATE INDEX CONCURRENTLY {index} ON events ({key}, id) WHERE {key} IS NOT NULL"
            )


def downgrade() -> None:
    op.execute("DROP VIEW history")
    with op.get_context().autocommit_block():
        for name in _ENTITIES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS events_{name}_id_idx")
