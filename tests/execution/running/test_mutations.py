"""The effects and errors of each mutation, by the compiled statement and by resolvers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.database.transaction import Transaction
from graph.errors import ErrorCode
from graph.execution.running.mutations import Mutations
from graph.relay import INT4_MAX, to_global_id
from tests.conftest import Client, Statements, client_of, recorded, settings_for
from tests.mutations import ANY, SUCCESSES, at, mutation, run
from tests.rows import fill

if TYPE_CHECKING:
    from graph.settings import Settings


@pytest.fixture(params=["compiled", "resolvers"])
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


@pytest.fixture
async def store(client: Client) -> Client:
    """Two customers with an order of two lines each; ten pieces of items 1 to 3, 4 and 5 free."""
    await fill(client.database, customers=2, orders=1, lines=2, items=5)
    await changed(client, "UPDATE items SET stock = 10 WHERE id <= 3")
    return client


async def changed(client: Client, statement: str) -> None:
    async with client.database.write() as session:
        await session.execute(text(statement))


async def state(client: Client) -> list[Any]:
    """All rows there are, but for what was kept under keys."""
    tables = ("customers", "items", "orders", "order_lines", "events")
    async with client.database.write() as session:
        return [
            (await session.execute(text(f"SELECT * FROM {table} ORDER BY id"))).all()  # noqa: S608
            for table in tables
        ]


async def stock_of(client: Client, item: int) -> int | None:
    data = await client("query ($id: BigInt!) { item(by: {databaseId: $id}) { stock } }", id=item)
    stock: int | None = data["item"]["stock"]
    return stock


def problems(answer: Any) -> list[tuple[str, str]]:
    assert answer["__typename"] == "ValidationFailed"
    assert answer["code"] == "VALIDATION_FAILED"
    return [(".".join(each["path"]), each["code"]) for each in answer["problems"]]


def reasons(answer: Any) -> list[str]:
    assert answer["__typename"] == "NotAllowed"
    return [reason["code"] for reason in answer["reasons"]]


CUSTOMER, ITEM = to_global_id("Customer", 1), to_global_id("Item", 1)
ORDER, LINE = to_global_id("Order", 1), to_global_id("OrderLine", 1)
_MOVE = f"""updateCustomer(
  input: {{id: "{CUSTOMER}", expectedVersion: {{any: true}}, town: "Elsewhere"}}
) {{ ... on CustomerSaved {{ customer {{ town }} }} }}"""
TOBY: dict[str, Any] = {
    "firstName": "Toby",
    "lastName": "Miller",
    "username": "tmiller",
    "email": "tmiller@example.com",
    "address": "1662 Kinney Street",
    "town": "Wolfden",
}


def line(item: int, quantity: int) -> dict[str, Any]:
    return {"itemId": to_global_id("Item", item), "quantity": quantity}


# Customers


async def test_a_customer_is_created_and_can_be_read(store: Client) -> None:
    answer = await run(store, "createCustomer", **TOBY)

    assert answer["customer"] == {
        "id": to_global_id("Customer", 3),
        "databaseId": "3",
        "username": "tmiller",
        "email": "tmiller@example.com",
        "town": "Wolfden",
        "version": 1,
        "createdOn": answer["customer"]["createdOn"],
        "updatedOn": answer["customer"]["createdOn"],
    }
    found = await store('{ customer(by: {username: "tmiller"}) { firstName lastName address } }')
    assert found["customer"] == {key: TOBY[key] for key in ("firstName", "lastName", "address")}


async def test_all_problems_of_a_customer_are_reported_at_once(store: Client) -> None:
    before = await state(store)
    wrong = {
        "firstName": " ",
        "lastName": "x" * 101,
        "username": "user1",
        "email": "USER2@example.COM",
    }
    answer = await run(store, "createCustomer", **TOBY | wrong)

    assert problems(answer) == [
        ("input.firstName", "BLANK"),
        ("input.lastName", "TOO_LONG"),
        ("input.username", "TAKEN"),
        ("input.email", "TAKEN"),
    ]
    answer = await run(store, "createCustomer", **TOBY | {"email": "nobody"})
    assert problems(answer) == [("input.email", "NOT_AN_EMAIL")]
    assert await state(store) == before


async def test_values_that_are_left_out_do_not_change(store: Client) -> None:
    answer = await run(
        store, "updateCustomer", id=CUSTOMER, expectedVersion=at(1), town="Beckinsdale"
    )

    customer = answer["customer"]
    assert (customer["town"], customer["username"]) == ("Beckinsdale", "user1")
    assert customer["version"] == 2
    assert customer["updatedOn"] > customer["createdOn"]


async def test_a_customer_keeps_a_name_of_its_own(store: Client) -> None:
    answer = await run(
        store, "updateCustomer", id=CUSTOMER, expectedVersion=at(1), username="user1",
        email="user1@EXAMPLE.com",
    )  # fmt: skip
    assert answer["customer"]["email"] == "user1@EXAMPLE.com"

    answer = await run(store, "updateCustomer", id=CUSTOMER, expectedVersion=ANY, username="user2")
    assert problems(answer) == [("input.username", "TAKEN")]


async def test_null_is_refused_for_values_of_a_customer(store: Client) -> None:
    answer = await run(
        store,
        "updateCustomer",
        id=CUSTOMER,
        expectedVersion=at(1),
        town=None,
        email="x" * 201,
    )

    assert problems(answer) == [
        ("input.email", "TOO_LONG"),
        ("input.town", "REQUIRED"),
        ("input.email", "NOT_AN_EMAIL"),
    ]


async def test_a_customer_without_orders_can_be_deleted(store: Client) -> None:
    await run(store, "createCustomer", **TOBY)

    answer = await run(
        store, "deleteCustomer", id=to_global_id("Customer", 3), expectedVersion=at(1)
    )

    assert answer == {"__typename": "CustomerDeleted", "deletedId": to_global_id("Customer", 3)}
    assert (await store("{ customers { totalCount } }"))["customers"]["totalCount"] == 2
    again = await run(store, "deleteCustomer", id=to_global_id("Customer", 3), expectedVersion=ANY)
    assert (again["__typename"], again["id"]) == ("NotFound", to_global_id("Customer", 3))


async def test_a_customer_with_orders_is_not_deleted(store: Client) -> None:
    answer = await run(store, "deleteCustomer", id=CUSTOMER, expectedVersion=at(1))

    assert reasons(answer) == ["HAS_ORDERS"]


# Versions


@pytest.mark.parametrize(
    ("name", "id_", "more"),
    [
        ("updateCustomer", CUSTOMER, {"town": "X"}),
        ("deleteCustomer", CUSTOMER, {}),
        ("updateItem", ITEM, {"name": "X"}),
        ("adjustStock", ITEM, {"change": {"by": 1}}),
        ("advanceOrder", ORDER, {"action": "PAY"}),
        ("cancelOrder", ORDER, {}),
        ("changeOrderLine", LINE, {"quantity": 2}),
        ("removeOrderLine", LINE, {}),
        ("addOrderLine", ORDER, line(1, 1)),
    ],
)
async def test_a_stale_version_is_a_conflict_with_the_current_object(
    store: Client, name: str, id_: str, more: dict[str, Any]
) -> None:
    await changed(store, "UPDATE customers SET town = 'Y' WHERE id = 1")
    await changed(store, "UPDATE orders SET date_placed = now() WHERE id = 1")
    before = await state(store)
    current = {CUSTOMER: CUSTOMER, ITEM: ITEM}.get(id_, ORDER)
    naming: dict[str, Any] = {("orderId" if name == "addOrderLine" else "id"): id_}

    answer = await run(store, name, **naming, **more, expectedVersion=at(1))
    assert answer["__typename"] == "Conflict"
    assert answer["current"]["id"] == current
    assert answer["current"]["version"] == 2

    neither = await run(store, name, **naming, **more, expectedVersion={"any": False})
    assert problems(neither) == [("input.expectedVersion.any", "NOT_TRUE")]
    for wrong in ({}, {"version": 2, "any": True}, {"version": None}, None, 2):
        values = {**naming, **more, "expectedVersion": wrong}
        answer = await store.answer(mutation(name), input=values)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    answer = await store.answer(mutation(name), input={**naming, **more})
    assert "expectedVersion" in answer["errors"][0]["message"]
    assert await state(store) == before


@pytest.mark.parametrize(
    ("name", "entity", "more"),
    [
        ("updateCustomer", "Customer", {}),
        ("deleteCustomer", "Customer", {}),
        ("updateItem", "Item", {}),
        ("adjustStock", "Item", {"change": {"by": 1}}),
        ("advanceOrder", "Order", {"action": "PAY"}),
        ("cancelOrder", "Order", {}),
        ("changeOrderLine", "OrderLine", {"quantity": 2}),
        ("removeOrderLine", "OrderLine", {}),
    ],
)
async def test_a_missing_row_is_not_found_and_a_malformed_id_is_a_problem(
    store: Client, name: str, entity: str, more: dict[str, Any]
) -> None:
    nobody = to_global_id(entity, INT4_MAX)
    answer = await run(store, name, id=nobody, expectedVersion=ANY, **more)
    assert (answer["__typename"], answer["code"], answer["id"]) == ("NotFound", "NOT_FOUND", nobody)

    for id_ in ("", "x", to_global_id("Event", 1), to_global_id("Nothing", 1)):
        answer = await run(store, name, id=id_, expectedVersion=ANY, **more)
        assert problems(answer) == [("input.id", "INVALID_ID")]


# Items


async def test_an_item_is_created_and_changed(store: Client) -> None:
    answer = await run(store, "createItem", name="Chair", costPrice="9.2", sellingPrice="10.80")
    assert answer["item"]["stock"] is None
    assert answer["item"]["costPrice"] == "9.20"

    answer = await run(
        store,
        "updateItem",
        id=answer["item"]["id"],
        expectedVersion=at(1),
        sellingPrice="11",
    )
    assert (answer["item"]["name"], answer["item"]["sellingPrice"]) == ("Chair", "11.00")


async def test_a_price_is_not_negative_nor_too_large_nor_too_exact(store: Client) -> None:
    for price, code in (
        ("-0.01", "OUT_OF_RANGE"),
        ("100000000", "OUT_OF_RANGE"),
        ("1" * 40, "OUT_OF_RANGE"),
        ("0.001", "TOO_PRECISE"),
    ):
        answer = await run(store, "createItem", name="x", costPrice=price, sellingPrice="1.500")
        assert problems(answer) == [("input.costPrice", code)]
    answer = await run(
        store, "createItem", name="x", costPrice="99999999.99", sellingPrice="1", stock=-1
    )
    assert problems(answer) == [("input.stock", "OUT_OF_RANGE")]


async def test_stock_is_counted_by_and_to(store: Client) -> None:
    item: dict[str, Any] = {"id": ITEM, "expectedVersion": ANY}

    async def adjusted(**change: Any) -> Any:
        return await run(store, "adjustStock", **item, change=change)

    assert (await adjusted(by=-3))["item"]["stock"] == 7
    assert (await adjusted(to=INT4_MAX))["item"]["stock"] == INT4_MAX
    assert problems(await adjusted(by=1)) == [("input.change.by", "OUT_OF_RANGE")]
    assert (await adjusted(untracked=True))["item"]["stock"] is None
    assert reasons(await adjusted(by=1)) == ["NOT_COUNTED"]
    assert problems(await adjusted(to=-1)) == [("input.change.to", "OUT_OF_RANGE")]
    assert problems(await adjusted(untracked=False)) == [("input.change.untracked", "NOT_TRUE")]
    for wrong in ({}, {"by": 1, "to": 1}, {"to": None}, {"by": 1, "untracked": True}, None):
        answer = await store.answer(mutation("adjustStock"), input={**item, "change": wrong})
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_more_pieces_than_there_are_cannot_be_taken_away(store: Client) -> None:
    answer = await run(store, "adjustStock", id=ITEM, expectedVersion=ANY, change={"by": -11})

    assert answer["__typename"] == "InsufficientStock"
    assert answer["shortages"] == [{"item": {"databaseId": "1"}, "requested": 11, "available": 10}]


# Orders


async def test_an_order_has_the_prices_of_its_moment_and_takes_its_pieces(store: Client) -> None:
    answer = await run(
        store, "placeOrder", customerId=CUSTOMER, lines=[line(2, 3), line(5, 1), line(2, 4)]
    )

    order = answer["order"]
    assert (order["status"], order["version"], order["total"]) == ("PLACED", 1, "23.00")
    shown = [
        (each["itemName"], each["quantity"], each["unitPrice"], each["item"]["stock"])
        for each in order["lineItems"]["nodes"]
    ]
    assert shown == [
        ("Item 2", 3, "2.50", 3),
        ("Item 5", 1, "5.50", None),
        ("Item 2", 4, "2.50", 3),
    ]


async def test_all_items_that_are_short_are_listed(store: Client) -> None:
    before = await state(store)
    answer = await run(
        store, "placeOrder", customerId=CUSTOMER,
        lines=[line(1, 11), line(2, 6), line(5, 30000), line(2, 5), line(3, 10)],
    )  # fmt: skip

    assert answer["__typename"] == "InsufficientStock"
    assert answer["shortages"] == [
        {"item": {"databaseId": "1"}, "requested": 11, "available": 10},
        {"item": {"databaseId": "2"}, "requested": 11, "available": 10},
    ]
    assert await state(store) == before


async def test_all_problems_of_an_order_are_reported_at_once(store: Client) -> None:
    lines = [line(1, 0), line(99, 1), {"itemId": CUSTOMER, "quantity": 32768}]
    answer = await run(store, "placeOrder", customerId=to_global_id("Customer", 9), lines=lines)

    assert problems(answer) == [
        ("input.lines.2.itemId", "INVALID_ID"),
        ("input.lines.0.quantity", "OUT_OF_RANGE"),
        ("input.lines.2.quantity", "OUT_OF_RANGE"),
        ("input.customerId", "NOT_FOUND"),
        ("input.lines.1.itemId", "NOT_FOUND"),
    ]
    for lines in ([], [line(1, 1)] * 1001):
        answer = await run(store, "placeOrder", customerId=CUSTOMER, lines=lines)
        assert problems(answer) == [("input.lines", "OUT_OF_RANGE")]


async def test_an_order_goes_step_by_step(store: Client) -> None:
    for version, (action, status) in enumerate(
        [("PAY", "PAID"), ("SHIP", "SHIPPED"), ("DELIVER", "DELIVERED")], start=1
    ):
        answer = await run(
            store, "advanceOrder", id=ORDER, expectedVersion=at(version), action=action
        )
        assert (answer["order"]["status"], answer["order"]["version"]) == (status, version + 1)


async def test_mutations_do_what_actions_allow_and_nothing_else(store: Client) -> None:
    query = "{ order(by: {databaseId: 1}) { actions { name allowed reasons { code message } } } }"
    attempts = {
        "PAY": ("advanceOrder", {"id": ORDER, "action": "PAY"}),
        "SHIP": ("advanceOrder", {"id": ORDER, "action": "SHIP"}),
        "DELIVER": ("advanceOrder", {"id": ORDER, "action": "DELIVER"}),
        "CANCEL": ("cancelOrder", {"id": ORDER}),
        "CHANGE_LINES": ("addOrderLine", {"orderId": ORDER, **line(4, 1)}),
    }
    for status in ("PLACED", "PAID", "SHIPPED", "DELIVERED", "CANCELLED"):
        await changed(store, f"UPDATE orders SET status = '{status}' WHERE id = 1")  # noqa: S608
        actions = (await store(query))["order"]["actions"]
        assert {action["name"] for action in actions} == set(attempts)
        for action in actions:
            name, values = attempts[action["name"]]
            answer = await run(store, name, dry_run=True, **values, expectedVersion=ANY)
            assert (answer["__typename"] != "NotAllowed") is action["allowed"]
            assert answer.get("reasons", []) == action["reasons"]


async def test_lines_are_added_changed_and_removed_until_the_order_is_paid(store: Client) -> None:
    answer = await run(store, "addOrderLine", orderId=ORDER, expectedVersion=at(1), **line(3, 4))
    assert answer["order"]["version"] == 2
    added = answer["line"]["id"]
    assert answer["order"]["lineItems"]["nodes"][-1]["id"] == added
    assert await stock_of(store, 3) == 6

    answer = await run(store, "changeOrderLine", id=added, expectedVersion=at(2), quantity=10)
    assert answer["order"]["lineItems"]["nodes"][-1]["quantity"] == 10
    assert await stock_of(store, 3) == 0
    await run(store, "changeOrderLine", id=added, expectedVersion=at(3), quantity=1)
    assert await stock_of(store, 3) == 9
    answer = await run(store, "changeOrderLine", id=added, expectedVersion=at(4), quantity=11)
    assert answer["shortages"] == [{"item": {"databaseId": "3"}, "requested": 10, "available": 9}]

    answer = await run(store, "removeOrderLine", id=added, expectedVersion=at(4))
    assert added not in [each["id"] for each in answer["order"]["lineItems"]["nodes"]]
    assert await stock_of(store, 3) == 10


async def test_an_order_is_cancelled_as_a_whole_and_its_pieces_are_back(store: Client) -> None:
    placed = await run(store, "placeOrder", customerId=CUSTOMER, lines=[line(1, 3), line(2, 10)])

    answer = await run(store, "cancelOrder", id=placed["order"]["id"], expectedVersion=at(1))

    assert (answer["order"]["status"], answer["order"]["version"]) == ("CANCELLED", 2)
    assert answer["order"]["total"] == "0.00"
    assert [await stock_of(store, item) for item in (1, 2)] == [10, 10]


async def test_an_order_is_cancelled_piece_by_piece(store: Client) -> None:
    placed = await run(store, "placeOrder", customerId=CUSTOMER, lines=[line(1, 3), line(2, 2)])
    order = placed["order"]["id"]
    first, second = (each["id"] for each in placed["order"]["lineItems"]["nodes"])

    answer = await run(
        store,
        "cancelOrder",
        id=order,
        expectedVersion=at(1),
        lines=[{"id": first, "quantity": 2}],
    )
    assert answer["order"]["status"] == "PLACED"
    assert [each["cancelledQuantity"] for each in answer["order"]["lineItems"]["nodes"]] == [2, 0]
    assert [await stock_of(store, item) for item in (1, 2)] == [9, 8]

    too_many = [{"id": first, "quantity": 2}]
    answer = await run(store, "cancelOrder", id=order, expectedVersion=at(2), lines=too_many)
    assert reasons(answer) == ["NOTHING_LEFT"]
    answer = await run(store, "changeOrderLine", id=first, expectedVersion=at(2), quantity=1)
    assert reasons(answer) == ["LESS_THAN_CANCELLED"]

    rest = [{"id": first}, {"id": second, "quantity": 2}]
    answer = await run(store, "cancelOrder", id=order, expectedVersion=at(2), lines=rest)
    assert answer["order"]["status"] == "CANCELLED"
    assert [await stock_of(store, item) for item in (1, 2)] == [10, 10]


async def test_only_lines_of_the_order_can_be_cancelled_each_once(store: Client) -> None:
    lines = [{"id": LINE}, {"id": LINE}, {"id": to_global_id("OrderLine", 3)}]
    answer = await run(store, "cancelOrder", id=ORDER, expectedVersion=at(1), lines=lines)
    assert problems(answer) == [("input.lines.1.id", "REPEATED"), ("input.lines.2.id", "NOT_FOUND")]

    answer = await run(store, "cancelOrder", id=ORDER, expectedVersion=at(1), lines=[])
    assert problems(answer) == [("input.lines", "OUT_OF_RANGE")]


async def test_the_history_of_an_order_has_all_its_changes(store: Client) -> None:
    await run(store, "changeOrderLine", id=LINE, expectedVersion=at(1), quantity=2)
    await run(store, "advanceOrder", id=ORDER, expectedVersion=at(2), action="PAY")
    await run(store, "cancelOrder", id=ORDER, expectedVersion=at(3), lines=[{"id": LINE}])

    data = await store(
        """{ order(by: {databaseId: 1}) { history { totalCount nodes {
               entity kind payload actor orderId orderLineId } } } }"""
    )
    history = data["order"]["history"]["nodes"]
    assert {event["orderId"] for event in history} == {ORDER}
    assert [(event["entity"], event["kind"]) for event in history] == [
        *(("ORDER", "CREATED"), ("ORDER_LINE", "CREATED"), ("ORDER_LINE", "CREATED")),
        *(("ORDER_LINE", "CHANGED"), ("ORDER", "CHANGED"), ("ORDER", "PAID")),
        *(("ORDER_LINE", "CHANGED"), ("ORDER", "CHANGED")),
    ]
    assert history[3]["payload"] == {"quantity": [1, 2], "taken": [0, 1]}
    assert history[5]["payload"] == {"status": ["PLACED", "PAID"], "version": [2, 3]}


# All of them


INPUTS: dict[str, dict[str, Any]] = {
    "createCustomer": TOBY,
    "updateCustomer": {"id": CUSTOMER, "expectedVersion": at(1), "town": "X"},
    "deleteCustomer": {"id": to_global_id("Customer", 3), "expectedVersion": at(1)},
    "createItem": {"name": "x", "costPrice": "1", "sellingPrice": "2"},
    "updateItem": {"id": ITEM, "expectedVersion": at(2), "name": "x"},
    "adjustStock": {"id": ITEM, "expectedVersion": at(2), "change": {"by": 1}},
    "placeOrder": {"customerId": CUSTOMER, "lines": [line(1, 1), line(2, 1), line(3, 1)]},
    "addOrderLine": {"orderId": ORDER, "expectedVersion": at(1), **line(1, 1)},
    "changeOrderLine": {"id": LINE, "expectedVersion": at(1), "quantity": 2},
    "removeOrderLine": {"id": LINE, "expectedVersion": at(1)},
    "advanceOrder": {"id": ORDER, "expectedVersion": at(1), "action": "PAY"},
    "cancelOrder": {"id": ORDER, "expectedVersion": at(1)},
}
every_mutation = pytest.mark.parametrize("name", SUCCESSES)


@every_mutation
async def test_a_dry_run_answers_in_full_and_changes_nothing(store: Client, name: str) -> None:
    await run(store, "createCustomer", **TOBY | {"username": "third", "email": "third@x"})
    before = await state(store)

    dry = await run(store, name, dry_run=True, **INPUTS[name])

    assert await state(store) == before
    real = await run(store, name, **INPUTS[name])
    assert "code" not in real
    assert await state(store) != before
    assert without_ids(dry) == without_ids(real)


def without_ids(answer: Any) -> Any:
    """An answer without what is another one each time: the ids of new rows, and times."""
    if isinstance(answer, list):
        return [without_ids(each) for each in answer]
    if isinstance(answer, dict):
        new = {"id", "databaseId", "createdOn", "updatedOn"}
        return {key: without_ids(each) for key, each in answer.items() if key not in new}
    return answer


# How many statements each takes beside BEGIN and COMMIT, with the two of an idempotency key.
STATEMENTS = {
    "createCustomer": 5,
    "updateCustomer": 5,
    "deleteCustomer": 4,
    "createItem": 4,
    "updateItem": 5,
    "adjustStock": 5,
    "placeOrder": 6,
    "addOrderLine": 7,
    "changeOrderLine": 9,
    "removeOrderLine": 8,
    "advanceOrder": 5,
    "cancelOrder": 8,
}


# Without a word in the history, so that versions stay.
TAKE_ALL = """
    UPDATE order_lines SET taken = quantity
    FROM (SELECT set_config('graph.logging', 'off', true)) AS silenced
