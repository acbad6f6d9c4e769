"""The store: customers, items, orders, order lines."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

downgrade_drops = (
    "customers",
    "items",
    "order_lines",
    "orders",
)

# One statement each: asyncpg prepares what it runs, and prepares one statement at a time.
UPGRADE = (
    """
    CREATE TABLE customers (
        id serial NOT NULL,
        first_name varchar(100) NOT NULL,
        last_name varchar(100) NOT NULL,
        username varchar(50) NOT NULL,
        email varchar(200) NOT NULL,
        address varchar(200) NOT NULL,
        town varchar(100) NOT NULL,
        created_on timestamptz NOT NULL DEFAULT now(),
        updated_on timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT customers_pkey PRIMARY KEY (id),
        CONSTRAINT customers_username_key UNIQUE (username),
        CONSTRAINT customers_created_on_check CHECK (
            created_on >= '0001-01-01 00:00:00+00' AND created_on < '10000-01-01 00:00:00+00'),
        CONSTRAINT customers_updated_on_check CHECK (
            updated_on >= '0001-01-01 00:00:00+00' AND updated_on < '10000-01-01 00:00:00+00')
    )
    """,
    "CREATE UNIQUE INDEX customers_lower_email_key ON customers (lower(email))",
    """
    CREATE TABLE items (
        id serial NOT NULL,
        name varchar(200) NOT NULL,
        cost_price numeric(10, 2) NOT NULL,
        selling_price numeric(10, 2) NOT NULL,
        CONSTRAINT items_pkey PRIMARY KEY (id),
        CONSTRAINT items_cost_price_check CHECK (cost_price >= 0 AND cost_price <> 'NaN'),
        CONSTRAINT items_selling_price_check CHECK (selling_price >= 0 AND selling_price <> 'NaN')
    )
    """,
    """
    CREATE TABLE orders (
        id serial NOT NULL,
        customer_id integer NOT NULL,
        date_placed timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT orders_pkey PRIMARY KEY (id),
        CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customers (id),
        CONSTRAINT orders_date_placed_check CHECK (
            date_placed >= '0001-01-01 00:00:00+00' AND date_placed < '10000-01-01 00:00:00+00')
    )
    """,
    "CREATE INDEX orders_customer_id_id_idx ON orders (customer_id, id)",
    """
    CREATE TABLE order_lines (
        id serial NOT NULL,
        order_id integer NOT NULL,
        item_id integer NOT NULL,
        quantity smallint NOT NULL,
        CONSTRAINT order_lines_pkey PRIMARY KEY (id),
        CONSTRAINT order_lines_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders (id),
        CONSTRAINT order_lines_item_id_fkey FOREIGN KEY (item_id) REFERENCES items (id),
        CONSTRAINT order_lines_quantity_check CHECK (quantity > 0)
    )
    """,
    "CREATE INDEX order_lines_order_id_id_idx ON order_lines (order_id, id)",
    "CREATE INDEX order_lines_item_id_id_idx ON order_lines (item_id, id)",
)
DOWNGRADE = (
    "DROP TABLE order_lines",
    "DROP TABLE orders",
    "DROP TABLE items",
    "DROP TABLE customers",
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE:
        op.execute(statement)
