"""What an export has of each entity: all that an import takes, so that one undoes the other.

Rows are told apart by their natural key. Where several share it, `ordinal` counts them: items of
one name, orders of one customer at one moment, in the order of their ids. Ids, versions and the
history are of one store, and stay there.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from graph.database.transfer.exporting import export_select
from graph.database.transfer.files import Format
from graph.errors import TransferFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.database.engine import Database

_SELECTS = {
    # JSON writes moments as RFC 3339 has them.
    "customers": """
        SELECT first_name AS "firstName", last_name AS "lastName", username, email, address, town,
               to_json(created_on) #>> '{}' AS "createdOn",
               to_json(updated_on) #>> '{}' AS "updatedOn"
        FROM customers ORDER BY id
    """,
    "items": """
        SELECT name, row_number() OVER (PARTITION BY name ORDER BY id) AS ordinal,
               cost_price::text AS "costPrice", selling_price::text AS "sellingPrice", stock
        FROM items ORDER BY id
    """,
    # The ordinals of items are looked up: `items (name, id)` is an index.
    "orders": """
        SELECT username, date_placed AS "datePlaced", ordinal, status, lines
        FROM (SELECT id, customer_id, date_placed, status, row_number() OVER (
                  PARTITION BY customer_id, date_placed ORDER BY id) AS ordinal
              FROM orders) AS numbered
        JOIN customers ON customers.id = customer_id
        CROSS JOIN LATERAL (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'item', name, 'itemName', item_name, 'quantity', quantity,
                'cancelledQuantity', cancelled_quantity, 'taken', taken,
                'unitPrice', unit_price::text, 'itemOrdinal',
                (SELECT count(*) FROM items AS twins WHERE twins.name = items.name
                 AND twins.id <= items.id)) ORDER BY order_lines.id), '[]') AS lines
            FROM order_lines JOIN items ON items.id = item_id
            WHERE order_id = numbered.id) AS lines_of_order
        ORDER BY numbered.id
    """,
}
ENTITIES = tuple(_SELECTS)


async def export_rows(
    database: Database,
    entity: str,
    format_: Format,
    file: IO[bytes],
    progress: Callable[[int], None],
) -> int:
    """Write all rows of an entity; return their number. `progress` is called with bytes written.

    Raises:
        TransferFailed: orders as CSV, which cannot represent their lines.
    """
    if entity == "orders" and format_ is Format.CSV:
        raise TransferFailed("orders have lines, which CSV cannot represent; use ndjson")
    return await export_select(database, _SELECTS[entity], format_, file, progress)
