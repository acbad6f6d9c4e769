"""Changes in one statement: as the rules make them, step by step.

A dry run is made by the rule, so it is the oracle of the change that follows it.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from math import inf
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.database.engine import Database
from graph.database.worlds import EVERYTHING
from graph.database.writes.at_once import update_at_once
from graph.errors import OutcomeUnknown, TimedOut, TooExpensive
from graph.execution.running.execute import Execution
from graph.execution.running.request import Request
from graph.relay import to_global_id
from graph.server.deadlines import Deadline, Deadlines
from graph.store.access import ROLES
from graph.store.schema import schema
from graph.viewer import SYSTEM, Viewer
from tests.bazaar.models import Trader
from tests.conftest import Client, client_of, recorded, settings_for
from tests.execution.running.test_mutations import without_ids
from tests.execution.test_failures import connected, end_connections, waiting_for_a_lock
from tests.mutations import ANY, at, mutation, run
from tests.rows import fill
from tests.server.proxy import running_proxy

if TYPE_CHECKING:
    from graph.database.embedded import Cluster

CUSTOMERS, ITEMS = 3, 6
UPDATED = "... on CustomerSaved { customer { id town version } }"
VERSION = "SELECT version FROM customers WHERE id = 1"
PLACED = """... on OrderSaved { order { id total lineItems(first: 9) { totalCount
    nodes { quantity taken unitPrice itemName order { status } } } } }"""


async def filled(client: Client) -> Client:
    """Items 1 to 3 are counted, with ten pieces each; the others are not."""
    await fill(client.database, customers=CUSTOMERS, orders=1, lines=1, items=ITEMS)
    await changed(client.database, "UPDATE items SET stock = 10 WHERE id <= 3")
    return client


ORDERS = "INSERT INTO orders (customer_id) SELECT 1 FROM generate_series(4, 30)"


async def changed(database: Database, statement: str) -> None:
    async with database.write() as session:
        await session.execute(text(statement))


async def value(database: Database, query: str) -> Any:
    async with database.write() as session:
        return await session.scalar(text(query))


async def until_the_version_is(version: int, database: Database) -> None:
    for _ in range(600):
        if await value(database, VERSION) == version:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(version)


def customer(number: int) -> str:
    return to_global_id("Customer", number)


def lines(*items: int, quantity: int = 1) -> list[dict[str, Any]]:
    return [{"itemId": to_global_id("Item", item), "quantity": quantity} for item in items]


def texts_of_a_customer(random: Random) -> dict[str, Any]:
    return {
        "town": random.choice(["Ulm", " Köln ", "", None, "x" * 101]),
        "username": random.choice(["user1", "a\u200bb", *[f"new{random.random()}"] * 2]),
        "email": random.choice(["user1@x", "USER2@example.com", *[f"{random.random()}@x"] * 2]),
    }


def values_of_an_item(random: Random) -> dict[str, Any]:
    return {
        "name": random.choice(["A", " é ", "", "x" * 201]),
        "sellingPrice": random.choice(["1.00", "2.50", "-1", "1.001"]),
        "costPrice": random.choice(["1.00", None]),
    }


def an_input(name: str, random: Random) -> dict[str, Any]:
    """Values that are mostly valid."""
    if name == "placeOrder":
        items = random.choices(range(1, ITEMS + 1), k=random.randint(0, 4))
        items = random.choice([items, [each % 3 + 1 for each in items], [*items, 99]])
        order = lines(*items, quantity=random.choice([1, 2, 9, 0, 40_000]))
        return {"customerId": customer(random.choice([1, 2, 99])), "lines": order}
    if name == "createCustomer":
        texts = {"firstName": "A", "lastName": " B ", "address": "C"} | texts_of_a_customer(random)
        return texts | {"town": texts["town"] or "Ulm"}
    if name == "createItem":
        values = values_of_an_item(random)
        stock: dict[str, Any] = random.choice([{}, {"stock": None}, {"stock": 7}])
        return values | stock | {"costPrice": values["costPrice"] or "1.00"}
    expected = random.choice([ANY, ANY, ANY, at(1), at(2), {"any": False}])
    if name == "advanceOrder":
        key = to_global_id("Order", random.randint(1, 35))
        action = random.choice(["PAY", "SHIP", "DELIVER"])
        return {"id": key, "expectedVersion": expected, "action": action}
    if name == "adjustStock":
        key = to_global_id("Item", random.choice([1, 2, 3, 5, 99]))
        by = [{"by": by} for by in (0, 1, -1, -11, 4, 2**31 - 1, 2**31 - 10, -(2**31) + 1)]
        to = [{"to": 10}, {"to": 12}, {"to": -1}, {"untracked": True}, {"untracked": False}]
        return {"id": key, "expectedVersion": expected, "change": random.choice([*by, *to])}
    if name == "updateItem":
        optional = values_of_an_item(random)
        key = to_global_id("Item", random.choice([1, 2, 5, 99]))
    else:
        optional = texts_of_a_customer(random)
        key = random.choice([customer(1), customer(2), customer(99), "nothing"])
    given = random.sample(sorted(optional), k=random.randint(0, 3))
    return {"id": key, "expectedVersion": expected} | {each: optional[each] for each in given}


@pytest.mark.parametrize(
    "name",
    [
        "createCustomer",
        "updateCustomer",
        "createItem",
        "updateItem",
        "adjustStock",
        "placeOrder",
        "advanceOrder",
    ],
)
async def test_one_statement_changes_and_refuses_as_the_rule_does(
    client: Client, name: str
) -> None:
    await filled(client)
    await changed(client.database, ORDERS)
    random, changes = Random(name), 0  # noqa: S311  no secret
    for _ in range(120):
        given = an_input(name, random)
        dry = await client.answer(mutation(name), input=given, dryRun=True)
        real = await client.answer(mutation(name), input=given)
        assert without_ids(dry) == without_ids(real), given
        changes += "Saved" in str(real)

    assert 10 < changes < 110  # else only one of the two was compared


async def execution_of(held: AsyncExitStack, url: str) -> Execution:
    database = Database.connect(settings_for(url))
    held.push_async_callback(database.close)
    return Execution(schema, database)


@pytest.mark.parametrize("role", ["system", "customer", "clerk", "manager"])
async def test_whoever_changes_it_a_change_and_its_payload_are_one_statement(
    client: Client, database_url: str, role: str
) -> None:
    await filled(client)
    viewer = SYSTEM if role == "system" else Viewer(f"issuer {role}", role, ROLES[role], own=1)
    update = {"id": customer(1), "expectedVersion": at(1), "town": "Ulm"}
    place = {"customerId": customer(1), "lines": lines(2, 1, 2)}

    async with AsyncExitStack() as held:
        execution = await execution_of(held, database_url)
        bodies = []
        with recorded(execution._database) as statements:  # noqa: SLF001
            for name, selected, given in (
                ("updateCustomer", UPDATED, update),
                ("placeOrder", PLACED, place),
            ):
                type_ = name[0].upper() + name[1:] + "Input"
                query = f"mutation($i: {type_}!) {{ {name}(input: $i) {{ {selected} }} }}"
                bodies.append((await execution.answer(Request(query, {"i": given}), viewer)).body)

    assert len(statements) == 2
    assert b'"town":"Ulm","version":2' in bodies[0]
    assert bodies[1].count(b'"taken":1,') == 3
    actor = await value(client.database, "SELECT string_agg(DISTINCT actor, ',') FROM events"
                        " WHERE id > (SELECT max(id) FROM events) - 4")  # fmt: skip
    assert actor == viewer.subject
    assert await value(client.database, "SELECT stock FROM items WHERE id = 2") == 8


async def test_a_customer_changes_nobody_else_in_one_statement(
    client: Client, database_url: str
) -> None:
    await filled(client)
    viewer = Viewer("issuer c", "customer", ROLES["customer"], own=1)
    update = {"id": customer(2), "expectedVersion": ANY, "town": "Ulm"}
    place = {"customerId": customer(2), "lines": lines(1)}
    async with AsyncExitStack() as held:
        execution = await execution_of(held, database_url)
        for name, given, code in (
            ("updateCustomer", update, b"NOT_FOUND"),
            ("placeOrder", place, b"There is no such customer."),
        ):
            request = Request(mutation(name), {"input": given})
            assert code in (await execution.answer(request, viewer)).body

    assert await value(client.database, "SELECT count(*) FROM customers WHERE town = 'Ulm'") == 0
    assert await value(client.database, "SELECT count(*) FROM orders") == CUSTOMERS


@pytest.mark.parametrize(
    ("name", "given", "success"),
    [
        (
            "createCustomer",
            dict.fromkeys(("firstName", "lastName", "username", "address", "town"), "A")
            | {"email": "a@example.com"},
            "CustomerSaved { customer { id version town } }",
        ),
        (
            "createItem",
            {"name": "A", "costPrice": "1.00", "sellingPrice": "2.00"},
            "ItemSaved { item { id version sellingPrice } }",
        ),
        (
            "adjustStock",
            {"id": to_global_id("Item", 1), "expectedVersion": ANY, "change": {"by": -3}},
            "ItemSaved { item { id version stock } }",
        ),
        (
            "advanceOrder",
            {"id": to_global_id("Order", 1), "expectedVersion": ANY, "action": "PAY"},
            "OrderSaved { order { id version status } }",
        ),
    ],
)
async def test_other_changes_are_one_statement_too(
    client: Client, name: str, given: dict[str, Any], success: str
) -> None:
    await filled(client)
    type_ = name[0].upper() + name[1:] + "Input"
    query = f"""mutation($i: {type_}!, $dry: Boolean! = false) {{
        {name}(input: $i, dryRun: $dry) {{ ... on {success} }} }}"""
    dry = await client(query, i=given, dry=True)

    with recorded(client.database) as sql:
        real = await client(query, i=given)

    assert len(sql) == 1
    assert without_ids(real) == without_ids(dry)


@pytest.mark.parametrize(
    ("payload", "statements"),
    [
        ("order { id }", 1),
        ("order { lineItems(first: 1) { nodes { order { version } } } }", 1),
        ("order { customer { town } }", 2),
        ("order { lineItems(first: 2) { nodes { item { stock } } } }", 2),
        ("order { history(first: 5) { nodes { kind } } }", 2),
        ("__typename", 1),
    ],
)
async def test_a_payload_of_other_rows_is_a_second_statement(
    client: Client, payload: str, statements: int
) -> None:
    await filled(client)
    query = f"""mutation($i: PlaceOrderInput!, $dry: Boolean! = false) {{
        placeOrder(input: $i, dryRun: $dry) {{ ... on OrderSaved {{ {payload} }} }} }}"""
    given = {"customerId": customer(1), "lines": lines(1, 2)}
    dry = await client(query, i=given, dry=True)

    with recorded(client.database) as sql:
        real = await client(query, i=given)

    assert without_ids(real) == without_ids(dry)
    assert len(sql) == statements


@pytest.mark.parametrize(
    ("items", "more"), [((1, 2), ""), ((1, 4), ""), ((1, 2), "customer { town }"), ((1, 1), "")]
)
async def test_an_order_has_the_price_that_its_lock_waited_for(
    client: Client, database_url: str, items: tuple[int, ...], more: str
) -> None:
    await filled(client)
    query = f"""mutation($i: PlaceOrderInput!) {{ placeOrder(input: $i) {{ ... on OrderSaved {{
        order {{ {more} lineItems(first: 9) {{ nodes {{ unitPrice itemName }} }} }} }} }} }}"""
    async with connected(database_url) as locker:
        transaction = locker.transaction()
        await transaction.start()
        await locker.execute("UPDATE items SET selling_price = 7, name = 'New'")
        placing = asyncio.create_task(
            client(query, i={"customerId": customer(1), "lines": lines(*items)})
        )
        await waiting_for_a_lock(database_url)
        await transaction.commit()
        data = await placing

    nodes = data["placeOrder"]["order"]["lineItems"]["nodes"]
    assert nodes == [{"unitPrice": "7.00", "itemName": "New"}] * 2


async def test_a_refused_order_uses_up_no_id(client: Client) -> None:
    await filled(client)
    last = "SELECT last_value FROM orders_id_seq"
    before = await value(client.database, last)

    refused = await run(client, "placeOrder", customerId=customer(1), lines=lines(1, quantity=11))

    assert refused["__typename"] == "InsufficientStock"
    assert await value(client.database, last) == before


async def test_a_change_whose_answer_is_too_large_is_not_made(database_url: str) -> None:
    settings = settings_for(database_url, max_answer_bytes=2_000)
    async with client_of(create_app(settings)) as client:
        await filled(client)
        many = " ".join(f"a{n}: customer {{ address town email }}" for n in range(30))
        query = f"""mutation($i: UpdateCustomerInput!) {{
            updateCustomer(input: $i) {{ ... on CustomerSaved {{ {many} }} }} }}"""
        given = {"id": customer(1), "expectedVersion": ANY, "town": "Ulm"}

        answer = await client.answer(query, i=given)

        assert answer["errors"][0]["extensions"]["code"] == "ANSWER_TOO_LARGE"
        assert await value(client.database, "SELECT town FROM customers WHERE id = 1") == "Wolfden"


async def test_a_connection_that_is_lost_meanwhile_is_told_by_the_server(
    client: Client, database_url: str
) -> None:
    await filled(client)
    given = {"id": customer(1), "expectedVersion": ANY, "town": "Ulm"}
    async with connected(database_url) as locker:
        transaction = locker.transaction()
        await transaction.start()
        await locker.execute("SELECT FROM customers WHERE id = 1 FOR UPDATE")
        changing = asyncio.create_task(client.answer(mutation("updateCustomer"), input=given))
        await waiting_for_a_lock(database_url)
        await end_connections(database_url)
        answer = await changing

    assert answer["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"


async def test_a_connection_that_is_cut_meanwhile_leaves_the_outcome_unknown(
    cluster: Cluster, client: Client, database_url: str
) -> None:
    await filled(client)
    given = {"id": customer(1), "expectedVersion": ANY, "town": "Ulm"}
    server = cluster.environment()["PGHOST"]
    with TemporaryDirectory() as folder:  # not `tmp_path`, which is too long for a socket
        name = f".s.PGSQL.{cluster.environment()['PGPORT']}"
        async with (
            running_proxy(Path(folder, name)) as proxy,
            connected(database_url) as locker,
        ):
            proxy.target = Path(server, name)
            settings = settings_for(database_url.replace(server, folder))
            async with client_of(create_app(settings)) as cut:
                transaction = locker.transaction()
                await transaction.start()
                await locker.execute("SELECT FROM customers WHERE id = 1 FOR UPDATE")
                changing = asyncio.create_task(cut.answer(mutation("updateCustomer"), input=given))
                await waiting_for_a_lock(database_url)
                proxy.cut()
                answer = await changing
                before = await value(client.database, VERSION)
                await transaction.commit()

                (error,) = answer["errors"]
                assert error["extensions"]["code"] == "OUTCOME_UNKNOWN"
                assert before == 1
                # PostgreSQL knew nothing of it, and goes on. Nothing is sent a second time.
                await until_the_version_is(2, client.database)
                again = await cut.answer(mutation("updateCustomer"), input=given)
                assert again["data"]["updateCustomer"]["customer"]["version"] == 2


WAITING_COMMIT = """
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON customers
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
    CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON orders
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
    SELECT pg_advisory_lock(7)
