"""Exports an entity to a file with one COPY: one snapshot, written as rows arrive."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from graph.database.transfer.files import Format
from graph.errors import TransferFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.database.engine import Database

_OPTIONS: dict[Format, dict[str, Any]] = {
    # JSON text contains no control characters, so COPY never quotes it.
    Format.NDJSON: {"format": "csv", "quote": "\x01", "delimiter": "\x02"},
    Format.CSV: {"format": "csv", "header": True},
}

# The columns of an export are the fields that an import accepts.
_SELECTS = {
    "customers": """
        SELECT first_name AS "firstName", last_name AS "lastName", username, email, address, town
        FROM customers ORDER BY id
    """,
    "items": """
        SELECT name, cost_price::text AS "costPrice", selling_price::text AS "sellingPrice", stock
        FROM items ORDER BY id
    """,
    "orders": """
        SELECT username, date_placed AS "datePlaced", status,
               (SELECT jsonb_agg(jsonb_build_object('item', item_name, 'quantity', quantity,
                                                    'unitPrice', unit_price::text) ORDER BY id)
                FROM order_lines WHERE order_id = orders.id) AS lines
        FROM orders JOIN customers ON customers.id = customer_id ORDER BY orders.id
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
    select = _SELECTS[entity]
    if format_ is Format.NDJSON:
        select = f"SELECT row_to_json(exported) FROM ({select}) AS exported"  # noqa: S608
    written = 0

    async def write(data: bytes) -> None:
        nonlocal written
        written += file.write(data)
        progress(written)

    async with database.autocommit.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute("SET statement_timeout = 0")
        try:
            status: str = await driver.copy_from_query(select, output=write, **_OPTIONS[format_])
        finally:
            await driver.execute("RESET statement_timeout")
    return int(status.removeprefix("COPY "))
