"""The store in plain Python: the effect and the answer of each mutation.

It is written from the schema's descriptions, and shares no code with `graph`. An answer
is the name of the result's type and its values, as `told` extracts them from the API's answer.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = {
    "PAY": ("PLACED", "PAID"),
    "SHIP": ("PAID", "SHIPPED"),
    "DELIVER": ("SHIPPED", "DELIVERED"),
}
LENGTHS = {
    "firstName": 100, "lastName": 100, "username": 50, "email": 200, "address": 200, "town": 100,
}  # fmt: skip


class RequestRejected(Exception):
    def __init__(self, type_: str, *details: Any) -> None:
        super().__init__(type_)
        self.answer = (type_, *details)


@dataclass
class Customer:
    values: dict[str, str]
    version: int = 1


@dataclass
class Item:
    name: str
    price: Decimal
    stock: int | None
    version: int = 1


@dataclass
class Line:
    item: int
    quantity: int
    cancelled: int
    price: Decimal
    name: str
    taken: int = 0

    @property
    def left(self) -> int:
        return self.quantity - self.cancelled


@dataclass
class Order:
    customer: int
    lines: dict[int, Line]
    status: str = "PLACED"
    version: int = 1


class Problems:
    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def note(self, path: str, code: str) -> None:
        self.found.append((path, code))

    def check(self) -> None:
        if self.found:
            raise RequestRejected("ValidationFailed", sorted(self.found))


@dataclass
class Model:
    """Rows by their keys. A key is that of the API once it is known; before, it is None."""

    customers: dict[int, Customer] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)

    def does(self, mutation: str, given: dict[str, Any], new: Any) -> tuple[Any, ...]:
        """What the mutation answers; `new` gives the keys of the rows that it adds, in order.

        A refusal changes nothing.
        """
        after = deepcopy(self)
        try:
            answer: tuple[Any, ...] = getattr(after, f"_{mutation}")(given, new)
        except RequestRejected as refused:
            return refused.answer
        self.customers, self.items, self.orders = after.customers, after.items, after.orders
        return answer

    def _createCustomer(self, given: dict[str, Any], new: Any) -> tuple[Any, ...]:  # noqa: N802
        problems = Problems()
        self._check_texts(given, problems)
        self._check_free(given, None, problems)
        customer = Customer(dict(given))
        self.customers[new()] = customer
        return self._customer(customer)

    def _updateCustomer(self, given: dict[str, Any], _: Any) -> tuple[Any, ...]:  # noqa: N802
        values, problems = {name: given[name] for name in given if name in LENGTHS}, Problems()
        self._check_texts(values, problems)
        customer = self._expected(self.customers, given, problems)
        self._check_free(values, given["id"], problems)
        self._change(customer, customer.values, values)
        return self._customer(customer)

    def _deleteCustomer(self, given: dict[str, Any], _: Any) -> tuple[Any, ...]:  # noqa: N802
        self._expected(self.customers, given, Problems())
        if any(order.customer == given["id"] for order in self.orders.values()):
            raise RequestRejected("NotAllowed", ["HAS_ORDERS"])
        del self.customers[given["id"]]
        return ("CustomerDeleted",)

    def _createItem(self, given: dict[str, Any], new: Any) -> tuple[Any, ...]:  # noqa: N802
        self._check_price(given, Problems())
        item = Item(given["name"], Decimal(given["sellingPrice"]), given.get("stock"))
        self.items[new()] = item
        return self._item(item)

    def _updateItem(self, given: dict[str, Any], _: Any) -> tuple[Any, ...]:  # noqa: N802
        self._check_price(given, Problems())
        item = self._expected(self.items, given, Problems())
        before = (item.name, item.price)
        item.name = given.get("name", item.name)
        item.price = Decimal(given.get("sellingPrice", item.price))
        item.version += (item.name, item.price) != before
        return self._item(item)

    def _adjustStock(self, given: dict[str, Any], _: Any) -> tuple[Any, ...]:  # noqa: N802
        problems = Problems()
        ((how, value),) = given["change"].items()
        if how == "to" and value < 0:
            problems.note("input.change.to", "OUT_OF_RANGE")
        if how == "untracked" and not value:
            problems.note("input.change.untracked", "NOT_TRUE")
        item = self._expected(self.items, given, problems)
        if how != "by":
            self._set_stock(item, value if how == "to" else None)
            return self._item(item)
        if item.stock is None:
            raise RequestRejected("NotAllowed", ["NOT_COUNTED"])
        if item.stock + value < 0:
            raise RequestRejected("InsufficientStock", [(given["id"], -value, item.stock)])
        self._set_stock(item, item.stock + value)
        return self._item(item)

    def _placeOrder(self, given: dict[str, Any], new: Any) -> tuple[Any, ...]:  # noqa: N802
        problems = Problems()
        if not given["lines"]:
            problems.note("input.lines", "OUT_OF_RANGE")
            problems.check()
        if given["customerId"] not in self.customers:
            problems.note("input.customerId", "NOT_FOUND")
        for nth, line in enumerate(given["lines"]):
            if line["itemId"] not in self.items:
                problems.note(f"input.lines.{nth}.itemId", "NOT_FOUND")
            if not 1 <= line["quantity"] <= 32767:
                problems.note(f"input.lines.{nth}.quantity", "OUT_OF_RANGE")
        problems.check()
        wanted: Counter[int] = Counter()
        for line in given["lines"]:
            wanted[line["itemId"]] += line["quantity"]
        self._take(wanted)
        order = Order(given["customerId"], {})
        self.orders[new()] = order
        for line in given["lines"]:
            order.lines[new()] = self._line(line)
        return self._order(order)

    def _addOrderLine(self, given: dict[str, Any], new: Any) -> tuple[Any, ...]:  # noqa: N802
        problems = Problems()
        self._check_quantity(given, problems)
        order = self._expected(self.orders, given | {"id": given["orderId"]}, problems)
        self._check_status(order, "PLACED")
        if given["itemId"] not in self.items:
            raise RequestRejected("ValidationFailed", [("input.itemId", "NOT_FOUND")])
        self._take(Counter({given["itemId"]: given["quantity"]}))
        order.lines[new()] = self._line(given)
        order.version += 1
        return self._order(order, "OrderLineSaved")

    def _changeOrderLine(self, given: dict[str, Any], _: Any) -> tuple[Any, ...]:  # noqa: N802
        problems = Problems()
        self._check_quantity(given, problems)
        order, line = self._order_and_line(given, problems)
        if given["quantity"] < line.cancelled:
            raise RequestRejected("NotAllowed", ["LESS_THAN_CANCELLED"])
        more = given["quantity"] - line.quantity
        if more > 0:
            self._take(Counter({line.item: more}))
            line.taken += more if self._is_counted(line.item) else 0
        else:
            self._give_back(line, -more)
        order.version += bool(more)
        line.quantity = given["quantity"]
        self._close(order)
        return self._order(order, "OrderLineSaved")

    def _removeOrderLine(self, given: dict[str, Any], _: Any) -> tuple[Any, ...]:  # noqa: N802
        order, line = self._order_and_line(given, Problems())
        self._give_back(line, line.left)
        del order.lines[given["id"]]
        order.version += 1
        self._close(order)
        return self._order(order)

    def _advanceOrder(self, given: dict[str, Any], _: Any) -> tuple[Any, ...]:  # noqa: N802
        order = self._expected(self.orders, given, Problems())
        needed, becomes = STEPS[given["action"]]
        self._check_status(order, needed)
        order.status = becomes
        order.version += 1
        return self._order(order)

    def _cancelOrder(self, given: dict[str, Any], _: Any) -> tuple[Any, ...]:  # noqa: N802
        order = self._expected(self.orders, given, Problems())
        self._check_status(order, "PLACED", "PAID")
        gone = {key: line.left for key, line in order.lines.items()}
        if given.get("lines") is not None:
            gone = self._named_lines(order, given["lines"])
        if any(pieces > order.lines[key].left for key, pieces in gone.items()):
            raise RequestRejected("NotAllowed", ["NOTHING_LEFT"])
        back: Counter[int] = Counter()
        for key, pieces in gone.items():
            line = order.lines[key]
            line.cancelled += pieces
            back[line.item] += min(line.taken, pieces)
            line.taken -= min(line.taken, pieces)
        for item, pieces in back.items():
            self._put_back(item, pieces)
        self._close(order)
        order.version += bool(sum(gone.values())) or order.status == "CANCELLED"
        return self._order(order)

    def _named_lines(self, order: Order, lines: list[dict[str, Any]]) -> dict[int, int]:
        problems, gone = Problems(), dict[int, int]()
        for nth, named in enumerate(lines):
            if named["id"] not in order.lines:
                problems.note(f"input.lines.{nth}.id", "NOT_FOUND")
            elif named["id"] in gone:
                problems.note(f"input.lines.{nth}.id", "REPEATED")
            else:
                left = order.lines[named["id"]].left
                gone[named["id"]] = named.get("quantity", left)
        problems.check()
        return gone

    def _expected(self, rows: dict[int, Any], given: dict[str, Any], problems: Problems) -> Any:
        self._check_expected(given, problems)
        problems.check()
        row = rows.get(given["id"])
        if row is None:
            raise RequestRejected("NotFound")
        if given["expectedVersion"].get("version", row.version) != row.version:
            raise RequestRejected("Conflict", row.version)
        return row

    def _check_expected(self, given: dict[str, Any], problems: Problems) -> None:
        if given["expectedVersion"] == {"any": False}:
            problems.note("input.expectedVersion.any", "NOT_TRUE")

    def _order_and_line(self, given: dict[str, Any], problems: Problems) -> tuple[Order, Line]:
        self._check_expected(given, problems)
        problems.check()
        for key, order in self.orders.items():
            if given["id"] in order.lines:
                self._expected(self.orders, given | {"id": key}, problems)
                self._check_status(order, "PLACED")
                return order, order.lines[given["id"]]
        raise RequestRejected("NotFound")

    def _check_texts(self, given: dict[str, Any], problems: Problems) -> None:
        for name, value in given.items():
            if not value.strip():
                problems.note(f"input.{name}", "BLANK")
            elif len(value) > LENGTHS[name]:
                problems.note(f"input.{name}", "TOO_LONG")
        if given.get("email", "x@x").startswith("@"):
            problems.note("input.email", "NOT_AN_EMAIL")

    def _check_free(self, given: dict[str, Any], own: int | None, problems: Problems) -> None:
        others = [row.values for key, row in self.customers.items() if key != own]
        if given.get("username") in [other["username"] for other in others]:
            problems.note("input.username", "TAKEN")
        if given.get("email", "").lower() in [other["email"].lower() for other in others]:
            problems.note("input.email", "TAKEN")
        problems.check()

    def _check_price(self, given: dict[str, Any], problems: Problems) -> None:
        if "sellingPrice" in given and Decimal(given["sellingPrice"]) < 0:
            problems.note("input.sellingPrice", "OUT_OF_RANGE")
        if "id" in given:
            self._check_expected(given, problems)
        problems.check()

    def _check_quantity(self, given: dict[str, Any], problems: Problems) -> None:
        if not 1 <= given["quantity"] <= 32767:
            problems.note("input.quantity", "OUT_OF_RANGE")

    def _check_status(self, order: Order, *allowed: str) -> None:
        if order.status not in allowed:
            raise RequestRejected("NotAllowed", [f"IS_{order.status}"])

    def _change(self, row: Any, values: dict[str, Any], changes: dict[str, Any]) -> None:
        row.version += values != values | changes
        values.update(changes)

    def _set_stock(self, item: Item, stock: int | None) -> None:
        item.version += item.stock != stock
        item.stock = stock

    def _take(self, wanted: Counter[int]) -> None:
        short = [
            (key, pieces, stock)
            for key, pieces in wanted.items()
            if (stock := self.items[key].stock) is not None and stock < pieces
        ]
        if short:
            raise RequestRejected("InsufficientStock", sorted(short))
        for key, pieces in wanted.items():
            self._put_back(key, -pieces)

    def _put_back(self, key: int, pieces: int) -> None:
        item = self.items[key]
        if item.stock is not None:
            self._set_stock(item, item.stock + pieces)

    def _is_counted(self, key: int) -> bool:
        return self.items[key].stock is not None

    def _give_back(self, line: Line, pieces: int) -> None:
        """Pieces that a line took go back to stock before those that it did not take."""
        back = min(line.taken, pieces)
        line.taken -= back
        self._put_back(line.item, back)

    def _close(self, order: Order) -> None:
        """An order of which nothing is left is CANCELLED."""
        if not any(line.left for line in order.lines.values()):
            order.status = "CANCELLED"

    def _line(self, given: dict[str, Any]) -> Line:
        item = self.items[given["itemId"]]
        taken = given["quantity"] if self._is_counted(given["itemId"]) else 0
        return Line(given["itemId"], given["quantity"], 0, item.price, item.name, taken)

    def _customer(self, customer: Customer) -> tuple[Any, ...]:
        values = customer.values
        return (
            "CustomerSaved",
            values["username"],
            values["email"],
            values["town"],
            customer.version,
        )

    def _item(self, item: Item) -> tuple[Any, ...]:
        return "ItemSaved", item.name, item.price, item.stock, item.version

    def _order(self, order: Order, type_: str = "OrderSaved") -> tuple[Any, ...]:
        lines = [
            (
                line.item,
                line.quantity,
                line.cancelled,
                line.taken,
                line.price,
                line.name,
                self.items[line.item].stock,
            )
            for line in order.lines.values()
        ]
        total = sum((line.price * line.left for line in order.lines.values()), Decimal(0))
        return type_, order.status, order.version, total, lines


def told(answer: dict[str, Any]) -> tuple[Any, ...]:
    """What an answer of the API says, in the words of the model."""
    type_ = answer["__typename"]
    return (type_, *_TOLD[type_](answer)) if type_ in _TOLD else (type_,)


def _of_customer(answer: dict[str, Any]) -> tuple[Any, ...]:
    row = answer["customer"]
    return row["username"], row["email"], row["town"], row["version"]


def _of_item(answer: dict[str, Any]) -> tuple[Any, ...]:
    row = answer["item"]
    return row["name"], Decimal(row["sellingPrice"]), row["stock"], row["version"]


def _of_order(answer: dict[str, Any]) -> tuple[Any, ...]:
    row = answer["order"]
    lines = [
        (
            *(
                int(line["item"]["databaseId"]),
                line["quantity"],
                line["cancelledQuantity"],
                line["taken"],
            ),
            *(Decimal(line["unitPrice"]), line["itemName"], line["item"]["stock"]),
        )
        for line in row["lineItems"]["nodes"]
    ]
    return row["status"], row["version"], Decimal(row["total"]), lines


def _of_problems(answer: dict[str, Any]) -> tuple[Any, ...]:
    return (sorted((".".join(each["path"]), each["code"]) for each in answer["problems"]),)


def _of_shortages(answer: dict[str, Any]) -> tuple[Any, ...]:
    names = ("requested", "available")
    short = [
        (int(line["item"]["databaseId"]), *(line[name] for name in names))
        for line in answer["shortages"]
    ]
    return (sorted(short),)


_TOLD: dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]] = {
    "CustomerSaved": _of_customer,
    "ItemSaved": _of_item,
    "OrderSaved": _of_order,
    "OrderLineSaved": _of_order,
    "ValidationFailed": _of_problems,
    "InsufficientStock": _of_shortages,
    "NotAllowed": lambda answer: ([reason["code"] for reason in answer["reasons"]],),
    "Conflict": lambda answer: (answer["current"]["version"],),
}
