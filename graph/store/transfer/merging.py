"""How a batch of a file becomes rows: the statements on what was staged, in the order they run.

Keys are looked up in sub-selects: such cannot become a join that reads the whole store. Statements
that refuse select (nth, field, code, message); those that merge may return counts.

An order of a file is a record of what was: it takes nothing from stock. Where it says what its
lines have `taken`, so it is, and stock is left to the file of items. Where it does not, its lines
hold what they held, and pieces that they lose go back to stock.
"""

from __future__ import annotations

# Customers

CUSTOMER_TABLES = {
    "staged_customers": {
        "nth": "integer",
        **dict.fromkeys(
            ("first_name", "last_name", "username", "email", "address", "town"), "text"
        ),
        **dict.fromkeys(("created_on", "updated_on"), "text"),
        "id": "bigint",
    }
}
RESOLVE_CUSTOMERS = (
    """
    UPDATE staged_customers SET id = (SELECT customers.id FROM customers
                                      WHERE customers.username = staged_customers.username)
    """,
)
# An address is free if nobody has it when the batch has ended: customers may swap theirs. `stuck`
# follows the chain of those who wait for an address that stays where it is. Of several who would
# end with one address, the one who has it now comes first, then the first of the file.
REFUSE_CUSTOMERS = (
    """
    WITH RECURSIVE latest AS MATERIALIZED (
        SELECT DISTINCT ON (username) nth, username, lower(email) AS email
        FROM staged_customers ORDER BY username, nth DESC
    ), found AS MATERIALIZED (
        SELECT *, (SELECT customers.username FROM customers
                   WHERE lower(customers.email) = latest.email) AS owner FROM latest
    ), stuck AS (
        SELECT found.nth, found.username
        FROM found LEFT JOIN found AS leaving ON leaving.username = found.owner
        WHERE found.owner <> found.username
        AND (leaving.nth IS NULL OR leaving.email = found.email)
        UNION
        SELECT found.nth, found.username FROM found JOIN stuck ON stuck.username = found.owner
        WHERE found.owner <> found.username
    ), shared AS (
        SELECT nth, username, first_value(nth) OVER (
            PARTITION BY email ORDER BY owner IS NOT DISTINCT FROM username DESC, nth) AS first
        FROM found WHERE nth NOT IN (SELECT nth FROM stuck)
    )
    SELECT nth, 'email', 'TAKEN', 'The mail address is that of another customer.'
    FROM (SELECT nth FROM stuck UNION SELECT nth FROM shared WHERE nth <> first) AS refused
    """,
)
# The last row of a name counts.
_SUPERSEDE_CUSTOMERS = """
    WITH superseded AS (
        DELETE FROM staged_customers WHERE nth IN (
            SELECT nth FROM (SELECT nth, lead(nth) OVER (
                                 PARTITION BY username ORDER BY nth) AS later
                             FROM staged_customers) AS rows WHERE later IS NOT NULL)
        RETURNING 1)
    SELECT count(*) AS superseded FROM superseded
"""
# A unique index is checked row by row: who gives up an address that another gets steps aside first.
_STEP_ASIDE = """
    UPDATE customers SET email = 'customer-' || customers.id || '@moving.invalid'
    FROM staged_customers AS new
    WHERE customers.id = new.id AND lower(customers.email) <> lower(new.email)
    AND lower(customers.email) IN (SELECT lower(email) FROM staged_customers)
"""
_UPDATE_CUSTOMERS = """
    WITH changed AS (
        UPDATE customers AS old SET first_name = new.first_name, last_name = new.last_name,
            email = new.email, address = new.address, town = new.town,
            created_on = coalesce(new.created_on::timestamptz, old.created_on),
            updated_on = coalesce(new.updated_on::timestamptz, now())
        FROM staged_customers AS new WHERE old.id = new.id
        AND (old.first_name, old.last_name, old.email, old.address, old.town,
             old.created_on, old.updated_on) IS DISTINCT FROM
            (new.first_name, new.last_name, new.email, new.address, new.town,
             coalesce(new.created_on::timestamptz, old.created_on),
             coalesce(new.updated_on::timestamptz, old.updated_on))
        RETURNING 1)
    SELECT count(*) AS changed FROM changed
"""
_INSERT_CUSTOMERS = """
    WITH added AS (
        INSERT INTO customers
            (first_name, last_name, username, email, address, town, created_on, updated_on)
        SELECT first_name, last_name, username, email, address, town,
               coalesce(created_on::timestamptz, now()), coalesce(updated_on::timestamptz, now())
        FROM staged_customers WHERE id IS NULL ORDER BY nth
        RETURNING 1)
    SELECT count(*) AS added FROM added
"""
MERGE_CUSTOMERS = (
    "SET LOCAL graph.updated_on = 'given'",
    _SUPERSEDE_CUSTOMERS,
    _STEP_ASIDE,
    _UPDATE_CUSTOMERS,
    _INSERT_CUSTOMERS,
)

