"""Random sequences of all mutations, compared with the store in plain Python."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from graph.app import create_app
from graph.relay import INT4_MAX, to_global_id
from tests.conftest import Client, client_of, settings_for
from tests.mutations import mutation
from tests.prove.books import Books
from tests.prove.conftest import ROUNDS
from tests.prove.model import Model, told

if TYPE_CHECKING:
    from collections.abc import Callable

# Names of inputs that hold keys, and the entities of the rows they are of.
ENTITIES = {"customerId": "Customer", "itemId": "Item", "orderId": "Order"}
OF_MUTATION = {
    "updateCustomer": "Customer", "deleteCustomer": "Customer", "updateItem": "Item",
    "adjustStock": "Item", "advanceOrder": "Order", "cancelOrder": "Order",
    "changeOrderLine": "OrderLine", "removeOrderLine": "OrderLine",
}  # fmt: skip
EMPTY = """TRUNCATE customers, items, orders, order_lines, events, idempotency_keys
    RESTART IDENTITY"""

names = st.sampled_from(["Ann", "Bob", "Eve", "Tom", "Zoe", *"abcdefghij", "", "x" * 101])
prices = st.sampled_from(["1.00", "2.50", "99.99", "-1"])
quantities = st.sampled_from([1, 1, 1, 2, 2, 2, 3, 3, 4, 6, 1, 2, 3, 0])
stocks = st.none() | st.integers(0, 12)
versions = st.sampled_from(["right", "any", "right", "any", "right", "wrong", "neither"])
numbers = st.sampled_from([*range(9), *range(9), *range(9), 9])


class Store:
    """The application, asked from code that is not async."""

    def __init__(self, database_url: str) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.books = Books(database_url)
        app = create_app(settings_for(database_url))
        self.client: Client = self.runner.run(self.stack.enter_async_context(client_of(app)))
        self.heard: Counter[str] = Counter()
        self.keys = count()

    def empty(self) -> None:
        async def empty() -> None:
            async with self.client.database.write() as session:
                await session.execute(text(EMPTY))

        self.runner.run(empty())

    def ask(self, name: str, given: dict[str, Any], **more: Any) -> dict[str, Any]:
        key = f"key {next(self.keys)}"
        query = mutation(name, key=True)
        data = self.runner.run(self.client(query, input=given, key=key, **more))
        answer: dict[str, Any] = data[name]
        self.heard[answer["__typename"]] += 1
        return answer

    def close(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()


class Machine(RuleBasedStateMachine):
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.store.empty()
        self.model = Model()
        for name in ("ann", "bob"):
            given = {"firstName": name, "lastName": name, "username": name}
            given |= {"email": f"{name}@shop", "address": "1 Street", "town": "Wolfden"}
            self._do("createCustomer", given)
        for stock in (10, 10, None):
            given = {"name": f"Item {stock}", "costPrice": "1", "sellingPrice": "2.50"}
            self._do("createItem", given | {"stock": stock})

    @precondition(lambda self: len(self.model.customers) < 5)
    @rule(first=names, last=names, username=names, email=names, town=names)
    def create_customer(self, first: str, last: str, username: str, email: str, town: str) -> None:
        given = {"firstName": first, "lastName": last, "username": username[:50]}
        given |= {"email": f"{email[:100]}@shop", "address": "1 Street", "town": town}
        self._do("createCustomer", given)

    @precondition(lambda self: self.model.customers)
    @rule(number=numbers, version=versions, values=st.dictionaries(
        st.sampled_from(["town", "username", "firstName"]), names, max_size=2))  # fmt: skip
    def update_customer(self, number: int, version: str, values: dict[str, str]) -> None:
        if "username" in values:
            values["username"] = values["username"][:50]
        self._do("updateCustomer", self._of(self.model.customers, number, version) | values)

    @precondition(lambda self: self.model.customers)
    @rule(number=numbers, version=versions)
    def delete_customer(self, number: int, version: str) -> None:
        self._do("deleteCustomer", self._of(self.model.customers, number, version))

    @precondition(lambda self: len(self.model.items) < 5)
    @rule(price=prices, stock=stocks)
    def create_item(self, price: str, stock: int | None) -> None:
        name = f"Item {len(self.model.items)}"
        given = {"name": name, "costPrice": "1", "sellingPrice": price, "stock": stock}
        self._do("createItem", given)

    @rule(number=numbers, version=versions, price=prices)
    def update_item(self, number: int, version: str, price: str) -> None:
        given = self._of(self.model.items, number, version) | {"sellingPrice": price}
        self._do("updateItem", given)

    @precondition(lambda self: self.model.items)
    @rule(number=numbers, version=versions, change=st.one_of(
        st.builds(lambda by: {"by": by}, st.integers(-8, 12)),
        st.builds(lambda to: {"to": to}, st.integers(-1, 12)),
        st.builds(lambda true: {"untracked": true}, st.booleans())))  # fmt: skip
    def adjust_stock(self, number: int, version: str, change: dict[str, Any]) -> None:
        self._do("adjustStock", self._of(self.model.items, number, version) | {"change": change})

    @precondition(lambda self: self.model.items and self.model.customers)
    @rule(customer=numbers, lines=st.lists(st.tuples(numbers, quantities), max_size=4))
    def place_order(self, customer: int, lines: list[tuple[int, int]]) -> None:
        basket = [
            {"itemId": self._key(self.model.items, item), "quantity": quantity}
            for item, quantity in lines
        ]
        customer = self._key(self.model.customers, customer)
        self._do("placeOrder", {"customerId": customer, "lines": basket})

    @precondition(lambda self: self.model.customers)
    @rule(customer=numbers, item=numbers)
    def place_small_order(self, customer: int, item: int) -> None:
        self.place_order(customer, [(item, 1)])

    @precondition(lambda self: self.model.orders)
    @rule(number=numbers, version=versions, item=numbers, quantity=quantities)
    def add_line(self, number: int, version: str, item: int, quantity: int) -> None:
        order = self._of(self.model.orders, number, version)
        given = {"orderId": order.pop("id"), **order, "quantity": quantity}
        self._do("addOrderLine", given | {"itemId": self._key(self.model.items, item)})

    @precondition(lambda self: self.model.orders)
    @rule(number=numbers, version=versions, quantity=quantities)
    def change_line(self, number: int, version: str, quantity: int) -> None:
        self._do("changeOrderLine", self._of_line(number, version) | {"quantity": quantity})

    @precondition(lambda self: self.model.orders)
    @rule(number=numbers, version=versions)
    def remove_line(self, number: int, version: str) -> None:
        self._do("removeOrderLine", self._of_line(number, version))

    @precondition(lambda self: self.model.orders)
    @rule(number=numbers, version=versions, action=st.sampled_from(["PAY", "SHIP", "DELIVER"]))
    def advance_order(self, number: int, version: str, action: str) -> None:
        given = self._of(self.model.orders, number, version) | {"action": action}
        self._do("advanceOrder", given)

    @precondition(lambda self: self.model.orders)
    @rule(number=numbers, version=versions, lines=st.none() | st.lists(
        st.tuples(numbers, st.none() | st.integers(1, 3)), min_size=1, max_size=3))  # fmt: skip
    def cancel_order(self, number: int, version: str, lines: Any) -> None:
        given = self._of(self.model.orders, number, version)
        if lines is not None:
            known = self._lines()
            given["lines"] = [
                {"id": self._key(known, line)} | ({} if pieces is None else {"quantity": pieces})
                for line, pieces in lines
            ]
        self._do("cancelOrder", given)

    def teardown(self) -> None:
        """Stock, status and versions are those of the model, and the log tells of all of it."""
        rows = self.store.runner.run(
            self.store.books.fetch("SELECT id, stock, version FROM items ORDER BY id")
        )
        items = {key: (item.stock, item.version) for key, item in self.model.items.items()}
        assert {row["id"]: (row["stock"], row["version"]) for row in rows} == items
        self.store.runner.run(self.store.books._check_history())  # noqa: SLF001

    def _do(self, name: str, given: dict[str, Any]) -> None:
        note(f"{name} {given}")
        dry = self.store.ask(name, self._encoded(name, given), dryRun=True)
        answer = self.store.ask(name, self._encoded(name, given))
        expected = self.model.does(name, given, new_keys(answer, self._lines()))
        assert told(answer) == expected
        assert told(dry) == expected

    def _encoded(self, name: str, given: Any) -> Any:
        """The input as the API takes it: with global ids for keys."""
        encoded: dict[str, Any] = {}
        for field, value in given.items():
            entity = ENTITIES.get(field) or (OF_MUTATION.get(name) if field == "id" else None)
            if field == "lines":
                encoded[field] = [self._encoded("changeOrderLine", line) for line in value]
            else:
                encoded[field] = to_global_id(entity, value) if entity else value
        return encoded

    def _key(self, rows: dict[int, Any], number: int) -> int:
        """The key of some row; of none, if there are not so many."""
        return [*rows, INT4_MAX][
            number % (len(rows) + 1) if number == 9 else number % max(len(rows), 1)
        ]

    def _of(self, rows: dict[int, Any], number: int, version: str) -> dict[str, Any]:
        key = self._key(rows, number)
        return {"id": key} | self._version(rows.get(key), version)

    def _of_line(self, number: int, version: str) -> dict[str, Any]:
        known = self._lines()
        key = self._key(known, number)
        return {"id": key} | self._version(known.get(key), version)

    def _version(self, row: Any, version: str) -> dict[str, Any]:
        current = row.version if row else 1
        given = {
            "right": {"version": current},
            "wrong": {"version": current + 1},
            "any": {"any": True},
            "neither": {"any": False},
        }
        return {"expectedVersion": given[version]}

    def _lines(self) -> dict[int, Any]:
        """Each line's order."""
        return {key: order for order in self.model.orders.values() for key in order.lines}


