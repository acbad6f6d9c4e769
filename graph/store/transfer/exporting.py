"""A table becomes a file: one COPY, which is one snapshot, written as it arrives."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from graph.database.transfer.files import Format
from graph.errors import TransferFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.database.engine import Database

_OPTIONS: dict[Format, dict[str, Any]] = {
    # JSON text has no control characters, so nothing of it is ever quoted.
    Format.NDJSON: {"format": "csv", "quote": "\x01", "delimiter": "\x02"},
    Format.CSV: {"format": "csv", "header": True},
}

# What an export has is what an import takes.
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
    """Write all rows of an entity; return how many. `progress` is told the bytes written.

    Raises:
        TransferFailed: orders as CSV, which has no place for their lines.
    """
    if entity == "orders" and format_ is Format.CSV:
        raise TransferFailed("orders have lines, and CSV has no place for them: use NDJSON")
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
        async with driver.transaction(readonly=True):
            await driver.execute("SET LOCAL statement_timeout = 0")
            status: str = await driver.copy_from_query(select, output=write, **_OPTIONS[format_])
    return int(status.removeprefix("COPY "))
