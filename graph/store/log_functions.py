"""The functions that write events, one for each table, which name the columns that it has.

A function that works for any table would turn rows into JSON and compare all members: that takes
twice as long. So these are written from the columns of the tables, and written anew after each
migration (`migrations/env.py`): an event always has all columns of its table.

Most statements change one row, and then a function costs what its statement has to prepare. So the
expressions are few: JSON of both values at once, or of a whole row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

# The entity in a table's events, and the column with the key of the order.
LOGGED = {
    "customers": ("Customer", ""),
    "items": ("Item", ""),
    "orders": ("Order", "id"),
    "order_lines": ("OrderLine", "order_id"),
}
ROWS = {
    "INSERT": "NEW TABLE AS new_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
}
_COLUMNS = text("""
    SELECT attname FROM pg_attribute
    WHERE attrelid = to_regclass(CAST(:table AS text))
    AND attnum > 0 AND NOT attisdropped AND attname <> 'id' ORDER BY attname
""")
_EXISTS = text("SELECT to_regproc(CAST(:name AS text)) IS NOT NULL")
# The rows before and after a statement. The plan is made for the first rows that a session changes,
# and kept. A nested loop over ten thousand rows would take minutes: there is none for a full join,
# of which only the pairs are taken.
PAIRS = """old_rows o FULL JOIN new_rows n ON n.id = o.id
            WHERE coalesce(n.id = o.id, FALSE)"""
_FUNCTION = """
    CREATE OR REPLACE FUNCTION log_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT '{entity}', n.id, {kind},
                   ('{{' || substr(concat({changes}), 2) || '}}')::jsonb,
                   nullif(current_setting('graph.actor', true), ''), {new_order}
            FROM {pairs} AND (o.*) IS DISTINCT FROM (n.*)
            ORDER BY n.id;
        ELSIF TG_OP = 'INSERT' THEN
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT '{entity}', n.id, 'CREATED', to_jsonb(n) - 'id',
                   nullif(current_setting('graph.actor', true), ''), {new_order}
            FROM new_rows n ORDER BY n.id;
        ELSE
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT '{entity}', o.id, 'DELETED', to_jsonb(o) - 'id',
                   nullif(current_setting('graph.actor', true), ''), {old_order}
            FROM old_rows o ORDER BY o.id;
        END IF;
        RETURN NULL;
    END
    $$
"""
# An order that moves on names the event; PLACED is where it comes from.
_KIND = "CASE WHEN o.status <> n.status AND n.status <> 'PLACED' THEN n.status ELSE 'CHANGED' END"


def create_log_functions(connection: Connection, tables: Iterable[str] = LOGGED) -> None:
    for table in tables:
        connection.exec_driver_sql(_function(connection, table))


def renew_log_functions(connection: Connection) -> None:
    """Write the functions that exist anew, from the columns that the tables have now."""
    for table in LOGGED:
        if connection.scalar(_EXISTS, {"name": f"log_{table}"}):
            connection.exec_driver_sql(_function(connection, table))


def log_triggers(table: str) -> Iterator[str]:
    """The triggers that call the function of a table, one for each kind of statement."""
    for operation, rows in ROWS.items():
        yield (
            f"CREATE OR REPLACE TRIGGER {table}_log_{operation.lower()} AFTER {operation}"
            f" ON {table} REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION log_{table}()"
        )


def _function(connection: Connection, table: str) -> str:
    columns = connection.scalars(_COLUMNS, {"table": table}).all()
    entity, order = LOGGED[table]
    return _FUNCTION.format(
        table=table,
        pairs=PAIRS,
        entity=entity,
        kind=_KIND if "status" in columns else "'CHANGED'",
        changes=", ".join(map(_change, columns)),
        new_order=f"n.{order}" if order else "NULL",
        old_order=f"o.{order}" if order else "NULL",
    )


def _change(column: str) -> str:
    """A member with both values, after a comma, where they differ."""
    return (
        f"CASE WHEN o.{column} IS DISTINCT FROM n.{column}"
        f" THEN ',\"{column}\":' || json_build_array(o.{column}, n.{column})::text END"
    )