def new_keys(answer: dict[str, Any], known: Any) -> Callable[[], int]:
    """The keys of the rows that an answer says were added, in order."""
    entities = ("customer", "item", "order")
    keys = [int(answer[entity]["databaseId"]) for entity in entities if entity in answer]
    lines = answer.get("order", {}).get("lineItems", {}).get("nodes", [])
    new = [key for line in lines if (key := int(line["databaseId"])) not in known]
    found = iter(new if answer["__typename"] == "OrderLineSaved" else [*keys, *new])
    return lambda: next(found, 0)


def sequences(number: int) -> settings:
    """Not shrunk: that takes minutes, and a sequence is short."""
    return settings(
        max_examples=number,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


def test_every_mutation_does_what_the_model_does(
    database_url: str, figures: Callable[..., None]
) -> None:
    Machine.store = Store(database_url)
    try:
        run_state_machine_as_test(Machine, settings=sequences(10 * ROUNDS))
    finally:
        Machine.store.close()
    heard = Machine.store.heard
    if ROUNDS > 1:  # so many steps meet all there is
        assert set(heard) >= {
            *("CustomerSaved", "CustomerDeleted", "ItemSaved", "OrderSaved", "OrderLineSaved"),
            *("ValidationFailed", "NotFound", "Conflict", "InsufficientStock", "NotAllowed"),
        }
    figures(sequences=10 * ROUNDS, **dict(sorted(heard.items())))


def test_a_model_that_errs_is_found(database_url: str) -> None:
    """The comparison can fail: a model that forgets to take pieces is caught."""

    class Forgetful(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.model._take = lambda wanted: None  # type: ignore[method-assign]  # noqa: SLF001, ARG005

    Forgetful.store = Store(database_url)
    try:
        with pytest.raises(AssertionError):
            run_state_machine_as_test(Forgetful, settings=sequences(50))
    finally:
        Forgetful.store.close()
