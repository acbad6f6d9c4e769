"""Events are written by a function for each table, which names the columns of the table.

It runs while the store is in use: one table after the other is locked for a moment, against changes
only. Until the last of them, tables with the old function and with the new ones are side by side.
"""

from __future__ import annotations

from alembic import op

from graph.database.retyping.locks import transaction
from graph.store.log_functions import create_log_functions

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

locks = {
    "customers": "SHARE ROW EXCLUSIVE",
    "items": "SHARE ROW EXCLUSIVE",
    "order_lines": "SHARE ROW EXCLUSIVE",
    "orders": "SHARE ROW EXCLUSIVE",
}

_LOGGED = {
    "customers": ("Customer", ""),
    "items": ("Item", ""),
    "orders": ("Order", "id"),
    "order_lines": ("OrderLine", "order_id"),
}
_ROWS = {
    "INSERT": "NEW TABLE AS new_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
}
_LOG_CHANGES = """
    CREATE OR REPLACE FUNCTION log_changes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT TG_ARGV[0], id, kind, payload,
                   nullif(current_setting('graph.actor', true), ''), (after ->> TG_ARGV[1])::bigint
            FROM (SELECT n.id, to_jsonb(o) AS before, to_jsonb(n) AS after
                  FROM old_rows o JOIN new_rows n ON n.id = o.id) AS changes
            CROSS JOIN LATERAL (
                SELECT jsonb_object_agg(key, jsonb_build_array(was.value, becomes.value)) AS payload
                FROM jsonb_each(before) AS was JOIN jsonb_each(after) AS becomes USING (key)
                WHERE was.value <> becomes.value) AS differing
            CROSS JOIN LATERAL (
                -- An order that moves on names the event; PLACED is where it comes from.
                SELECT CASE WHEN payload ? 'status' AND after ->> 'status' <> 'PLACED'
                       THEN after ->> 'status' ELSE 'CHANGED' END AS kind) AS naming
            WHERE payload IS NOT NULL
            ORDER BY id;
        ELSIF TG_OP = 'INSERT' THEN
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT TG_ARGV[0], n.id, 'CREATED', to_jsonb(n) - 'id',
                   nullif(current_setting('graph.actor', true), ''),
                   (to_jsonb(n) ->> TG_ARGV[1])::bigint
            FROM new_rows n ORDER BY n.id;
        ELSE
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT TG_ARGV[0], o.id, 'DELETED', to_jsonb(o) - 'id',
                   nullif(current_setting('graph.actor', true), ''),
                   (to_jsonb(o) ->> TG_ARGV[1])::bigint
            FROM old_rows o ORDER BY o.id;
        END IF;
        RETURN NULL;
    END
    $$
"""
_OLD_TOUCH_ORDERS = """
    CREATE OR REPLACE FUNCTION touch_orders() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        touched bigint[];
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'INSERT' THEN
            touched := ARRAY(SELECT DISTINCT order_id FROM new_rows);
        ELSIF TG_OP = 'DELETE' THEN
            touched := ARRAY(SELECT DISTINCT order_id FROM old_rows);
        ELSE
            touched := ARRAY(SELECT DISTINCT unnest(ARRAY[o.order_id, n.order_id])
                             FROM old_rows o JOIN new_rows n USING (id)
                             WHERE (o.*) IS DISTINCT FROM (n.*));
        END IF;
        UPDATE orders SET version = version + 1,
            status = CASE WHEN pieces > 0 THEN status ELSE 'CANCELLED' END
        FROM (SELECT id AS touched_id,
                     (SELECT coalesce(sum(quantity - cancelled_quantity), 0) FROM order_lines
                      WHERE order_id = given.id) AS pieces
              FROM unnest(touched) AS given(id) OFFSET 0) AS remaining
        WHERE id = touched_id
        AND (xmin <> pg_current_xact_id()::xid OR (pieces = 0 AND status <> 'CANCELLED'));
        RETURN NULL;
    END
    $$
"""
_TOUCH_ORDERS = """
    CREATE OR REPLACE FUNCTION touch_orders() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'INSERT' THEN
            UPDATE orders SET version = version + 1, status = CASE
                WHEN EXISTS (
                SELECT FROM order_lines
                WHERE order_id = orders.id AND quantity > cancelled_quantity)
                THEN status ELSE 'CANCELLED' END
            WHERE id = ANY(ARRAY(SELECT order_id FROM new_rows))
            AND (xmin <> pg_current_xact_id()::xid
                 OR (status <> 'CANCELLED' AND NOT EXISTS (
                SELECT FROM order_lines
                WHERE order_id = orders.id AND quantity > cancelled_quantity)));
        ELSIF TG_OP = 'DELETE' THEN
            UPDATE orders SET version = version + 1, status = CASE
                WHEN EXISTS (
                SELECT FROM order_lines
                WHERE order_id = orders.id AND quantity > cancelled_quantity)
                THEN status ELSE 'CANCELLED' END
            WHERE id = ANY(ARRAY(SELECT order_id FROM old_rows))
            AND (xmin <> pg_current_xact_id()::xid
                 OR (status <> 'CANCELLED' AND NOT EXISTS (
                SELECT FROM order_lines
                WHERE order_id = orders.id AND quantity > cancelled_quantity)));
        ELSE
            UPDATE orders SET version = version + 1, status = CASE
                WHEN EXISTS (
                SELECT FROM order_lines
                WHERE order_id = orders.id AND quantity > cancelled_quantity)
                THEN status ELSE 'CANCELLED' END
            WHERE id = ANY(ARRAY(
                SELECT unnest(ARRAY[o.order_id, n.order_id])
                FROM old_rows o FULL JOIN new_rows n ON n.id = o.id
            WHERE coalesce(n.id = o.id, FALSE)
                AND (o.*) IS DISTINCT FROM (n.*)))
            AND (xmin <> pg_current_xact_id()::xid
                 OR (status <> 'CANCELLED' AND NOT EXISTS (
                SELECT FROM order_lines
                WHERE order_id = orders.id AND quantity > cancelled_quantity)));
        END IF;
        RETURN NULL;
    END
    $$
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        create_log_functions(op.get_bind(), _LOGGED)
        op.execute(_TOUCH_ORDERS)
        for table in _LOGGED:
            _log_by(table, f"log_{table}()")
        op.execute("DROP FUNCTION IF EXISTS log_changes()")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(_LOG_CHANGES)
        op.execute(_OLD_TOUCH_ORDERS)
        for table, (entity, order) in _LOGGED.items():
            _log_by(table, f"log_changes('{entity}', '{order}')")
        for table in _LOGGED:
            op.execute(f"DROP FUNCTION IF EXISTS log_{table}()")


def _log_by(table: str, function: str) -> None:
    with transaction(op.get_bind(), table, mode="SHARE ROW EXCLUSIVE"):
        for operation, rows in _ROWS.items():
            op.execute(
                f"CREATE OR REPLACE TRIGGER {table}_log_{operation.lower()} AFTER {operation}"
                f" ON {table} REFERENCING {rows} FOR EACH STATEMENT EXECUTE FUNCTION {function}"
            )
