"""Names that look the same are the same, whoever writes them and whoever looks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.relay import to_global_id
from graph.settings import ExecutionMode, Settings
from tests.conftest import settings_for
from tests.mutations import ANY
from tests.rows import fill
from tests.store.test_transfer import customer, imported, ndjson

if TYPE_CHECKING:
    from pathlib import Path

    from graph.database.engine import Database
    from tests.conftest import Client

COMPOSED, DECOMPOSED = "zo\u00e9", "zoe\u0301"
ADD = """mutation ($input: CreateCustomerInput!) { createCustomer(input: $input) {
    __typename ... on CustomerSaved { customer { firstName username email } }
    ... on ValidationFailed { problems { path code } } } }"""
RENAME = """mutation ($input: UpdateItemInput!) { updateItem(input: $input) {
    __typename ... on ItemSaved { item { name } }
    ... on ValidationFailed { problems { code } } } }"""
INVISIBLE = [
    "\u200b",
    "\u200b \u2060",
    "\u3164",
    "\u2800\u2800",
    "\ufe0f",
    "\u202e",
    "\n\t",
    "\u00a0",
]


@pytest.fixture(params=ExecutionMode)
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


async def added(client: Client, number: int = 1, **values: Any) -> Any:
    data = await client(ADD, input=customer(number, **values))
    return data["createCustomer"]


def codes(answer: Any) -> list[tuple[str, str]]:
    assert answer["__typename"] == "ValidationFailed", answer
    return [(problem["path"][-1], problem["code"]) for problem in answer["problems"]]


async def test_a_name_is_stored_composed_and_without_blanks_at_its_ends(client: Client) -> None:
    answer = await added(client, firstName=f" \n{DECOMPOSED}\t", email=" New@example.com\r\n")

    assert answer["customer"]["firstName"] == COMPOSED
    assert answer["customer"]["email"] == "New@example.com"


async def test_names_that_look_the_same_are_one(client: Client) -> None:
    await added(client, 1, username=COMPOSED)

    for name in (DECOMPOSED, f"{COMPOSED} ", f"\ufeff{COMPOSED}\n"):
        assert codes(await added(client, 2, username=name)) == [("username", "TAKEN")]


@pytest.mark.parametrize("name", INVISIBLE)
async def test_a_name_that_shows_nothing_is_refused(client: Client, name: str) -> None:
    await fill(client.database, customers=0, items=1)

    answer = await added(client, firstName=name, username=name)

    assert codes(answer) == [("firstName", "BLANK"), ("username", "BLANK")]
    item = {"id": to_global_id("Item", 1), "expectedVersion": ANY, "name": name}
    renamed = await client(RENAME, input=item)
    assert renamed["updateItem"]["problems"] == [{"code": "BLANK"}]


@pytest.mark.parametrize("hidden", ["\u200b", "\u200d", "\u00ad", "\u202e", "\u3164", "\t", "\x7f"])
async def test_what_names_one_customer_holds_nothing_that_is_not_seen(
    client: Client, hidden: str
) -> None:
    answer = await added(client, username=f"to{hidden}by", email=f"to{hidden}by@example.com")

    assert codes(answer) == [("username", "INVISIBLE"), ("email", "INVISIBLE")]
    shown = await added(client, firstName="می\u200cدل", lastName="👩‍👩‍👧", username="to by")
    assert shown["__typename"] == "CustomerSaved"


async def test_whoever_looks_for_a_name_finds_it_in_either_form(client: Client) -> None:
    await added(client, username=COMPOSED, firstName=COMPOSED)

    for name in (COMPOSED, DECOMPOSED, f" {DECOMPOSED}\n"):
        found = await client(
            "query ($name: String!) { customer(by: {username: $name}) { username } }", name=name
        )
        assert found["customer"] == {"username": COMPOSED}
    for name in (COMPOSED, DECOMPOSED):
        found = await client(
            """query ($name: String!) {
                equal: customers(where: {firstName: {eq: $name}}) { totalCount }
                listed: customers(where: {or: [{username: {in: [$name]}}]}) { totalCount }
                begins: customers(where: {username: {startsWith: $name}}) { totalCount }
                grouped: customers { groups(by: [{column: TOWN}],
                    having: {max: {username: {eq: $name}}}) { aggregates { count } } }
                search(text: $name) { totalCount }
            }""",
            name=name,
        )
        counts = [found[key]["totalCount"] for key in ("equal", "listed", "begins", "search")]
        assert counts == [1, 1, 1, 1]
        assert found["grouped"]["groups"] == [{"aggregates": {"count": 1}}]


async def test_an_import_follows_the_same_rules(database: Database, tmp_path: Path) -> None:
    rows = [
        customer(1, username=DECOMPOSED, town=f"{DECOMPOSED}\n"),
        customer(2, username="\u200b"),
        customer(3, username="to\u200bby"),
    ]
    done = await imported(database, ndjson(tmp_path / "customers.ndjson", rows), "customers")

    assert done.refused == 2
    orders = [{"username": f" {DECOMPOSED}", "datePlaced": "2026-01-01T00:00:00Z", "lines": []}]
    await imported(database, ndjson(tmp_path / "orders.ndjson", orders), "orders")
    async with database.write() as session:
        found = await session.execute(
            text("SELECT username, town FROM customers JOIN orders ON customer_id = customers.id")
        )
        assert found.all() == [(COMPOSED, COMPOSED)]
