"""The entities that files can hold: the checks of their rows, and the statements that merge them.

A batch is copied into temporary tables and merged from there by the natural key: customers by
username, items by name, orders by customer and date. The checks of `graph.database.writes` validate
each row by itself. SQL validates it against other rows; its results are (index in the batch, field,
code, message).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from graph.database.transfer.rows import Entity
from graph.store.models import OrderStatus

if TYPE_CHECKING:
    from graph.database.transfer.rows import Staged
    from graph.database.writes.values import Values

_CUSTOMER = ("first_name", "last_name", "username", "email", "address", "town")


def _customer(number: int, values: Values) -> Staged:
    texts = values.texts("Customer", *_CUSTOMER, required=True)
    values.email("email")
    return {"staged_customers": [(number, *texts.values())]}


def _item(number: int, values: Values) -> Staged:
    name = values.texts("Item", "name", required=True)["name"]
    prices = [values.money(price, required=True) for price in ("cost_price", "selling_price")]
    stock = values.stock() if values.given("stock") is not None else None
    return {"staged_items": [(number, name, *prices, stock)]}


def _order(number: int, values: Values) -> Staged:
    for name in ("username", "date_placed"):
        if values.given(name) is None:
            values.wrong(name, "REQUIRED", "A value is required.")
    lines = []
    for nth, line in enumerate(values.within("lines")):
        if line.given("item") is None:
            line.wrong("item", "REQUIRED", "A value is required.")
        price = line.money("unit_price", required=False)
        lines.append((number, nth, line.given("item"), line.pieces(), price))
    status = values.given("status") or OrderStatus.PLACED
    order = (number, values.given("username"), values.given("date_placed"), str(status))
    return {"staged_orders": [order], "staged_lines": lines}


# The last row with a key wins; refused rows are left out.
_LATEST_CUSTOMERS = """
    SELECT * FROM (SELECT DISTINCT ON (username) * FROM staged_customers
                   WHERE nth <> ALL($1::integer[]) ORDER BY username, nth DESC) AS latest
    ORDER BY nth
"""
_LATEST_ITEMS = """
    SELECT DISTINCT ON (name) * FROM staged_items
    WHERE nth <> ALL($1::integer[]) ORDER BY name, nth DESC
"""
# Sub-selects in the list of columns: they cannot become a join that reads the whole store.
_REFUSE_CUSTOMERS = """
    SELECT nth, 'email', 'TAKEN', 'The mail address is that of another customer.'
    FROM (SELECT nth, username,
                 (SELECT username FROM customers WHERE lower(customers.email) = lower(new.email))
                     AS owner,
                 first_value(username) OVER (PARTITION BY lower(email) ORDER BY nth) AS first
          FROM staged_customers AS new) AS found
    WHERE owner <> username OR first <> username
"""
_MERGE_CUSTOMERS = f"""
    INSERT INTO customers AS old (first_name, last_name, username, email, address, town)
    SELECT first_name, last_name, username, email, address, town FROM ({_LATEST_CUSTOMERS}) AS new
    ON CONFLICT (username) DO UPDATE SET first_name = excluded.first_name,
        last_name = excluded.last_name, email = excluded.email, address = excluded.address,
        town = excluded.town
    WHERE (old.first_name, old.last_name, old.email, old.address, old.town) IS DISTINCT FROM
        (excluded.first_name, excluded.last_name, excluded.email, excluded.address, excluded.town)
"""  # noqa: S608  all of it is ours
_REFUSE_ITEMS = """
    SELECT nth, 'name', 'AMBIGUOUS', 'Several items have this name.'
    FROM (SELECT nth, (SELECT count(*) FROM items WHERE items.name = new.name) AS number
          FROM staged_items AS new) AS found
    WHERE number > 1
"""
_UPDATE_ITEMS = f"""
    UPDATE items SET cost_price = new.cost_price, selling_price = new.selling_price,
        stock = coalesce(new.stock, items.stock)
    FROM ({_LATEST_ITEMS}) AS new WHERE items.name = new.name
    AND (items.cost_price, items.selling_price, items.stock) IS DISTINCT FROM
        (new.cost_price, new.selling_price, coalesce(new.stock, items.stock))