"""


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("updateCustomer", {"id": to_global_id("Customer", 1), "town": "Ulm"}),  # one statement
        ("cancelOrder", {"id": to_global_id("Order", 1)}),  # a transaction
    ],
)
async def test_the_outcome_of_a_commit_that_is_cancelled_is_unknown(
    client: Client, database_url: str, name: str, given: dict[str, Any]
) -> None:
    await filled(client)
    request = Request(mutation(name), variables={"input": {**given, "expectedVersion": ANY}})
    deadline: list[Deadline] = []

    async def change() -> Any:
        deadline.append(Deadlines().watch(3600, TimedOut))
        with deadline[0]:
            return await client.execution.answer(request, SYSTEM)

    async with connected(database_url) as locker:
        await locker.execute(WAITING_COMMIT)
        changing = asyncio.create_task(change())
        await waiting_for_a_lock(database_url)
        for now in (0.0, inf):  # its own timer may have come first
            deadline[0].check(now)
        with pytest.raises(OutcomeUnknown):
            await changing


async def test_the_outcome_of_a_statement_that_is_stopped_at_its_commit_is_unknown(
    client: Client, database_url: str
) -> None:
    """As where it is slow, and too many slow ones are running."""
    await filled(client)
    given = {"id": customer(1), "expectedVersion": ANY, "town": "Ulm"}
    request = Request(mutation("updateCustomer"), variables={"input": given})
    async with connected(database_url) as locker:
        await locker.execute(WAITING_COMMIT)
        changing = asyncio.create_task(client.execution.answer(request, SYSTEM))
        await waiting_for_a_lock(database_url)
        assert request.observation.place is not None
        request.observation.place.changes.stop(TooExpensive(0.25))
        answer = await changing

    assert answer.codes == ("OUTCOME_UNKNOWN",)


async def test_an_error_of_the_driver_itself_leaves_the_outcome_unknown(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not understand the answer to a change that was made. The rule would make it twice."""
    await filled(client)
    given = {"id": customer(1), "expectedVersion": ANY, "town": "Ulm"}

    async def misread(connection: Any, *arguments: Any) -> None:
        await fetchrow(connection, *arguments)
        raise asyncpg.InternalClientError("unexpected message")

    fetchrow = asyncpg.Connection.fetchrow
    with monkeypatch.context() as patched:
        patched.setattr(asyncpg.Connection, "fetchrow", misread)
        answer = await client.answer(mutation("updateCustomer"), input=given)

    assert answer["errors"][0]["extensions"]["code"] == "OUTCOME_UNKNOWN"
    assert await value(client.database, VERSION) == 2


def test_an_entity_that_refers_to_itself_is_changed_by_its_rule() -> None:
    change = update_at_once(
        SYSTEM, EVERYTHING, Trader.__name__, 1, expected=None, values={"name": "x"}
    )
    assert change is None