"""


@every_mutation
async def test_each_takes_so_many_statements(database_url: str, name: str) -> None:
    async with client_of(create_app(settings_for(database_url))) as client:
        await fill(client.database, customers=2, orders=1, lines=2, items=5)
        await changed(client, "UPDATE items SET stock = 10 WHERE id <= 3")
        await changed(client, TAKE_ALL)
        await run(client, "createCustomer", **TOBY | {"username": "third", "email": "third@x"})
        with recorded(client.database) as statements:
            data = await client(mutation(name, key=True), input=INPUTS[name], key="a")

        assert "code" not in data[name]
        assert len(statements) == STATEMENTS[name]


@pytest.mark.parametrize("lines", [1, 100])
async def test_an_order_takes_six_statements_whatever_it_holds(
    database_url: str, lines: int
) -> None:
    async with client_of(create_app(settings_for(database_url))) as client:
        await fill(client.database, customers=1, orders=0, items=lines)
        await changed(client, "UPDATE items SET stock = 10")
        basket = [line(item, 1) for item in range(1, lines + 1)]
        with recorded(client.database) as statements:
            data = await client(
                mutation("placeOrder", key=True),
                input={"customerId": CUSTOMER, "lines": basket},
                key="a",
            )

        assert len(data["placeOrder"]["order"]["lineItems"]["nodes"]) == lines
        assert len(statements) == 6


async def test_text_that_cannot_be_stored_is_refused_before_anything_runs(
    store: Client, sql: Statements
) -> None:
    sql.clear()
    answer = await store.answer(mutation("createCustomer"), input=TOBY | {"town": "a\0b"})

    assert answer["errors"][0]["extensions"]["code"] == "INVALID_TEXT"
    assert "data" not in answer
    assert len(sql) == 0


async def test_a_field_that_is_cancelled_by_itself_loses_no_other_result(
    store: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the fields before it have changed is committed."""
    at_once = vars(Mutations)["_at_once"]

    async def cancelled(mutations: Mutations, field: Any) -> Any:
        if field.response_key == "b":
            raise asyncio.CancelledError
        return await at_once(mutations, field)

    monkeypatch.setattr(Mutations, "_at_once", cancelled)
    answer = await store.answer(f"mutation {{ a: {_MOVE} b: {_MOVE} }}")

    assert answer["data"] == {"a": {"customer": {"town": "Elsewhere"}}, "b": None}
    (error,) = answer["errors"]
    assert error["path"] == ["b"]
    assert error["extensions"]["code"] == ErrorCode.INTERNAL_SERVER_ERROR


async def test_fields_that_are_cancelled_together_fail_together(
    store: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(_: Transaction) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(Transaction, "commit", cancelled)
    before = await state(store)
    answer = await store.answer(f"mutation @atomic {{ a: {_MOVE} b: {_MOVE} }}")

    assert answer["data"] == {"a": None, "b": None}
    assert [error["path"] for error in answer["errors"]] == [["a"], ["b"]]
    assert await state(store) == before