# Items

ITEM_TABLES = {
    "staged_items": {
        "nth": "integer",
        "name": "text",
        "cost_price": "numeric",
        "selling_price": "numeric",
        "stock": "integer",
        "says_stock": "boolean",
        "ordinal": "bigint",
        "known": "bigint",
        "id": "bigint",
        "place": "integer",
    }
}
RESOLVE_ITEMS = (
    """
    UPDATE staged_items SET
        known = (SELECT count(*) FROM items WHERE items.name = staged_items.name),
        id = (SELECT items.id FROM items WHERE items.name = staged_items.name
              ORDER BY items.id OFFSET coalesce(ordinal, 1) - 1 LIMIT 1)
    """,
)
# Ordinals are those of the store: one that leaves out others would become theirs.
_GAP = """
    coalesce(ordinal, 1) > 1 + greatest(known, max(coalesce(ordinal, 1)) OVER (
        PARTITION BY {key} ORDER BY nth ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
"""
REFUSE_ITEMS = (
    """
    SELECT nth, 'name', 'AMBIGUOUS', 'Several items have this name: ''ordinal'' tells which one.'
    FROM staged_items WHERE ordinal IS NULL AND known > 1
    """,
    f"""
    SELECT nth, 'ordinal', 'NOT_FOUND', 'There are fewer items of this name before it.'
    FROM (SELECT nth, {_GAP.format(key="name")} AS gap FROM staged_items) AS found WHERE gap
    """,  # noqa: S608  all of it is ours
)
# The last row counts, at the place of the first: ordinals are in the order of ids.
_PLACE_ITEMS = """
    UPDATE staged_items SET place = first FROM (
        SELECT nth, min(nth) OVER (PARTITION BY name, coalesce(ordinal, 1)) AS first
        FROM staged_items) AS found
    WHERE found.nth = staged_items.nth
"""
_SUPERSEDE_ITEMS = """
    WITH superseded AS (
        DELETE FROM staged_items WHERE nth IN (
            SELECT nth FROM (SELECT nth, lead(nth) OVER (
                                 PARTITION BY name, coalesce(ordinal, 1) ORDER BY nth) AS later
                             FROM staged_items) AS rows WHERE later IS NOT NULL)
        RETURNING 1)
    SELECT count(*) AS superseded FROM superseded
"""
_UPDATE_ITEMS = """
    WITH changed AS (
        UPDATE items SET cost_price = new.cost_price, selling_price = new.selling_price,
            stock = CASE WHEN says_stock THEN new.stock ELSE items.stock END
        FROM staged_items AS new WHERE items.id = new.id
        AND (items.cost_price, items.selling_price, items.stock) IS DISTINCT FROM
            (new.cost_price, new.selling_price,
             CASE WHEN says_stock THEN new.stock ELSE items.stock END)
        RETURNING 1)
    SELECT count(*) AS changed FROM changed
"""
_INSERT_ITEMS = """
    WITH added AS (
        INSERT INTO items (name, cost_price, selling_price, stock)
        SELECT name, cost_price, selling_price, stock
        FROM staged_items WHERE id IS NULL ORDER BY place
        RETURNING 1)
    SELECT count(*) AS added FROM added
"""
MERGE_ITEMS = (_PLACE_ITEMS, _SUPERSEDE_ITEMS, _UPDATE_ITEMS, _INSERT_ITEMS)

# Orders

