"""The triggers of the tables. They also apply to changes that are made by plain SQL.

    touch            increments a changed row's version, and sets a customer's `updated_on`
    price_line       gives a line without a price or name those of its item
    log_<table>      writes an event for every changed row, in the same transaction: `log_functions`
    touch_orders     increments the version of a changed line's order, once per transaction, and
                     sets an order to CANCELLED when none of its pieces is left
    refuse_change    forbids changing and deleting events, in each partition as well
    dry_run_keys     the sequence of keys for dry runs (`SET LOCAL graph.dry_run = 'on'`)

Events are written once per statement. `SET LOCAL graph.logging = 'off'` disables events and the
versions of orders: for the seed, whose rows have no history. `SET LOCAL graph.updated_on = 'given'`
leaves `updated_on` to the statement: for imports. `SET LOCAL graph.pruning = 'on'` lets old events
be deleted (`graph.database.pruning`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import DDL, event

from graph.store.log_functions import LOGGED, PAIRS, ROWS, create_log_functions, log_triggers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, MetaData

_LEFT = """
                SELECT FROM order_lines
                WHERE order_id = orders.id AND quantity > cancelled_quantity"""
_MOVED = f"""
                SELECT unnest(ARRAY[o.order_id, n.order_id])
                FROM {PAIRS}
                AND (o.*) IS DISTINCT FROM (n.*)"""  # noqa: S608  ours

# New lines touch an order that this transaction has not written yet. A line with pieces left cannot
# make its order CANCELLED. To ask first costs half of an UPDATE that finds nothing. OFFSET 0: else
# the plan for a first statement of many lines would read all orders.
_IS_TOUCHED = """EXISTS (
                SELECT FROM new_rows WHERE quantity = cancelled_quantity OR EXISTS (
                    SELECT FROM orders WHERE id = order_id
                    AND xmin <> pg_current_xact_id()::xid OFFSET 0))"""


def _touch(orders: str) -> str:
    """Increment the versions of orders; they are CANCELLED when no piece of them is left.

    Those that this transaction has written already have a new version, or are new. They are written
    again only to become CANCELLED. No variable is used, so that the plan is made only once.
    """
    return f"""
            UPDATE orders SET version = version + 1, status = CASE
                WHEN EXISTS ({_LEFT})
                THEN status ELSE 'CANCELLED' END
            WHERE id = ANY(ARRAY({orders}))
            AND (xmin <> pg_current_xact_id()::xid
                 OR (status <> 'CANCELLED' AND NOT EXISTS ({_LEFT})));"""  # noqa: S608  ours


_FUNCTIONS = {
    "touch": """
    BEGIN
        NEW.version := OLD.version + 1;
        RETURN NEW;
    END
    """,
    # An explicit `updated_on` is left as it is.
    "touch_customer": """
    BEGIN
        NEW.version := OLD.version + 1;
        IF NEW.updated_on = OLD.updated_on
            AND current_setting('graph.updated_on', true) IS DISTINCT FROM 'given' THEN
            NEW.updated_on := now();
        END IF;
        RETURN NEW;
    END
    """,
    "price_line": """
    BEGIN
        SELECT coalesce(NEW.unit_price, selling_price), coalesce(NEW.item_name, name)
        INTO NEW.unit_price, NEW.item_name
        FROM items WHERE id = NEW.item_id;
        IF NOT FOUND THEN  -- so it is the foreign key that refuses the line
            NEW.unit_price := 0;
            NEW.item_name := '';
        END IF;
        RETURN NEW;
    END
    """,
    "touch_orders": f"""
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'INSERT' THEN
            IF {_IS_TOUCHED} THEN{_touch("SELECT order_id FROM new_rows")}
            END IF;
        ELSIF TG_OP = 'DELETE' THEN{_touch("SELECT order_id FROM old_rows")}
        ELSE{_touch(_MOVED)}
        END IF;
        RETURN NULL;
    END
    """,  # noqa: S608  ours
    "refuse_change": """
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('graph.pruning', true) = 'on' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'events are neither changed nor deleted';
    END
    """,
}
# A dry run takes its keys from a sequence of its own, beyond the keys of all rows: the rollback
# leaves no gap, and the keys in its answer never belong to another row.
_DRY_RUN_KEYS = f"CREATE SEQUENCE dry_run_keys MINVALUE {2**62} CYCLE"
_NEXT_KEY = """
    ALTER TABLE {table} ALTER id SET DEFAULT nextval(
        CASE current_setting('graph.dry_run', true) WHEN 'on' THEN 'dry_run_keys'::regclass
        ELSE '{table}_id_seq'::regclass END)
"""
_KEYED = ("customers", "items", "orders", "order_lines", "events")


def create_with(metadata: MetaData) -> None:
    """Let `create_all` and `drop_all` create and drop the functions and triggers as well."""
    event.listen(metadata, "after_create", _create_log_functions)
    for statement in statements():
        event.listen(metadata, "after_create", _ddl(statement))
    for name in (*_FUNCTIONS, *(f"log_{table}" for table in LOGGED)):
        event.listen(metadata, "after_drop", _ddl(f"DROP FUNCTION IF EXISTS {name}()"))
    event.listen(metadata, "after_drop", _ddl("DROP SEQUENCE IF EXISTS dry_run_keys"))


def _create_log_functions(_metadata: MetaData, connection: Connection, **_: object) -> None:
    create_log_functions(connection)


def _ddl(statement: str) -> DDL:
    return DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]


def statements() -> Iterator[str]:
    """All sequences, functions and triggers, one statement each."""
    yield _DRY_RUN_KEYS
    for table in _KEYED:
        yield _NEXT_KEY.format(table=table)
    for name, body in _FUNCTIONS.items():
        yield f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"
    for table, touch in (
        ("customers", "touch_customer"),
        ("items", "touch"),
        ("orders", "touch"),
    ):
        yield (
            f"CREATE TRIGGER {table}_touch BEFORE UPDATE ON {table} FOR EACH ROW"
            f" WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION {touch}()"
        )
    yield (
        "CREATE TRIGGER order_lines_price BEFORE INSERT ON order_lines FOR EACH ROW"
        " WHEN (NEW.unit_price IS NULL OR NEW.item_name IS NULL) EXECUTE FUNCTION price_line()"
    )
    # Triggers of one statement run in the order of their names: order_lines_touch runs last.
    for table in LOGGED:
        yield from log_triggers(table)
    for operation, rows in ROWS.items():
        yield (
            f"CREATE TRIGGER order_lines_touch_{operation.lower()} AFTER {operation}"
            f" ON order_lines REFERENCING {rows} FOR EACH STATEMENT"
            " EXECUTE FUNCTION touch_orders()"
        )
    yield (
        "CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE ON events"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
