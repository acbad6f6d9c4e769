"""Names say what they hold: `cancelled_quantity` was `cancelled`, `occurred_at` was `at`.

The history is rewritten while it is in use: `refuse_change` lets the migration's own transaction
pass. Nobody else sees that function. Events that are written meanwhile are found by a second pass,
under the lock of the table whose column is renamed.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

locks = {
    "events": "ACCESS EXCLUSIVE",
    "order_lines": "ACCESS EXCLUSIVE",
}

# Events are committed in another order than that of their numbers: the second pass begins earlier.
_LOOKBACK_EVENTS = 100_000

_REFUSE_CHANGE = """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {statement};
    END
    $$
"""
# Only PostgreSQL 18 and newer have a constraint for NOT NULL.
_RENAME_CONSTRAINT = """
    DO $$
    BEGIN
        IF EXISTS (SELECT FROM pg_constraint
                   WHERE conrelid = '{table}'::regclass AND conname = '{old}') THEN
            ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new};
        END IF;
    END
    $$
"""
_TOUCH_ORDERS = """
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
                     (SELECT coalesce(sum(quantity - {column}), 0) FROM order_lines
                      WHERE order_id = given.id) AS pieces
              FROM unnest(touched) AS given(id) OFFSET 0) AS remaining
        WHERE id = touched_id
        AND (xmin <> pg_current_xact_id()::xid OR (pieces = 0 AND status <> 'CANCELLED'));
        RETURN NULL;
    END
    $$
"""


def upgrade() -> None:
    _rename_pieces("cancelled", "cancelled_quantity")
    _rename("events", "at", "occurred_at")


def downgrade() -> None:
    _rename("events", "occurred_at", "at")
    _rename_pieces("cancelled_quantity", "cancelled")


def _rename_pieces(old: str, new: str) -> None:
    in_history = f"""
        UPDATE events SET payload =
            payload - '{old}' || jsonb_build_object('{new}', payload -> '{old}')
        WHERE entity = 'OrderLine' AND payload ? '{old}'
    """  # noqa: S608  names of columns
    op.execute(_REFUSE_CHANGE.format(statement="RETURN NULL"))
    op.execute("CREATE TEMPORARY TABLE searched ON COMMIT DROP AS SELECT max(id) AS id FROM events")
    op.execute(in_history)
    _rename("order_lines", old, new)
    op.execute(_TOUCH_ORDERS.format(column=new))
    op.execute(f"{in_history} AND id > (SELECT id - {_LOOKBACK_EVENTS} FROM searched)")  # noqa: S608
    op.execute(
        _REFUSE_CHANGE.format(statement="RAISE EXCEPTION 'events are neither changed nor deleted'")
    )


def _rename(table: str, old: str, new: str) -> None:
    op.execute(f"ALTER TABLE {table} RENAME {old} TO {new}")
    for kind in ("check", "not_null"):
        names = {"old": f"{table}_{old}_{kind}", "new": f"{table}_{new}_{kind}"}
        op.execute(_RENAME_CONSTRAINT.format(table=table, **names))
