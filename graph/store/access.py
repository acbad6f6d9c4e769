"""Who may see and change what. Permissions are scopes of tokens; a role is a set of them.

A row exists for a viewer if one of its rules applies: the viewer has the rule's permissions, and
the row meets its condition. Entities without rules are public. So is every column that needs no
permission. See `graph.database.worlds` for how rules are applied.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, select

from graph.database.catalog import RowRule, catalog
from graph.database.worlds import exists_to, own_key
from graph.store.models import Customer, Event, Order, OrderLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement


class Permission(StrEnum):
    OWN = "own"
    READ = "store:read"
    COSTS = "costs:read"
    HISTORY = "history:read"
    SELL = "orders:write"
    ADVANCE = "orders:advance"
    CUSTOMERS = "customers:write"
    STOCK = "stock:write"
    MANAGE = "store:manage"
    EXPLAIN = "operations:explain"


OWN, READ, COSTS, HISTORY, SELL, ADVANCE, CUSTOMERS, STOCK, MANAGE, EXPLAIN = Permission

DESCRIPTIONS: Mapping[Permission, str] = {
    OWN: "See the viewer's own customer and orders, and change them.",
    READ: "See all customers, orders and lines, and the history of orders.",
    COSTS: "See what the store pays for items.",
    HISTORY: "See the history of items, and of those customers that the viewer may see.",
    SELL: "Place, change and cancel anybody's orders.",
    ADVANCE: "Record that orders were paid, shipped and delivered.",
    CUSTOMERS: "Add customers, and change them.",
    STOCK: "Change the stock of items.",
    MANAGE: "Add and change items, delete customers, and import rows.",
    EXPLAIN: "See how the server runs operations: times, costs, SQL and plans.",
}

ROLES: Mapping[str, frozenset[str]] = {
    "anonymous": frozenset(),
    "customer": frozenset({OWN}),
    "clerk": frozenset({READ, SELL, ADVANCE, CUSTOMERS, STOCK}),
    "manager": frozenset(Permission),
}


def _with(*permissions: Permission, rows: ColumnElement[bool] | Any = None) -> RowRule:
    return RowRule(frozenset(permissions), rows)


_OWN_KEY = own_key(BigInteger())

# An event exists for those for whom its row does.
catalog.rows |= {
    "Customer": (_with(READ), _with(OWN, rows=Customer.id == _OWN_KEY)),
    "Order": (_with(READ), _with(OWN, rows=Order.customer_id == _OWN_KEY)),
    "OrderLine": (_with(READ), _with(OWN, rows=exists_to(OrderLine.order))),
    "Event": (
        _with(HISTORY, READ),
        _with(HISTORY, rows=Event.item_id.is_not(None)),
        _with(HISTORY, OWN, rows=Event.customer_id == _OWN_KEY),
        _with(READ, rows=Event.order_id.is_not(None)),
        _with(OWN, rows=Event.order_id.in_(select(Order.id))),
    ),
}
catalog.needs |= {
    ("Item", "cost_price"): frozenset({COSTS}),
    ("Event", "actor"): frozenset({READ, HISTORY}),
}
# A viewer needs one of these for a mutation.
CHANGES: Mapping[str, frozenset[str]] = {
    "create_customer": frozenset({CUSTOMERS}),
    "update_customer": frozenset({CUSTOMERS, OWN}),
    "delete_customer": frozenset({MANAGE}),
    "create_item": frozenset({MANAGE}),
    "update_item": frozenset({MANAGE}),
    "adjust_stock": frozenset({STOCK}),
    "place_order": frozenset({SELL, OWN}),
    "add_order_line": frozenset({SELL, OWN}),
    "change_order_line": frozenset({SELL, OWN}),
    "remove_order_line": frozenset({SELL, OWN}),
    "advance_order": frozenset({ADVANCE}),
    "cancel_order": frozenset({SELL, OWN}),
    "import_customers": frozenset({MANAGE}),
    "import_items": frozenset({MANAGE}),
    "import_orders": frozenset({MANAGE}),
}

catalog.changes |= CHANGES
# Plans have estimates from all rows, whoever may see them.
catalog.explains |= frozenset({EXPLAIN})
