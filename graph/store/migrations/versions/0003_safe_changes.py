"""What was true when an order was placed, its status, stock, versions, events, request keys."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

locks = {
    "customers": "ACCESS EXCLUSIVE",
    "items": "ACCESS EXCLUSIVE, reads all rows",
    "order_lines": "ACCESS EXCLUSIVE, reads all rows",
    "orders": "ACCESS EXCLUSIVE, reads all rows",
}
downgrade_drops = (
    "customers.version",
    "events",
    "items.stock",
    "items.version",
    "order_lines.cancelled",
    "order_lines.item_name",
    "order_lines.unit_price",
    "orders.status",
    "orders.version",
)

# One statement each: asyncpg prepares what it runs, and prepares one statement at a time.
TABLES = (
    "ALTER TABLE customers ADD version integer NOT NULL DEFAULT 1",
    """
    ALTER TABLE items
        ADD stock integer,
        ADD version integer NOT NULL DEFAULT 1,
        ADD CONSTRAINT items_stock_check CHECK (stock >= 0)
    """,
    """
    ALTER TABLE orders
        ADD status varchar(20) NOT NULL DEFAULT 'PLACED',
        ADD version integer NOT NULL DEFAULT 1,
        ADD CONSTRAINT orders_status_check CHECK (
            status IN ('PLACED', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED'))
    """,
    # What lines were placed at is not known: today's price and name come nearest to it.
    """
    ALTER TABLE order_lines
        ADD unit_price numeric(10, 2),
        ADD item_name varchar(200),
        ADD cancelled smallint NOT NULL DEFAULT 0
    """,
    """
    UPDATE order_lines SET unit_price = items.selling_price, item_name = items.name
    FROM items WHERE items.id = order_lines.item_id
    """,
    """
    ALTER TABLE order_lines
        ALTER unit_price SET NOT NULL,
        ALTER item_name SET NOT NULL,
        ADD CONSTRAINT order_lines_unit_price_check CHECK (unit_price >= 0 AND unit_price <> 'NaN'),
        ADD CONSTRAINT order_lines_cancelled_check CHECK (
            cancelled >= 0 AND cancelled <= quantity)
    """,
    """
    CREATE TABLE events (
        id serial NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        entity varchar(20) NOT NULL,
        entity_id integer NOT NULL,
        kind varchar(20) NOT NULL,
        payload jsonb NOT NULL,
        actor varchar(200),
        order_id integer,
        CONSTRAINT events_pkey PRIMARY KEY (id),
        CONSTRAINT events_at_check CHECK (
            at >= '0001-01-01 00:00:00+00' AND at < '10000-01-01 00:00:00+00'),
        CONSTRAINT events_kind_check CHECK (kind IN (
            'CREATED', 'CHANGED', 'DELETED', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED'))
    )
    """,
    "CREATE INDEX events_order_id_id_idx ON events (order_id, id)",
)
FUNCTIONS = (
    """
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.version := OLD.version + 1;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE FUNCTION touch_customer() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.version := OLD.version + 1;
        IF NEW.updated_on = OLD.updated_on THEN
            NEW.updated_on := now();
        END IF;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE FUNCTION price_line() RETURNS trigger LANGUAGE plpgsql AS $$
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
    $$
    """,
    """
    CREATE FUNCTION log_changes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('graph.logging', true) = 'off' THEN
            RETURN NULL;
        END IF;
        IF TG_OP = 'UPDATE' THEN
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT TG_ARGV[0], id, kind, payload,
                   nullif(current_setting('graph.actor', true), ''), (after ->> TG_ARGV[1])::integer
            FROM (SELECT n.id, to_jsonb(o) AS before, to_jsonb(n) AS after
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
            SELECT TG_ARGV[0], n.id, 'CREATED', to_jsonb(n) - 'id',
                   nullif(current_setting('graph.actor', true), ''),
                   (to_jsonb(n) ->> TG_ARGV[1])::integer
            FROM new_rows n ORDER BY n.id;
        ELSE
            INSERT INTO events (entity, entity_id, kind, payload, actor, order_id)
            SELECT TG_ARGV[0], o.id, 'DELETED', to_jsonb(o) - 'id',
                   nullif(current_setting('graph.actor', true), ''),
                   (to_jsonb(o) ->> TG_ARGV[1])::integer
            FROM old_rows o ORDER BY o.id;
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE FUNCTION touch_orders() RETURNS trigger LANGUAGE plpgsql AS $$
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
                         WHERE (o.*) IS DISTINCT FROM (n.*))
            AND xmin <> pg_current_xact_id()::xid;
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'events are neither changed nor deleted';
    END
    $$
    """,
)
TRIGGERS = (
    """
    CREATE TRIGGER customers_touch BEFORE UPDATE ON customers FOR EACH ROW WHEN (OLD.*
    IS DISTINCT FROM NEW.*) EXECUTE FUNCTION touch_customer()
    """,
    """
    CREATE TRIGGER items_touch BEFORE UPDATE ON items FOR EACH ROW WHEN (OLD.* IS
    DISTINCT FROM NEW.*) EXECUTE FUNCTION touch()
    """,
    """
    CREATE TRIGGER orders_touch BEFORE UPDATE ON orders FOR EACH ROW WHEN (OLD.* IS
    DISTINCT FROM NEW.*) EXECUTE FUNCTION touch()
    """,
    """
    CREATE TRIGGER order_lines_price BEFORE INSERT ON order_lines FOR EACH ROW WHEN
    (NEW.unit_price IS NULL OR NEW.item_name IS NULL) EXECUTE FUNCTION price_line()
    """,
    """
    CREATE TRIGGER customers_log_insert AFTER INSERT ON customers REFERENCING NEW TABLE
    AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION log_changes('Customer', '')
    """,
    """
    CREATE TRIGGER customers_log_update AFTER UPDATE ON customers REFERENCING OLD TABLE
    AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION
    log_changes('Customer', '')
    """,
    """
    CREATE TRIGGER customers_log_delete AFTER DELETE ON customers REFERENCING OLD TABLE
    AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION log_changes('Customer', '')
    """,
    """
    CREATE TRIGGER items_log_insert AFTER INSERT ON items REFERENCING NEW TABLE AS
    new_rows FOR EACH STATEMENT EXECUTE FUNCTION log_changes('Item', '')
    """,
    """
    CREATE TRIGGER items_log_update AFTER UPDATE ON items REFERENCING OLD TABLE AS
    old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION
    log_changes('Item', '')
    """,
    """
    CREATE TRIGGER items_log_delete AFTER DELETE ON items REFERENCING OLD TABLE AS
    old_rows FOR EACH STATEMENT EXECUTE FUNCTION log_changes('Item', '')
    """,
    """
    CREATE TRIGGER orders_log_insert AFTER INSERT ON orders REFERENCING NEW TABLE AS
    new_rows FOR EACH STATEMENT EXECUTE FUNCTION log_changes('Order', 'id')
    """,
    """
    CREATE TRIGGER orders_log_update AFTER UPDATE ON orders REFERENCING OLD TABLE AS
    old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION
    log_changes('Order', 'id')
    """,
    """
    CREATE TRIGGER orders_log_delete AFTER DELETE ON orders REFERENCING OLD TABLE AS
    old_rows FOR EACH STATEMENT EXECUTE FUNCTION log_changes('Order', 'id')
    """,
    """
    CREATE TRIGGER order_lines_log_insert AFTER INSERT ON order_lines REFERENCING NEW
    TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION log_changes('OrderLine',
    'order_id')
    """,
    """
    CREATE TRIGGER order_lines_log_update AFTER UPDATE ON order_lines REFERENCING OLD
    TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION
    log_changes('OrderLine', 'order_id')
    """,
    """
    CREATE TRIGGER order_lines_log_delete AFTER DELETE ON order_lines REFERENCING OLD
    TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION log_changes('OrderLine',
    'order_id')
    """,
    """
    CREATE TRIGGER order_lines_touch_insert AFTER INSERT ON order_lines REFERENCING NEW
    TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION touch_orders()
    """,
    """
    CREATE TRIGGER order_lines_touch_update AFTER UPDATE ON order_lines REFERENCING OLD
    TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION
    touch_orders()
    """,
    """
    CREATE TRIGGER order_lines_touch_delete AFTER DELETE ON order_lines REFERENCING OLD
    TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION touch_orders()
    """,
    """
    CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE ON events FOR EACH
    STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)
DROPS = (
    "DROP TABLE events",
    "DROP FUNCTION touch() CASCADE",
    "DROP FUNCTION touch_customer() CASCADE",
    "DROP FUNCTION price_line() CASCADE",
    "DROP FUNCTION log_changes() CASCADE",
    "DROP FUNCTION touch_orders() CASCADE",
    "DROP FUNCTION refuse_change() CASCADE",
    "ALTER TABLE order_lines DROP unit_price, DROP item_name, DROP cancelled",
    "ALTER TABLE orders DROP status, DROP version",
    "ALTER TABLE items DROP stock, DROP version",
    "ALTER TABLE customers DROP version",
)


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    for statement in DROPS:
        op.execute(statement)
