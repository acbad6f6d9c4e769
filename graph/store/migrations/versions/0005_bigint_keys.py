"""Keys are bigints, and dry runs take theirs from a sequence of their own.

It runs while the store is in use: `graph.database.retyping` says how. Meanwhile the triggers'
functions take no notice of the columns that stand in for others, nor of what fills them.
"""

from __future__ import annotations

from alembic import op

from graph.database.retyping import change_types, transaction

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

locks = {
    "customers": "ACCESS EXCLUSIVE",
    "events": "ACCESS EXCLUSIVE",
    "items": "ACCESS EXCLUSIVE",
    "order_lines": "ACCESS EXCLUSIVE",
    "orders": "ACCESS EXCLUSIVE",
}

KEYS = {
    "customers": ("id",),
    "items": ("id",),
    "orders": ("id", "customer_id"),
    "order_lines": ("id", "order_id", "item_id"),
    "events": ("id", "entity_id", "order_id"),
}
FILLING = {"graph.logging": "off"}

_STAND_INS = sorted({f"'{column}_new'" for columns in KEYS.values() for column in columns})
_HIDE = f" - ARRAY[{', '.join(_STAND_INS)}]"
_RETURN_IF_FILLING = """
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NEW;
        END IF;"""


def functions(key: str, *, meanwhile: bool) -> dict[str, str]:
    """The bodies of the triggers' functions; `meanwhile` are those for the time of the change."""
    hide, unless = (_HIDE, _RETURN_IF_FILLING) if meanwhile else ("", "")
    differ = "(o.*) IS DISTINCT FROM (n.*)"
    if meanwhile:
        differ = f"to_jsonb(o){hide} <> to_jsonb(n){hide}"
    return {
        "touch": f"""
    BEGIN{unless}
        NEW.version := OLD.version + 1;
        RETURN NEW;
    END
    """,
        "touch_customer": f"""
    BEGIN{unless}
        NEW.version := OLD.version + 1;
        IF NEW.updated_on = OLD.updated_on THEN
            NEW.updated_on := now();
        END IF;
        RETURN NEW;
    END
    """,
        "log_changes": f"""
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT TG_ARGV[0], id, kind, payload,
                   nullif(current_setting('graph.actor', true), ''), (after ->> TG_ARGV[1])::{key}
            FROM (SELECT n.id, to_jsonb(o){hide} AS before, to_jsonb(n){hide} AS after
                  FROM old_rows o JOIN new_rows n ON n.id = o.id) AS changes
            CROSS JOIN LATERAL (
                SELECT jsonb_object_agg(key, jsonb_build_array(was.value, becomes.value)) AS payload
                FROM jsonb_each(before) AS was JOIN jsonb_each(after) AS becomes USING (key)
                WHERE was.value <> becomes.value) AS differing
            CROSS JOIN LATERAL (
                SELECT CASE WHEN payload ? 'status' THEN after ->> 'status' ELSE 'CHANGED' END
                    AS kind) AS naming
            WHERE payload IS NOT NULL
            ORDER BY id;
        ELSIF TG_OP = 'INSERT' THEN
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT TG_ARGV[0], n.id, 'CREATED', to_jsonb(n){hide} - 'id',
                   nullif(current_setting('graph.actor', true), ''),
                   (to_jsonb(n) ->> TG_ARGV[1])::{key}
            FROM new_rows n ORDER BY n.id;
        ELSE
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT TG_ARGV[0], o.id, 'DELETED', to_jsonb(o){hide} - 'id',
                   nullif(current_setting('graph.actor', true), ''),
                   (to_jsonb(o) ->> TG_ARGV[1])::{key}
            FROM old_rows o ORDER BY o.id;
        END IF;
        RETURN NULL;
    END
    """,  # noqa: S608
        "touch_orders": f"""
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'INSERT' THEN
            UPDATE orders SET version = version + 1
            WHERE id IN (SELECT order_id FROM new_rows) AND xmin <> pg_current_xact_id()::xid;
        ELSIF TG_OP = 'DELETE' THEN
            UPDATE orders SET version = version + 1
            WHERE id IN (SELECT order_id FROM old_rows) AND xmin <> pg_current_xact_id()::xid;
        ELSE
            UPDATE orders SET version = version + 1
            WHERE id IN (SELECT unnest(ARRAY[o.order_id, n.order_id])
                         FROM old_rows o JOIN new_rows n USING (id)
                         WHERE {differ})
            AND xmin <> pg_current_xact_id()::xid;
        END IF;
        RETURN NULL;
    END
    """,  # noqa: S608
        "refuse_change": f"""
    BEGIN{unless}
        RAISE EXCEPTION 'events are neither changed nor deleted';
    END
    """,
    }


def upgrade() -> None:
    _change("bigint")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for table in KEYS:
            _take_keys_from(table, f"'{table}_id_seq'::regclass")
        op.execute("DROP SEQUENCE IF EXISTS dry_run_keys")
    _change("integer")


def _change(type_: str) -> None:
    with op.get_context().autocommit_block():
        _replace(functions(type_, meanwhile=True))
        for table, columns in KEYS.items():
            change_types(op.get_bind(), table, columns, type_, while_filling=FILLING)
        _replace(functions(type_, meanwhile=False))
        if type_ == "bigint":
            op.execute(f"CREATE SEQUENCE IF NOT EXISTS dry_run_keys MINVALUE {2**62} CYCLE")
            for table in KEYS:
                _take_keys_from(
                    table,
                    "CASE current_setting('graph.dry_run', true) WHEN 'on'"
                    f" THEN 'dry_run_keys'::regclass ELSE '{table}_id_seq'::regclass END",
                )


def _replace(bodies: dict[str, str]) -> None:
    for name, body in bodies.items():
        op.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$"
        )


def _take_keys_from(table: str, sequence: str) -> None:
    with transaction(op.get_bind(), table):
        op.execute(f"ALTER TABLE {table} ALTER id SET DEFAULT nextval({sequence})")
