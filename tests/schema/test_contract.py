"""The schema describes itself; measures, the order of nulls and messages mean what they say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from graphql import build_schema

from graph.execution.failures import in_json_words
from graph.relay import to_global_id
from graph.schema.directives import DIRECTIVES
from graph.schema.schema import Schema, text_of
from graph.store.mutations import Mutation
from graph.store.queries import Query
from graph.store.schema import schema
from graph.store.types import ENTITIES
from tests.conftest import Client, recorded, settings_for
from tests.mutations import ANY, SCHEMA, run
from tests.rows import fill

if TYPE_CHECKING:
    from graph.settings import Settings


@pytest.fixture(params=["compiled", "resolvers"])
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


def test_the_schema_describes_itself() -> None:
    printed = build_schema(text_of(schema))

    assert SCHEMA.description
    assert printed.description == SCHEMA.description
    assert printed.mutation_type


def test_a_second_schema_of_the_same_types_is_printed_alike() -> None:
    """A directive is declared once, however many schemas a process has."""
    again = Schema(
        query=Query,
        mutation=Mutation,
        entities=ENTITIES,
        directives=DIRECTIVES,
        config=schema.config,
    )
    printed = build_schema(text_of(again))

    assert printed.query_type
    assert text_of(schema).count("@authenticated") == text_of(again).count("@authenticated")


async def test_a_client_can_ask_for_the_description(client: Client) -> None:
    data = await client("{ __schema { description } }")

    assert data["__schema"]["description"] == SCHEMA.description


def test_no_measure_is_taken_of_versions_and_keys() -> None:
    """A version counts the changes of one row, and a key names it."""
    types: list[Any] = list(SCHEMA.type_map.values())
    measures = {
        f"{type_.name}.{field}"
        for type_ in types
        if re.search(r"(Numbers|Values)(OrderBy|Where)?$", type_.name)
        for field in type_.fields
    }

    assert "OrderNumbers.total" in measures
    assert not {name for name in measures if re.search(r"\.(version|\w*[iI]d)$", name)}
    assert not {
        type_.name for type_ in types
        if type_.name.endswith("DistinctCounts") and "version" in type_.fields
    }  # fmt: skip


async def test_nulls_are_last_in_both_directions(client: Client) -> None:
    await fill(client.database, customers=1, orders=0, items=4)
    async with client.database.write() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE items SET stock = id WHERE id IN (1, 3)")

    for direction, expected in {
        "ASC": [1, 3, None, None],
        "DESC": [3, 1, None, None],
        "DESC_NULLS_FIRST": [None, None, 3, 1],
        "DESC_NULLS_LAST": [3, 1, None, None],
    }.items():
        assert await stocks(client, direction) == expected
        declared: Any = SCHEMA.type_map["Direction"]
        place = "first" if "FIRST" in direction else "last"
        assert declared.values[direction].description.endswith(f"nulls {place}.")


async def stocks(client: Client, direction: str) -> list[int | None]:
    """The stock of all items in this order, read in pages of one item."""
    found: list[int | None] = []
    after, more = None, True
    while more and len(found) < 9:
        data = await client(
            """query ($after: String, $by: [ItemOrderBy!]) {
                items(first: 1, after: $after, orderBy: $by) {
                    nodes { stock } pageInfo { hasNextPage endCursor } } }""",
            after=after,
            by=[{"stock": direction}],
        )
        found += [node["stock"] for node in data["items"]["nodes"]]
        after, more = (
            data["items"]["pageInfo"]["endCursor"],
            data["items"]["pageInfo"]["hasNextPage"],
        )
    return found


# Messages


async def test_a_message_tells_an_id_of_another_type_from_no_id(client: Client) -> None:
    item, order = to_global_id("Item", 1), to_global_id("Order", 1)
    query = "query ($id: ID!) { customer(by: {id: $id}) { id } }"
    another = f"'{item}' is the id of another type: Item, not Customer."

    assert await message(client, query, id=item) == another
    for none in ("x", "", to_global_id("Nothing", 1)):
        assert await message(client, query, id=none) == f"'{none}' is not an id of this API."
    filtered = "query ($id: ID!) { orders(where: {customerId: {eq: $id}}) { nodes { id } } }"
    assert await message(client, filtered, id=item) == another

    refused = await run(client, "deleteCustomer", id=order, expectedVersion=ANY)
    (problem,) = refused["problems"]
    assert problem["code"] == "INVALID_ID"
    assert problem["message"] == f"'{order}' is the id of another type: Order, not Customer."


async def message(client: Client, query: str, **variables: Any) -> str:
    (error,) = (await client.answer(query, **variables))["errors"]
    assert error["extensions"]["code"] == "INVALID_ID"
    return str(error["message"])


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query ($n: Int!) { customers(first: $n) { nodes { id } } }", {"n": None}),
        ("query ($n: Int!) { customers(first: $n) { nodes { id } } }", {"n": True}),
        ("query ($t: String!) { search(text: $t) { nodes { __typename } } }", {"t": False}),
        ("query ($w: OrderWhere!) { orders(where: $w) { nodes { id } } }", {"w": {"and": [None]}}),
        (
            "query ($o: [ItemOrderBy!]) { items(orderBy: $o) { nodes { id } } }",
            {"o": [{"x": None}]},
        ),
        ("query ($b: CustomerLookup!) { customer(by: $b) { id } }", {"b": {"id": None}}),
        ("{ customers(first: true) { nodes { id } } }", {}),
        ("{ customer(by: {id: null}) { id } }", {}),
    ],
)
async def test_no_message_has_words_of_python(
    client: Client, query: str, variables: dict[str, Any]
) -> None:
    answer = await client.answer(query, **variables)

    for error in answer["errors"]:
        assert not re.search(r"\b(None|True|False|dict|Undefined)\b", error["message"])


def test_texts_of_the_client_stay_in_messages_as_they_are() -> None:
    assert in_json_words("Got 'None' and None, \"True\" and True: {'False': False}") == (
        "Got 'None' and null, \"True\" and true: {'False': false}"
    )


# Unions and results


def test_unions_and_results_explain_typename_and_null() -> None:
    unions = [type_ for type_ in SCHEMA.type_map.values() if hasattr(type_, "types")]

    assert len(unions) > 10
    assert all("`__typename`" in (union.description or "") for union in unions)
    assert SCHEMA.mutation_type
    assert "is null only if" in (SCHEMA.mutation_type.description or "")


async def test_a_success_has_the_query_as_it_is_after_the_change(client: Client) -> None:
    await fill(client.database, customers=1)
    item = to_global_id("Item", 1)
    change = """mutation ($id: ID!) {
        adjustStock(
            input: {id: $id, expectedVersion: {any: true}, change: {to: 3}}, dryRun: true
        ) { ... on ItemSaved { item { stock } query {
            item(by: {id: $id}) { stock }
            customers { totalCount nodes { orders(first: 1) { nodes { id } } } }
        } } } }"""

    with recorded(client.database) as statements:
        saved = (await client(change, id=item))["adjustStock"]

    # The lock and the change; the item twice, the customers, their number, and their orders.
    assert len(statements) == 6
    assert saved["item"] == saved["query"]["item"] == {"stock": 3}
    assert saved["query"]["customers"]["totalCount"] == 1
    assert len(saved["query"]["customers"]["nodes"][0]["orders"]["nodes"]) == 1
    assert (await client("query ($id: ID!) { item(by: {id: $id}) { stock } }", id=item)) == {
        "item": {"stock": None}
    }


def test_every_success_has_the_query() -> None:
    assert SCHEMA.mutation_type is not None
    for field in SCHEMA.mutation_type.fields.values():
        union: Any = field.type
        (success,) = [type_ for type_ in union.types if "code" not in type_.fields]
        assert str(success.fields["query"].type) == "Query!"
