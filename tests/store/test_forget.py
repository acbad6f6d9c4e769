"""A person is forgotten: nothing in the database names them, and the books are the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.database.transaction import Transaction
from graph.errors import NotFound
from graph.relay import to_global_id
from graph.store.forget import forget
from tests.mutations import ANY, mutation
from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client

OLD = {
    "firstName": 'Zoë "Z"',
    "lastName": "Quill",
    "username": "zoe.quill",
    "email": "zoe@quill.example",
    "address": "7 Nowhere Lane",
    "town": "Zzyzx",
}
BOOKS = """{ orders { nodes { id total customer { id } lineItems { nodes { subtotal } } } }
             customers { totalCount } }"""


async def everything(client: Client) -> str:
    """All rows of all tables as text, kept answers decoded."""
    async with client.database.write() as session:
        tables = await session.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        found: list[str] = []
        for table in tables.scalars():
            rows = await session.execute(text(f"SELECT row_to_json(t)::text FROM {table} AS t"))  # noqa: S608
            found += rows.scalars()
        answers = await session.execute(
            text("SELECT convert_from(answer, 'UTF8') FROM idempotency_keys")
        )
        return "\n".join([*found, *answers.scalars()])


@pytest.fixture
async def zoe(client: Client) -> int:
    """The key of a customer whose names are in the row, the history and a kept answer."""
    await fill(client.database, customers=2)
    created = await client(mutation("createCustomer", key=True), input=OLD, key="a")
    customer = created["createCustomer"]["customer"]
    changed = {"id": customer["id"], "expectedVersion": ANY, "town": "Elsewhere"}
    await client(mutation("updateCustomer"), input=changed)
    ordered: dict[str, Any] = {
        "customerId": customer["id"],
        "lines": [{"itemId": to_global_id("Item", 1), "quantity": 2}],
    }
    await client(mutation("placeOrder"), input=ordered)
    return int(customer["databaseId"])


async def test_nothing_names_the_person_and_the_books_stay(client: Client, zoe: int) -> None:
    before, books = await everything(client), await client(BOOKS)
    texts = [json.dumps(value, ensure_ascii=False)[1:-1] for value in OLD.values()]
    assert all(value in before for value in texts)

    done = await forget(client.database, zoe)

    after = await everything(client)
    assert [value for value in (*texts, "Elsewhere") if value in after] == []
    assert (done.values, done.events, done.answers) == (6, 3, 1)
    assert await client(BOOKS) == books
    found = (
        f"{{ customer(by: {{databaseId: {zoe}}}) {{ firstName history {{ nodes {{ kind }} }} }} }}"
    )
    answer = (await client(found))["customer"]
    assert answer["firstName"] == "Forgotten"
    assert [event["kind"] for event in answer["history"]["nodes"]] == [
        "CREATED",
        "CHANGED",
        "CHANGED",
    ]


async def test_a_repeated_request_gets_the_kept_answer_without_the_names(
    client: Client, zoe: int
) -> None:
    await forget(client.database, zoe)
    again = await client(mutation("createCustomer", key=True), input=OLD, key="a")
    customer = again["createCustomer"]["customer"]
    assert int(customer["databaseId"]) == zoe
    assert customer["username"].startswith("forgotten-")


@pytest.mark.parametrize(
    "shown",
    [
        {"lastName": "Customer", "firstName": "Forgotten", "town": "-"},
        {"lastName": "Customer"},
        {"firstName": "Forgotten", "version": 2},
    ],
)
async def test_a_kept_answer_may_hold_nothing_but_the_names(
    client: Client, zoe: int, shown: dict[str, Any]
) -> None:
    place = """mutation ($input: PlaceOrderInput!, $key: String!) {
        placeOrder(input: $input) @idempotent(key: $key) {
        ... on OrderSaved { order { customer { FIELDS } } } } }"""
    place = place.replace("FIELDS", " ".join(shown))
    lines = [{"itemId": to_global_id("Item", 1), "quantity": 1}]
    given = {"customerId": to_global_id("Customer", zoe), "lines": lines}
    await client(place, input=given, key="b")

    done = await forget(client.database, zoe)

    assert done.answers == 2
    again = await client(place, input=given, key="b")
    assert again["placeOrder"]["order"]["customer"] == shown


async def test_others_are_not_touched(client: Client, zoe: int) -> None:
    query = "{ customers(first: 2) { nodes { username email history { nodes { payload } } } } }"
    before = await client(query)
    await forget(client.database, zoe)
    assert await client(query) == before


async def test_the_subject_no_longer_names_who_acted(client: Client, zoe: int) -> None:
    actors = text("SELECT count(*) FROM events WHERE actor = 'issuer zoe'")
    async with client.database.write() as session:
        await session.execute(text("SET LOCAL graph.actor = 'issuer zoe'"))
        await session.execute(text("UPDATE items SET stock = 7 WHERE id = 1"))
    done = await forget(client.database, zoe, subject="issuer zoe")
    assert done.acts == 1
    async with client.database.write() as session:
        assert (await session.execute(actors)).scalar() == 0


async def test_the_history_is_closed_again(client: Client, zoe: int) -> None:
    await forget(client.database, zoe)
    with pytest.raises(Exception, match="neither changed nor deleted"):
        async with client.database.write() as session:
            await session.execute(text("UPDATE events SET actor = NULL"))


async def test_nothing_is_half_forgotten(
    client: Client, zoe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await everything(client)

    async def dies(_self: Transaction) -> None:
        raise RuntimeError

    monkeypatch.setattr(Transaction, "commit", dies)
    with pytest.raises(RuntimeError):
        await forget(client.database, zoe)
    assert await everything(client) == before


async def test_a_customer_who_does_not_exist_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound):
        await forget(client.database, 77)