ORDER_TABLES = {
    "staged_orders": {
        "nth": "integer",
        "username": "text",
        "placed": "text",
        "status": "text",
        "ordinal": "bigint",
        "says_taken": "boolean",
        "lines": "integer",
        "customer_id": "bigint",
        "date_placed": "timestamptz",
        "known": "bigint",
        "id": "bigint",
        "is_new": "boolean",
        "was": "text",
        "is_changed": "boolean",
    },
    "staged_lines": {
        "nth": "integer",
        "line": "integer",
        "item": "text",
        "item_ordinal": "bigint",
        "item_name": "text",
        "quantity": "smallint",
        "cancelled_quantity": "smallint",
        "taken": "smallint",
        "unit_price": "numeric",
        "known": "bigint",
        "item_id": "bigint",
        "line_id": "bigint",
    },
}
RESOLVE_ORDERS = (
    """
    UPDATE staged_orders SET date_placed = placed::timestamptz, customer_id = (
        SELECT customers.id FROM customers WHERE customers.username = staged_orders.username)
    """,
    """
    UPDATE staged_orders SET
        known = (SELECT count(*) FROM orders WHERE orders.customer_id = staged_orders.customer_id
                 AND orders.date_placed = staged_orders.date_placed),
        id = (SELECT orders.id FROM orders WHERE orders.customer_id = staged_orders.customer_id
              AND orders.date_placed = staged_orders.date_placed
              ORDER BY orders.id OFFSET coalesce(ordinal, 1) - 1 LIMIT 1)
    """,
    """
    UPDATE staged_lines SET
        known = (SELECT count(*) FROM items WHERE items.name = item),
        item_id = (SELECT items.id FROM items WHERE items.name = item
                   ORDER BY items.id OFFSET coalesce(item_ordinal, 1) - 1 LIMIT 1)
    """,
)
REFUSE_ORDERS = (
    """
    SELECT nth, 'username', 'NOT_FOUND', 'There is no such customer.'
    FROM staged_orders WHERE customer_id IS NULL
    UNION ALL
    SELECT nth, 'ordinal', 'AMBIGUOUS',
           'The customer has several orders of this moment: ''ordinal'' tells which one.'
    FROM staged_orders WHERE ordinal IS NULL AND known > 1
    UNION ALL
    SELECT nth, 'lines.' || line || '.item',
           CASE WHEN item_id IS NULL THEN 'NOT_FOUND' ELSE 'AMBIGUOUS' END,
           known || ' items have this name.'
    FROM staged_lines WHERE item_id IS NULL OR item_ordinal IS NULL AND known > 1
    """,
    """
    SELECT nth, 'ordinal', 'REPEATED', 'The file has another order of this customer and moment:'
           ' ''ordinal'' tells them apart.'
    FROM (SELECT nth, row_number() OVER (PARTITION BY customer_id, date_placed, coalesce(ordinal, 1)
                                         ORDER BY nth) AS same
          FROM staged_orders) AS found WHERE same > 1
    """,
    f"""
    SELECT nth, 'ordinal', 'NOT_FOUND',
           'There are fewer orders of this customer and moment before it.'
    FROM (SELECT nth, {_GAP.format(key="customer_id, date_placed")} AS gap
          FROM staged_orders) AS found WHERE gap
    """,  # noqa: S608
)
# Whoever changes lines has their order first.
_LOCK_ORDERS = """
    SELECT FROM orders WHERE id IN (SELECT id FROM staged_orders) ORDER BY id FOR NO KEY UPDATE
"""
_KEY_ORDERS = """
    UPDATE staged_orders SET is_new = keyed.was IS NULL, was = keyed.was, id = keyed.id
    FROM (SELECT nth, was, CASE WHEN was IS NULL
                           THEN nextval(pg_get_serial_sequence('orders', 'id')) ELSE id END AS id
          FROM (SELECT nth, id, (SELECT orders.status FROM orders
                                 WHERE orders.id = staged_orders.id) AS was
                FROM staged_orders ORDER BY nth OFFSET 0) AS ordered) AS keyed
    WHERE staged_orders.nth = keyed.nth
"""
# Line by line, as they come.
_KEY_LINES = """
    UPDATE staged_lines SET line_id = old.id
    FROM staged_orders CROSS JOIN LATERAL (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS line
        FROM order_lines WHERE order_id = staged_orders.id) AS old
    WHERE NOT is_new AND staged_lines.nth = staged_orders.nth AND staged_lines.line = old.line
"""
# What is not given: as it is, or as the item is now.
_COMPLETE_LINES = """
    UPDATE staged_lines SET
        item_name = coalesce(staged_lines.item_name, old.item_name, items.name),
        unit_price = coalesce(staged_lines.unit_price, old.unit_price, items.selling_price),
        cancelled_quantity = coalesce(staged_lines.cancelled_quantity, CASE
            WHEN coalesce(status, was) = 'CANCELLED' THEN staged_lines.quantity
            WHEN was = 'CANCELLED' THEN 0
            WHEN old.id IS NULL THEN 0
            ELSE least(old.cancelled_quantity, staged_lines.quantity) END),
        taken = coalesce(staged_lines.taken, CASE WHEN says_taken THEN 0 ELSE old.taken END, 0)
    FROM staged_orders, staged_lines AS given
    JOIN items ON items.id = given.item_id
    LEFT JOIN order_lines AS old ON old.id = given.line_id AND old.item_id = given.item_id
    WHERE staged_orders.nth = given.nth
    AND staged_lines.nth = given.nth AND staged_lines.line = given.line
"""
_LIMIT_TAKEN = """
    UPDATE staged_lines SET taken = quantity - cancelled_quantity
    WHERE taken > quantity - cancelled_quantity
"""
_COMPLETE_ORDERS = """
    UPDATE staged_orders
    SET status = CASE pieces WHEN 0 THEN 'CANCELLED' ELSE coalesce(status, was, 'PLACED') END
    FROM (SELECT nth, sum(quantity - cancelled_quantity) AS pieces
          FROM staged_orders LEFT JOIN staged_lines USING (nth) GROUP BY nth) AS remaining
    WHERE remaining.nth = staged_orders.nth
"""
_COMPARE = """
    UPDATE staged_orders SET is_changed = status <> was
        OR lines < (SELECT count(*) FROM order_lines WHERE order_id = staged_orders.id)
        OR nth IN (
            SELECT new.nth FROM staged_lines AS new LEFT JOIN order_lines AS old ON old.id = line_id
            WHERE (old.item_id, old.item_name, old.quantity, old.cancelled_quantity, old.taken,
                   old.unit_price) IS DISTINCT FROM
                  (new.item_id, new.item_name, new.quantity, new.cancelled_quantity, new.taken,
                   new.unit_price))
    WHERE NOT is_new
"""
_INSERT_ORDERS = """
    WITH added AS (
        INSERT INTO orders (id, customer_id, date_placed, status)
        SELECT id, customer_id, date_placed, status FROM staged_orders WHERE is_new ORDER BY nth
        RETURNING 1)
    SELECT count(*) AS added, (SELECT count(*) FROM staged_orders WHERE is_changed) AS changed
    FROM added
"""
_MOVE_ORDERS = """
    UPDATE orders SET status = new.status FROM staged_orders AS new
    WHERE is_changed AND orders.id = new.id AND orders.status <> new.status
"""
_RETURN_PIECES = """
    WITH lost AS (
        SELECT old.item_id, sum(old.taken - coalesce(new.taken, 0)) AS pieces
        FROM staged_orders JOIN order_lines AS old ON old.order_id = staged_orders.id
        LEFT JOIN staged_lines AS new ON new.line_id = old.id AND new.item_id = old.item_id
        WHERE is_changed AND NOT says_taken GROUP BY old.item_id
    ), counted AS (
        SELECT id FROM items WHERE id IN (SELECT item_id FROM lost WHERE pieces > 0)
        AND stock IS NOT NULL ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE items SET stock = stock + pieces FROM counted JOIN lost ON lost.item_id = counted.id
    WHERE items.id = counted.id
"""
# An order has lines too few or too many, never both: new ones are there before its others lose
# their last piece.
_INSERT_LINES = """
    INSERT INTO order_lines
        (order_id, item_id, quantity, cancelled_quantity, taken, unit_price, item_name)
    SELECT staged_orders.id, item_id, quantity, cancelled_quantity, taken, unit_price, item_name
    FROM staged_orders JOIN staged_lines USING (nth)
    WHERE line_id IS NULL ORDER BY nth, line
"""
_UPDATE_LINES = """
    UPDATE order_lines AS old SET item_id = new.item_id, item_name = new.item_name,
        quantity = new.quantity, cancelled_quantity = new.cancelled_quantity, taken = new.taken,
        unit_price = new.unit_price
    FROM staged_lines AS new JOIN staged_orders USING (nth)
    WHERE is_changed AND old.id = line_id
    AND (old.item_id, old.item_name, old.quantity, old.cancelled_quantity, old.taken,
         old.unit_price) IS DISTINCT FROM
        (new.item_id, new.item_name, new.quantity, new.cancelled_quantity, new.taken,
         new.unit_price)
"""
_DELETE_LINES = """
    DELETE FROM order_lines USING staged_orders
    WHERE is_changed AND order_id = staged_orders.id
    AND order_lines.id NOT IN (SELECT line_id FROM staged_lines WHERE line_id IS NOT NULL)
    AND staged_orders.nth NOT IN (SELECT nth FROM staged_lines WHERE line_id IS NULL)
"""
MERGE_ORDERS = (
    _LOCK_ORDERS,
    _KEY_ORDERS,
    _KEY_LINES,
    _COMPLETE_LINES,
    _LIMIT_TAKEN,
    _COMPLETE_ORDERS,
    _COMPARE,
    _INSERT_ORDERS,
    _MOVE_ORDERS,
    _RETURN_PIECES,
    _INSERT_LINES,
    _UPDATE_LINES,
    _DELETE_LINES,
    _MOVE_ORDERS,
)
