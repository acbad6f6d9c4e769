"""The matrix of access: role by role, what rows, columns and mutations there are.

The expectations are written out here, beside those of `graph.store.access`.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
import strawberry
from graphql import get_named_type
from hypothesis import strategies as st
from sqlalchemy import text
from strawberry.schema.config import StrawberryConfig

from graph.database.catalog import catalog
from graph.database.engine import Database
from graph.database.writes import rows
from graph.errors import InvalidSchema
from graph.execution.running.execute import Execution
from graph.execution.running.request import Request
from graph.relay import to_global_id
from graph.schema.access import declare_access
from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.node import Node  # noqa: TC001  Strawberry reads the annotations
from graph.schema.scalars import SCALARS
from graph.schema.schema import Schema
from graph.settings import ExecutionMode
from graph.store import models
from graph.store.access import DESCRIPTIONS, ROLES, Permission
from graph.store.mutations import Mutation
from graph.store.queries import Query
from graph.store.schema import schema
from graph.store.types import ENTITIES, Item
from graph.viewer import ANONYMOUS, SYSTEM, Viewer
from tests.conftest import administer, recorded, settings_for
from tests.execution.oracle import for_all
from tests.mutations import ANY, SCHEMA, mutation
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.embedded import Cluster

CUSTOMERS, ORDERS_EACH, LINES_EACH, ITEMS = 4, 2, 2, 3
VIEWERS = {
    "anonymous": ANONYMOUS,
    "customer": Viewer("issuer c", "customer", ROLES["customer"], own=2),
    "clerk": Viewer("issuer k", "clerk", ROLES["clerk"]),
    "manager": Viewer("issuer m", "manager", ROLES["manager"]),
}
# Mutation -> the roles that may, and for customers only with what is theirs.
MUTATIONS = {
    "createCustomer": {"clerk", "manager"},
    "updateCustomer": {"customer", "clerk", "manager"},
    "deleteCustomer": {"manager"},
    "createItem": {"manager"},
    "updateItem": {"manager"},
    "adjustStock": {"clerk", "manager"},
    "placeOrder": {"customer", "clerk", "manager"},
    "addOrderLine": {"customer", "clerk", "manager"},
    "changeOrderLine": {"customer", "clerk", "manager"},
    "removeOrderLine": {"customer", "clerk", "manager"},
    "advanceOrder": {"clerk", "manager"},
    "cancelOrder": {"customer", "clerk", "manager"},
    "importCustomers": {"manager"},
    "importItems": {"manager"},
    "importOrders": {"manager"},
}
ROWS: dict[str, dict[str, int | None]] = {
    "items": {"anonymous": ITEMS, "customer": ITEMS, "clerk": ITEMS, "manager": ITEMS},
    "customers": {"anonymous": None, "customer": 1, "clerk": CUSTOMERS, "manager": CUSTOMERS},
    "orders": {
        "anonymous": None,
        "customer": ORDERS_EACH,
        "clerk": CUSTOMERS * ORDERS_EACH,
        "manager": CUSTOMERS * ORDERS_EACH,
    },
    "orderLines": {
        "anonymous": None,
        "customer": ORDERS_EACH * LINES_EACH,
        "clerk": CUSTOMERS * ORDERS_EACH * LINES_EACH,
        "manager": CUSTOMERS * ORDERS_EACH * LINES_EACH,
    },
}


@dataclass
class Shop:
    execution: Execution
    database: Database

    async def answer(self, viewer: Viewer, query: str, **variables: Any) -> tuple[int, Any]:
        answer = await self.execution.answer(Request(query, variables), viewer)
        assert b"INTERNAL_SERVER_ERROR" not in answer.body, answer.body
        return answer.status, json.loads(answer.body)

    async def code(self, viewer: Viewer, query: str, **variables: Any) -> str | None:
        """The code of the only error; None for an answer."""
        _, answer = await self.answer(viewer, query, **variables)
        errors = answer.get("errors", [])
        assert len(errors) < 2, errors
        return errors[0]["extensions"]["code"] if errors else None


@asynccontextmanager
async def shop_at(
    url: str, mode: ExecutionMode = ExecutionMode.COMPILED, served: Schema = schema
) -> AsyncIterator[Shop]:
    database = Database.connect(settings_for(url, pool_size=2))
    try:
        yield Shop(Execution(served, database, mode), database)
    finally:
        await database.close()


@pytest.fixture(params=ExecutionMode)
async def shop(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    async with shop_at(database_url, request.param) as shop:
        await fill_shop(shop.database)
        yield shop


async def fill_shop(database: Database) -> None:
    await fill(database, customers=CUSTOMERS, orders=ORDERS_EACH, lines=LINES_EACH, items=ITEMS)


@pytest.mark.parametrize("role", VIEWERS)
async def test_rows_exist_by_role(shop: Shop, role: str) -> None:
    viewer = VIEWERS[role]
    for field, expected in ROWS.items():
        query = f"{{ {field}(first: 100) {{ totalCount nodes {{ id }} }} }}"
        status, answer = await shop.answer(viewer, query)
        if expected[role] is None:
            assert status == 401
            continue
        found = answer["data"][field]
        assert (found["totalCount"], len(found["nodes"])) == (expected[role], expected[role])


@pytest.mark.parametrize(
    "query",
    [
        "{ items { nodes { costPrice } } }",
        "{ item(by: {databaseId: 1}) { costPrice } }",
        '{ node(id: "SXRlbTox") { ... on Item { costPrice } } }',
        '{ items(where: {costPrice: {gt: "1"}}) { totalCount } }',
        '{ items(where: {not: {or: [{costPrice: {gt: "1"}}]}}) { totalCount } }',
        "{ items(orderBy: [{costPrice: ASC}]) { nodes { id } } }",
        "{ items(orderBy: [{costPrice: ASC}]) { edges { cursor } } }",
        "{ items { aggregates { sum { costPrice } } } }",
        "{ items { groups(by: [{column: COST_PRICE}]) { aggregates { count } } } }",
        '{ search(text: "a") { nodes { ... on Item { costPrice } } } }',
    ],
)
async def test_what_the_store_pays_is_for_managers(shop: Shop, query: str) -> None:
    assert await shop.code(VIEWERS["manager"], query) is None
    assert await shop.code(VIEWERS["clerk"], query) == "FORBIDDEN"
    assert await shop.code(VIEWERS["customer"], query) == "FORBIDDEN"
    assert await shop.code(VIEWERS["anonymous"], query) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "query",
    [
        '{ orderLines(where: {item: {costPrice: {gt: "1"}}}) { totalCount } }',
        "{ orderLines(orderBy: [{item: {costPrice: ASC}}]) { nodes { id } } }",
        "{ orderLines { groups(by: [{item: {column: COST_PRICE}}]) { aggregates { count } } } }",
        '{ orders(where: {lineItems: {some: {item: {costPrice: {gt: "1"}}}}}) { totalCount } }',
        "{ orders { nodes { lineItems { nodes { item { costPrice } } } } } }",
    ],
)
async def test_nor_does_it_show_across_relationships(shop: Shop, query: str) -> None:
    assert await shop.code(VIEWERS["manager"], query) is None
    assert await shop.code(VIEWERS["clerk"], query) == "FORBIDDEN"
    assert await shop.code(VIEWERS["customer"], query) == "FORBIDDEN"


async def test_one_document_serves_all_with_include(shop: Shop) -> None:
    query = """query ($costs: Boolean!) {
        items(first: 1) { nodes { name costPrice @include(if: $costs) } } }"""
    assert await shop.code(VIEWERS["clerk"], query, costs=True) == "FORBIDDEN"
    assert await shop.code(VIEWERS["clerk"], query, costs=False) is None
    assert await shop.code(VIEWERS["manager"], query, costs=True) is None


async def test_a_refusal_lists_every_path_and_its_permissions(shop: Shop) -> None:
    query = "{ a: items { nodes { costPrice } } customers { totalCount } }"
    status, answer = await shop.answer(ANONYMOUS, query)
    (error,) = answer["errors"]
    assert status == 401
    assert error["extensions"] == {
        "code": "UNAUTHENTICATED",
        "fields": [
            {"path": "a.nodes.costPrice", "permissions": ["costs:read"]},
            {"path": "customers", "permissions": ["own", "store:read"]},
        ],
    }


async def test_the_actor_of_a_change_is_for_staff(shop: Shop) -> None:
    query = "{ orders(first: 1) { nodes { history { nodes { actor } } } } }"
    assert await shop.code(VIEWERS["customer"], query) == "FORBIDDEN"
    assert await shop.code(VIEWERS["clerk"], query) is None


async def test_the_histories_are_by_role(shop: Shop) -> None:
    query = """{ items(first: 1) { nodes { history { nodes { kind payload } } } }
                 customers(first: 1) { nodes { history { totalCount } } }
                 orders(first: 1) { nodes { history { totalCount } } } }"""
    seen = {}
    for role in ("customer", "clerk", "manager"):
        _, answer = await shop.answer(VIEWERS[role], query)
        found = {name: each["nodes"][0]["history"] for name, each in answer["data"].items()}
        seen[role] = (
            len(found["items"]["nodes"]),
            found["customers"]["totalCount"],
            found["orders"]["totalCount"],
        )
    assert seen == {"customer": (0, 0, 3), "clerk": (0, 0, 3), "manager": (1, 1, 3)}
    with_history = Viewer("s", "service", frozenset({"history:read"}))
    _, answer = await shop.answer(
        with_history, "{ items(first: 1) { nodes { history { nodes { payload } } } } }"
    )
    ((event,),) = [each["history"]["nodes"] for each in answer["data"]["items"]["nodes"]]
    assert event["payload"]["name"] == "Item 1"
    assert "costPrice" not in event["payload"]


def test_every_mutation_is_in_the_matrix() -> None:
    assert SCHEMA.mutation_type is not None
    assert set(SCHEMA.mutation_type.fields) == set(MUTATIONS)
    assert set(DESCRIPTIONS) == set(Permission)


@pytest.mark.parametrize("name", MUTATIONS)
async def test_mutations_are_by_role(shop: Shop, name: str) -> None:
    assert SCHEMA.mutation_type is not None
    field = SCHEMA.mutation_type.fields[name]
    type_ = field.args["input"].type
    query = f"""mutation ($input: {type_}) {{
        {name}(input: $input, dryRun: true) {{ __typename }} }}"""
    values = _values(get_named_type(type_))
    for role, viewer in VIEWERS.items():
        code = await shop.code(viewer, query, input=values)
        if role in MUTATIONS[name]:
            assert code is None
        else:
            assert code == ("UNAUTHENTICATED" if role == "anonymous" else "FORBIDDEN")


def _values(type_: Any) -> Any:
    """Some value for each required field of an input."""
    return {
        name: _value(field.type)
        for name, field in type_.fields.items()
        if str(field.type).endswith("!")
    }


def _value(type_: Any) -> Any:
    named = get_named_type(type_)
    if "[" in str(type_):
        return []
    if named.name == "ExpectedVersion":
        return ANY
    if named.name == "StockChange":
        return {"by": 1}
    if hasattr(named, "fields"):
        return _values(named)
    if hasattr(named, "values"):
        return next(iter(named.values))
    return {"ID": to_global_id("Order", 1), "Int": 1, "Decimal": "1"}.get(named.name, "text")


def test_a_mutation_without_a_permission_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {name: needs for name, needs in catalog.changes.items() if name != "cancel_order"}
    monkeypatch.setattr(catalog, "changes", changes)
    with pytest.raises(InvalidSchema, match="cancel_order"):
        declare_access(ENTITIES, Mutation)


async def test_a_customer_places_orders_for_themselves(shop: Shop) -> None:
    query = """mutation ($input: PlaceOrderInput!) { placeOrder(input: $input, dryRun: true) {
        ... on OrderSaved { order { customer { databaseId } } }
        ... on ValidationFailed { problems { path code } } } }"""
    lines = [{"itemId": to_global_id("Item", 1), "quantity": 1}]
    other = to_global_id("Customer", 1)
    absent = to_global_id("Customer", 77)

    async def outcome(viewer: Viewer, **values: Any) -> Any:
        _, answer = await shop.answer(viewer, query, input={"lines": lines, **values})
        return answer["data"]["placeOrder"]

    own = {"order": {"customer": {"databaseId": "2"}}}
    refused = {"problems": [{"path": ["input", "customerId"], "code": "NOT_FOUND"}]}
    required = {"problems": [{"path": ["input", "customerId"], "code": "REQUIRED"}]}
    assert await outcome(VIEWERS["customer"]) == own
    assert await outcome(VIEWERS["customer"], customerId=to_global_id("Customer", 2)) == own
    assert await outcome(VIEWERS["customer"], customerId=other) == refused
    assert await outcome(VIEWERS["customer"], customerId=absent) == refused
    assert await outcome(VIEWERS["clerk"]) == required
    ordered = await outcome(VIEWERS["clerk"], customerId=other)
    assert ordered["order"]["customer"]["databaseId"] == "1"


async def test_what_is_not_theirs_cannot_be_told_from_what_is_not_there(shop: Shop) -> None:
    """Neither by the answer nor by the statements."""
    query = mutation("cancelOrder")
    texts, answers = [], []
    for key in (1, 99):  # an order of another customer, and none
        with recorded(shop.database) as statements:
            id_ = to_global_id("Order", key)
            values = {"id": id_, "expectedVersion": ANY}
            _, answer = await shop.answer(VIEWERS["customer"], query, input=values, dryRun=True)
        texts.append(statements.texts)
        answers.append(json.dumps(answer).replace(id_, "ID"))
    assert texts[0] == texts[1]
    assert answers[0] == answers[1]
    assert "NOT_FOUND" in answers[0]


async def test_nor_can_a_customer_for_whom_one_orders(shop: Shop) -> None:
    query = mutation("placeOrder")
    texts = []
    for key in (1, 99):  # another customer, and none
        with recorded(shop.database) as statements:
            lines = [{"itemId": to_global_id("Item", 1), "quantity": 1}]
            values = {"customerId": to_global_id("Customer", key), "lines": lines}
            await shop.answer(VIEWERS["customer"], query, input=values, dryRun=True)
        texts.append(statements.texts)
    assert texts[0] == texts[1]


async def test_a_permission_for_ones_own_does_not_change_what_one_only_reads(shop: Shop) -> None:
    viewer = Viewer("s", "service", frozenset({"store:read", "own"}), own=2)
    for key, code in ((1, "NOT_FOUND"), (2, None)):
        values = {"id": to_global_id("Customer", key), "expectedVersion": ANY, "town": "Ulm"}
        query = mutation("updateCustomer")
        _, answer = await shop.answer(viewer, query, input=values, dryRun=True)
        assert answer["data"]["updateCustomer"].get("code") == code


async def test_actions_tell_what_is_not_permitted(shop: Shop) -> None:
    query = "{ orders(first: 1) { nodes { actions { name reasons { code } } } } }"

    async def reasons(viewer: Viewer) -> dict[str, list[str]]:
        _, answer = await shop.answer(viewer, query)
        (order,) = answer["data"]["orders"]["nodes"]
        return {
            each["name"]: [reason["code"] for reason in each["reasons"]]
            for each in order["actions"]
        }

    manager = {
        "CHANGE_LINES": [],
        "PAY": [],
        "SHIP": ["IS_PLACED"],
        "DELIVER": ["IS_PLACED"],
        "CANCEL": [],
    }
    assert await reasons(SYSTEM) == manager
    assert await reasons(VIEWERS["manager"]) == manager
    assert await reasons(VIEWERS["clerk"]) == manager
    assert await reasons(VIEWERS["customer"]) == manager | {
        "PAY": ["NOT_PERMITTED"],
        "SHIP": ["NOT_PERMITTED", "IS_PLACED"],
        "DELIVER": ["NOT_PERMITTED", "IS_PLACED"],
    }


async def test_the_viewer_tells_who_asks(shop: Shop) -> None:
    query = "{ viewer { id role may expiresAt customer { firstName orders { totalCount } } } }"
    _, answer = await shop.answer(VIEWERS["customer"], query)
    assert answer["data"]["viewer"] == {
        "id": "issuer c",
        "role": "customer",
        "may": ["own"],
        "expiresAt": None,
        "customer": {"firstName": "First2", "orders": {"totalCount": ORDERS_EACH}},
    }
    assert await shop.code(VIEWERS["clerk"], query) is None
    _, answer = await shop.answer(ANONYMOUS, "{ viewer { id role may } }")
    assert answer["data"]["viewer"] == {"id": None, "role": "anonymous", "may": []}
    _, answer = await shop.answer(ANONYMOUS, query)
    assert answer["data"]["viewer"]["customer"] is None
    # Beside the viewer's customer, which does not exist, others are refused as ever.
    both = "{ viewer { customer { firstName } } customers { totalCount } }"
    assert await shop.code(ANONYMOUS, both) == "UNAUTHENTICATED"
    hidden = "{ viewer { customer { orders { nodes { history { nodes { actor } } } } } } }"
    assert await shop.code(VIEWERS["customer"], hidden) == "FORBIDDEN"


@strawberry.type
class Extended(Query):
    @strawberry.field
    def cheapest(self) -> Item:
        """A mapped object, of which the resolver knows all columns."""
        return cast("Item", models.Item(id=1, name="Pin", cost_price=Decimal(2)))

    @strawberry.field
    def first(self) -> Node:
        return cast("Item", models.Item(id=1, name="Pin", cost_price=Decimal(2)))


@strawberry.type
class ExtendedMutation(Mutation):
    @strawberry.field
    def audit(self) -> int:
        return 7

    @strawberry.field
    async def has(self, info: Info, customer: int) -> bool:
        return await rows.lock(info.context.transaction, "Customer", customer, "id") is not None


@pytest.mark.parametrize("mode", ExecutionMode)
async def test_python_resolvers_are_guarded_alike(
    database_url: str, mode: ExecutionMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.changes, "audit", frozenset({Permission.MANAGE}))
    config = StrawberryConfig(scalar_map=SCALARS)
    extended = Schema(query=Extended, mutation=ExtendedMutation, types=ENTITIES, config=config)
    async with shop_at(database_url, mode, extended) as shop:
        for query in (
            "{ cheapest { name costPrice } }",
            "{ first { id ... on Item { costPrice } } }",
            "mutation { audit }",
        ):
            assert await shop.code(VIEWERS["manager"], query) is None
            assert await shop.code(VIEWERS["clerk"], query) == "FORBIDDEN"
            assert await shop.code(ANONYMOUS, query) == "UNAUTHENTICATED"
        assert await shop.code(ANONYMOUS, "{ cheapest { name } }") is None


@pytest.mark.parametrize("mode", ExecutionMode)
async def test_a_mutation_in_python_changes_what_a_declared_one_may(
    database_url: str, mode: ExecutionMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.changes, "has", frozenset({Permission.CUSTOMERS, Permission.OWN}))
    config = StrawberryConfig(scalar_map=SCALARS)
    extended = Schema(query=Extended, mutation=ExtendedMutation, types=ENTITIES, config=config)
    viewer = Viewer("s", "service", frozenset({"store:read", "own"}), own=2)
    async with shop_at(database_url, mode, extended) as shop:
        await fill(shop.database, customers=CUSTOMERS)
        _, answer = await shop.answer(
            viewer, "mutation { a: has(customer: 1) b: has(customer: 2) }"
        )
        assert answer["data"] == {"a": False, "b": True}


async def test_the_viewers_customer_takes_a_statement_for_each_level(shop: Shop) -> None:
    query = "{ viewer { customer { orders { nodes { lineItems { nodes { quantity } } } } } } }"
    with recorded(shop.database) as statements:
        assert await shop.code(VIEWERS["customer"], query) is None
    assert len(statements) == 3
    with recorded(shop.database) as statements:
        assert await shop.code(VIEWERS["clerk"], query) is None
    assert len(statements) == 0


async def test_one_statement_stays_one(database_url: str) -> None:
    query = "{ customers { nodes { orders { nodes { lineItems { nodes { item { name } } } } } } } }"
    async with shop_at(database_url) as shop:
        await fill(shop.database, customers=CUSTOMERS)
        for viewer in (VIEWERS["customer"], VIEWERS["clerk"]):
            with recorded(shop.database) as statements:
                assert await shop.code(viewer, query) is None
            assert len(statements) == 1


CUT = (
    "DELETE FROM order_lines WHERE order_id NOT IN (SELECT id FROM orders WHERE customer_id = 2)",
    "DELETE FROM orders WHERE customer_id <> 2",
    "DELETE FROM customers WHERE id <> 2",
)
KEYS = st.integers(1, CUSTOMERS * ORDERS_EACH * LINES_EACH + 2)
_ID = {
    "updateCustomer": "Customer",
    "changeOrderLine": "OrderLine",
    "removeOrderLine": "OrderLine",
    "cancelOrder": "Order",
}


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A mutation that customers may, of any row."""
    name = draw(st.sampled_from([*_ID, "placeOrder", "addOrderLine"]))
    item = to_global_id("Item", draw(st.integers(1, ITEMS + 1)))
    quantity = draw(st.integers(0, 3))
    values: dict[str, Any] = {}
    match name:
        case "placeOrder":
            customer = draw(st.none() | st.integers(1, CUSTOMERS + 1))
            if customer:
                values["customerId"] = to_global_id("Customer", customer)
            return name, {**values, "lines": [{"itemId": item, "quantity": quantity}]}
        case "addOrderLine":
            values |= {"orderId": to_global_id("Order", draw(KEYS)), "itemId": item}
        case _:
            values["id"] = to_global_id(_ID[name], draw(KEYS))
    if name == "updateCustomer":
        values["town"] = draw(st.sampled_from(["Ulm", " "]))
    if name in {"addOrderLine", "changeOrderLine"}:
        values["quantity"] = quantity
    if name == "cancelOrder" and draw(st.booleans()):
        line = {"id": to_global_id("OrderLine", draw(KEYS)), "quantity": quantity}
        values["lines"] = [line]
    values["expectedVersion"] = draw(st.sampled_from([ANY, {"version": 1}, {"version": 5}]))
    return name, values


