"""Lines of a new order cost no UPDATE of their order; events are written by fewer expressions.

The functions of the events are written anew after each migration, so nothing of them stands here.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# The triggers do the same as before, and work with what is there.
serves = "0014"
is_required = False

_OLD_TOUCH_ORDERS = """
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
_TOUCH_ORDERS = """
    CREATE OR REPLACE FUNCTION touch_orders() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'INSERT' THEN
            IF EXISTS (
                SELECT FROM new_rows WHERE quantity = cancelled_quantity OR EXISTS (
                    SELECT FROM orders WHERE id = order_id
                    AND xmin <> pg_current_xact_id()::xid OFFSET 0)) THEN
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
            END IF;
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
    op.execute(_TOUCH_ORDERS)


def downgrade() -> None:
    op.execute(_OLD_TOUCH_ORDERS)