"""  # noqa: S608
_INSERT_ITEMS = f"""
    INSERT INTO items (name, cost_price, selling_price, stock)
    SELECT name, cost_price, selling_price, stock
    FROM (SELECT *, (SELECT min(id) FROM items WHERE items.name = latest.name) AS old
          FROM ({_LATEST_ITEMS}) AS latest) AS new
    WHERE old IS NULL ORDER BY nth
"""  # noqa: S608
_REFUSE_ORDERS = """
    SELECT nth, 'username', 'NOT_FOUND', 'There is no such customer.'
    FROM (SELECT nth, (SELECT id FROM customers WHERE customers.username = new.username) AS id
          FROM staged_orders AS new) AS found
    WHERE id IS NULL
    UNION ALL
    SELECT nth, 'lines.' || line || '.item',
           CASE number WHEN 0 THEN 'NOT_FOUND' ELSE 'AMBIGUOUS' END,
           number || ' items have this name.'
    FROM (SELECT nth, line, (SELECT count(*) FROM items WHERE items.name = new.item) AS number
          FROM staged_lines AS new) AS found
    WHERE number <> 1
"""
# An existing order is not changed.
_KEY_ORDERS = """
    UPDATE staged_orders SET id = nextval(pg_get_serial_sequence('orders', 'id')),
        customer_id = new.customer_id
    FROM (SELECT nth, customer_id,
                 row_number() OVER (PARTITION BY customer_id, date_placed ORDER BY nth) AS same,
                 (SELECT min(id) FROM orders WHERE orders.customer_id = found.customer_id
                  AND orders.date_placed = found.date_placed) AS old
          FROM (SELECT nth, date_placed, (SELECT id FROM customers
                WHERE customers.username = staged_orders.username) AS customer_id
                FROM staged_orders WHERE nth <> ALL($1::integer[])) AS found) AS new
    WHERE staged_orders.nth = new.nth AND same = 1 AND old IS NULL
"""
_INSERT_ORDERS = """
    INSERT INTO orders (id, customer_id, date_placed, status)
    SELECT id, customer_id, date_placed, status FROM staged_orders
    WHERE id IS NOT NULL AND nth <> ALL($1::integer[]) ORDER BY nth
"""
_INSERT_LINES = """
    INSERT INTO order_lines (order_id, item_id, quantity, unit_price, item_name, cancelled)
    SELECT staged_orders.id, found.id, quantity, coalesce(unit_price, selling_price), found.name,
           CASE status WHEN 'CANCELLED' THEN quantity ELSE 0 END
    FROM staged_orders JOIN staged_lines USING (nth)
    CROSS JOIN LATERAL (SELECT * FROM items WHERE items.name = staged_lines.item LIMIT 1) AS found
    WHERE staged_orders.id IS NOT NULL AND nth <> ALL($1::integer[]) ORDER BY nth, line
"""

_TEXTS = dict.fromkeys(_CUSTOMER, "text")

ENTITIES: dict[str, Entity] = {
    "customers": Entity(
        types=dict.fromkeys(("firstName", "lastName", "username", "email", "address", "town"), str),
        tables={"staged_customers": {"nth": "integer", **_TEXTS}},
        read=_customer,
        refuse=_REFUSE_CUSTOMERS,
        merge=(_MERGE_CUSTOMERS,),
    ),
    "items": Entity(
        types={"name": str, "costPrice": Decimal, "sellingPrice": Decimal, "stock": int},
        tables={
            "staged_items": {
                "nth": "integer",
                "name": "text",
                "cost_price": "numeric",
                "selling_price": "numeric",
                "stock": "integer",
            }
        },
        read=_item,
        refuse=_REFUSE_ITEMS,
        merge=(_UPDATE_ITEMS, _INSERT_ITEMS),
    ),
    "orders": Entity(
        types={
            "username": str,
            "datePlaced": datetime,
            "status": OrderStatus,
            "lines": {"item": str, "quantity": int, "unitPrice": Decimal},
        },
        tables={
            "staged_orders": {
                "nth": "integer",
                "username": "text",
                "date_placed": "timestamptz",
                "status": "text",
                "id": "integer",
                "customer_id": "integer",
            },
            "staged_lines": {
                "nth": "integer",
                "line": "integer",
                "item": "text",
                "quantity": "integer",
                "unit_price": "numeric",
            },
        },
        read=_order,
        refuse=_REFUSE_ORDERS,
        merge=(_KEY_ORDERS, _INSERT_ORDERS, _INSERT_LINES),
        has_lists=True,
    ),
}