def test_a_change_is_answered_as_if_nothing_else_were_in_the_store(
    cluster: Cluster, template: str
) -> None:
    names = ["changes_whole", "changes_part"]
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            for name in names:
                runner.run(administer(cluster, f"CREATE DATABASE {name} TEMPLATE {template}"))
            whole, part = (runner.run(_filled(stack, cluster.url(name))) for name in names)
            runner.run(_cut(part))
            customer, everybody = VIEWERS["customer"], replace(SYSTEM, own=2)

            @for_all(changes(), store=1, examples=300)
            def check(change: tuple[str, dict[str, Any]]) -> None:
                name, values = change
                query = mutation(name).replace("updatedOn", "")  # the time of the change
                given = {"input": values, "dryRun": True}
                expected = runner.run(part.answer(everybody, query, **given))
                assert runner.run(whole.answer(customer, query, **given)) == expected

        finally:
            runner.run(stack.aclose())
            for name in names:
                runner.run(administer(cluster, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


async def _filled(stack: AsyncExitStack, url: str) -> Shop:
    shop = await stack.enter_async_context(shop_at(url))
    await fill_shop(shop.database)
    return shop


async def _cut(part: Shop) -> None:
    async with part.database.write() as session:
        await session.execute(text("SET LOCAL graph.logging = 'off'"))
        for table in ("customers", "orders", "order_lines"):
            await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for statement in CUT:
            await session.execute(text(statement))
        for table in ("customers", "orders", "order_lines"):
            await session.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
