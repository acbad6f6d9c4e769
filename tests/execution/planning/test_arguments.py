"""An invalid argument is a request error with path and location, before any statement runs."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.app import create_app
from graph.errors import InvalidId, InvalidPage, InvalidText
from graph.execution.planning.arguments import id_of, ids_of, lookup_key_of, storable
from graph.execution.planning.pages import page_of
from graph.relay import to_global_id
from graph.schema.node import ENTITIES
from graph.selection import DEFAULT_PAGE_SIZE, Ids
from tests.conftest import client_of, recorded, settings_for
from tests.rows import cursor_of, fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.embedded import Cluster
    from graph.settings import Settings
    from tests.conftest import Client, Statements

CUSTOMER, ITEM, ORDER = (
    to_global_id("Customer", 1),
    to_global_id("Item", 1),
    to_global_id("Order", 1),
)
UNKNOWN = to_global_id("Invoice", 1)
BEYOND_INT8 = b64encode(b"Customer:9223372036854775808").decode()


@pytest.fixture(params=["compiled", "resolvers"])
def settings(cluster: Cluster, request: pytest.FixtureRequest) -> Settings:
    """A database without a table: what is refused does not need any."""
    return settings_for(cluster.url("postgres"), execution=request.param)


@pytest.fixture
async def shop(settings: Settings, database_url: str) -> AsyncIterator[Client]:
    """A client of a database with tables."""
    app = create_app(settings_for(database_url, execution=settings.execution))
    async with client_of(app) as client:
        yield client


def refusal(answer: dict[str, Any]) -> dict[str, Any]:
    assert list(answer) == ["errors"], answer
    (error,) = answer["errors"]
    return dict(error)


# One argument at a time


PAGES = {
    "first: -1": "'first' must be between 0 and 100, not -1.",
    "first: 101": "'first' must be between 0 and 100, not 101.",
    "first: 2147483647": "'first' must be between 0 and 100, not 2147483647.",
    "last: -2147483648": "'last' must be between 0 and 100, not -2147483648.",
    "last: 101": "'last' must be between 0 and 100, not 101.",
    "first: 1, last: 1": "'first' and 'last' must not be used together.",
    "first: 0, last: 0": "'first' and 'last' must not be used together.",
}


@pytest.mark.parametrize("arguments", PAGES)
async def test_a_page_is_of_a_size_from_one_end(
    client: Client, sql: Statements, arguments: str
) -> None:
    answer = await client.answer(f"{{ all: customers({arguments}) {{ totalCount }} }}")

    assert refusal(answer) == {
        "message": PAGES[arguments],
        "locations": [{"line": 1, "column": 3}],
        "path": ["all"],
        "extensions": {"code": "INVALID_PAGE"},
    }
    assert len(sql) == 0


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ('after: ""', "'after' is not a cursor of this API."),
        ('before: "x"', "'before' is not a cursor of this API."),
        (f'after: "{CUSTOMER}"', "'after' is not a cursor of this API."),
        (
            f'before: "{cursor_of("Order", 1)}"',
            "'before' is a cursor of another list, or of another order.",
        ),
    ],
)
async def test_a_cursor_is_of_its_list(
    client: Client, sql: Statements, argument: str, message: str
) -> None:
    answer = await client.answer(f"{{\n  customers({argument}) {{ totalCount }}\n}}")

    assert refusal(answer) == {
        "message": message,
        "locations": [{"line": 2, "column": 3}],
        "path": ["customers"],
        "extensions": {"code": "INVALID_CURSOR"},
    }
    assert len(sql) == 0


@pytest.mark.parametrize(
    "field",
    [
        'node(id: "")',
        "node(id: 5)",
        'node(id: "Customer:1")',
        f'node(id: "{UNKNOWN}")',
        f'node(id: "{BEYOND_INT8}")',
        'customer(by: {id: "1"})',
        f'customer(by: {{id: "{ORDER}"}})',
        f'customer(by: {{id: "{UNKNOWN}"}})',
        f'item(by: {{id: "{CUSTOMER}"}})',
        f'order(by: {{id: "{ITEM}"}})',
    ],
)
async def test_an_id_must_be_of_this_schema_and_of_its_entity(
    client: Client, sql: Statements, field: str
) -> None:
    error = refusal(await client.answer(f"{{ {field} {{ id }} }}"))

    assert re.search(r"is not an id of this API\.$|is the id of another type: ", error["message"])
    assert error["path"] == [field.split("(", maxsplit=1)[0]]
    assert error["locations"] == [{"line": 1, "column": 3}]
    assert error["extensions"] == {"code": "INVALID_ID"}
    assert len(sql) == 0


@pytest.mark.parametrize("around", ["{ %s }", "{ other: viewer { role } %s }"])
async def test_a_malformed_id_among_others_is_null_with_an_error(shop: Client, around: str) -> None:
    """So it is in both ways, and beside a field that resolvers answer."""
    await fill(shop.database, customers=1)
    field = f'found: nodes(ids: ["x", "{CUSTOMER}", "{UNKNOWN}", "{CUSTOMER}", ""]) {{ id }}'
    answer = await shop.answer(around % field)

    id_ = {"id": CUSTOMER}
    assert answer["data"]["found"] == [None, id_, None, id_, None]
    assert [error["path"] for error in answer["errors"]] == [["found", n] for n in (0, 2, 4)]
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"INVALID_ID"}
    assert {json.dumps(error["locations"]) for error in answer["errors"]} == {
        json.dumps([{"line": 1, "column": around.index("%") + 1}])
    }


async def test_nodes_takes_as_many_ids_as_a_page_has_rows(shop: Client) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    most = await shop(query, ids=[CUSTOMER] * 100)
    none = await shop(query, ids=[])
    with recorded(shop.database) as sql:
        over = await shop.answer(query, ids=[CUSTOMER] * 101)

    assert most == {"nodes": [None] * 100}
    assert none == {"nodes": []}
    assert refusal(over)["message"] == "'ids' holds 101 ids; at most 100 are allowed."
    assert refusal(over)["extensions"] == {"code": "INVALID_PAGE"}
    assert len(sql) == 0


@pytest.mark.parametrize(
    "field",
    [
        r'customer(by: {username: "a\u0000"}) { id }',
        r'customer(by: {email: "\u0000@example.com"}) { id }',
        r'customers(after: "\u0000") { totalCount }',
        r'node(id: "\u0000") { id }',
        rf'nodes(ids: ["{CUSTOMER}", "\u0000"]) {{ id }}',
    ],
)
async def test_text_holds_no_null_character(client: Client, sql: Statements, field: str) -> None:
    error = refusal(await client.answer(f"{{ {field} }}"))

    assert error["message"].endswith("must not contain U+0000 or an unpaired surrogate.")
    assert error["locations"] == [{"line": 1, "column": 3}]
    assert error["extensions"] == {"code": "INVALID_TEXT"}
    assert len(sql) == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (rb'{"query":"{ customer(by: {username: \"\\ud800\"}) { id } }"}', "GRAPHQL_PARSE_FAILED"),
        (rb'{"query":"{ customer(by: {username: \"\ud800\"}) { id } }"}', "BAD_REQUEST"),
        (
            rb'{"query":"query($v: ID!) { node(id: $v) { id } }","variables":{"v":"\udfff"}}',
            "BAD_REQUEST",
        ),
    ],
)
async def test_half_of_a_surrogate_pair_does_not_get_in(
    client: Client, sql: Statements, body: bytes, code: str
) -> None:
    headers = {"content-type": "application/json"}

    answer = (await client.http.post("/graphql", content=body, headers=headers)).json()

    assert refusal(answer)["extensions"] == {"code": code}
    assert len(sql) == 0


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**20])
async def test_a_number_beyond_int8_does_not_get_in(
    client: Client, sql: Statements, number: int
) -> None:
    query = "{ customer(by: {databaseId: $key}) { id } }"

    literal = refusal(await client.answer(query.replace("$key", f"{number}")))
    variable = refusal(await client.answer(f"query ($key: BigInt!) {query}", key=number))

    assert "more than 64 bits" in literal["message"]
    assert "more than 64 bits" in variable["message"]
    assert literal["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert variable["extensions"] == {"code": "BAD_USER_INPUT"}
    assert literal["locations"]
    assert variable["locations"]
    assert len(sql) == 0


@pytest.mark.parametrize("key", [2**31, 2**63 - 1, -(2**63), 0, -1])
async def test_a_number_that_no_row_has_finds_nothing(shop: Client, key: int) -> None:
    query = "query ($key: BigInt!) { customer(by: {databaseId: $key}) { id } }"

    assert await shop(query, key=key) == {"customer": None}


@pytest.mark.parametrize(
    "by", [{}, {"id": CUSTOMER, "databaseId": 1}, {"id": None}, {"id": CUSTOMER, "email": None}]
)
async def test_exactly_one_value_names_a_row(
    client: Client, sql: Statements, by: dict[str, Any]
) -> None:
    query = "query ($by: CustomerLookup!) { customer(by: $by) { id } }"
    literal = ", ".join(
        f"{name}: {'null' if value is None else repr(value)}" for name, value in by.items()
    ).replace("'", '"')

    variable = refusal(await client.answer(query, by=by))
    written = refusal(await client.answer(f"{{ customer(by: {{{literal}}}) {{ id }} }}"))

    assert variable["extensions"] == {"code": "BAD_USER_INPUT"}
    assert written["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert len(sql) == 0


# Wherever they stand


@pytest.mark.parametrize(
    ("query", "path"),
    [
        (
            "{ customer(by: {databaseId: 999}) { orders(first: -1) { totalCount } } }",
            ["customer", "orders"],
        ),
        (
            "{ customers(first: 0) { edges { node { bad: orders(last: -1) { totalCount } } } } }",
            ["customers", "edges", "node", "bad"],
        ),
        (
            f'{{ node(id: "{ORDER}") {{ ...on Item {{ orderLines(last: -1) {{ totalCount }}}}}}}}',
            ["node", "orderLines"],
        ),
        (
            "fragment A on Item { orderLines(last: -1) { totalCount } } { items { nodes {...A} } }",
            ["items", "nodes", "orderLines"],
        ),
        ("query ($n: Int = -1) { customers(first: $n) { totalCount } }", ["customers"]),
        (
            "{ __schema { types { name } } customers(first: -1) { totalCount } }",
            ["customers"],
        ),
    ],
)
async def test_an_argument_is_checked_whether_or_not_a_row_would_be_reached(
    client: Client, sql: Statements, query: str, path: list[str]
) -> None:
    error = refusal(await client.answer(query))

    assert error["path"] == path
    assert error["locations"][0]["line"] == 1
    assert error["extensions"] == {"code": "INVALID_PAGE"}
    assert len(sql) == 0


async def test_all_errors_are_reported_at_once(client: Client, sql: Statements) -> None:
    answer = await client.answer(
        """{
          a: customers(first: 101) { totalCount }
          b: node(id: "x") { id }
          c: customers(after: "x") { nodes { orders(last: -1) { totalCount } } }
        }"""
    )

    told = [(error["path"], error["extensions"]["code"]) for error in answer["errors"]]
    assert told == [
        (["a"], "INVALID_PAGE"),
        (["b"], "INVALID_ID"),
        (["c"], "INVALID_CURSOR"),
        (["c", "nodes", "orders"], "INVALID_PAGE"),
    ]
    assert len(sql) == 0


async def test_skipped_fields_are_not_checked(client: Client) -> None:
    query = """query ($with: Boolean!) {
      customers(first: 101) @include(if: $with) { totalCount }
      __typename
    }"""

    without = await client.answer(query, **{"with": False})
    with_it = await client.answer(query, **{"with": True})

    assert without == {"data": {"__typename": "Query"}}
    assert refusal(with_it)["path"] == ["customers"]


async def test_each_request_is_checked_anew(shop: Client) -> None:
    await fill(shop.database, customers=3)
    query = """query ($n: Int, $by: CustomerLookup!) {
      customer(by: $by) { id }
      customers(first: $n) { nodes { id } }
    }"""
    good = {"n": 1, "by": {"username": "user1"}}
    bad = [good | {"n": 101}, good | {"by": {"id": ORDER}}, good | {"by": {"username": "\0"}}]

    before = await shop(query, **good)
    with recorded(shop.database) as sql:
        refusals = [refusal(await shop.answer(query, **variables)) for variables in bad]
    after = await shop(query, **good)

    codes = [error["extensions"]["code"] for error in refusals]
    assert codes == ["INVALID_PAGE", "INVALID_ID", "INVALID_TEXT"]
    assert len(sql) == 0
    assert before == after


@pytest.mark.parametrize("size", [0, 1, 100])
async def test_sizes_up_to_the_cap_are_served(shop: Client, size: int) -> None:
    await fill(shop.database, customers=101, orders=0, items=0)
    query = """query ($n: Int!) {
      a: customers(first: $n) { nodes { id } }
      b: customers(last: $n) { nodes { id } }
    }"""

    data = await shop(query, n=size)

    assert len(data["a"]["nodes"]) == len(data["b"]["nodes"]) == size


async def test_null_is_as_good_as_absent(shop: Client) -> None:
    await fill(shop.database, customers=21, orders=0, items=0)
    query = """query ($none: Int, $nil: String) {
      a: customers(first: $none, last: null, after: $nil, before: null) { nodes { id } }
      b: customers { nodes { id } }
      c: customers(first: $none, last: 20) { nodes { id } }
    }"""

    data = await shop(query, none=None)

    assert len(data["a"]["nodes"]) == DEFAULT_PAGE_SIZE
    assert data["a"] == data["b"]
    assert len(data["c"]["nodes"]) == DEFAULT_PAGE_SIZE


@pytest.mark.parametrize(
    "query",
    [
        'query ($v: ID = "x") { node(id: $v) { id } }',
        "query ($v: [ID!] = []) { nodes(ids: $v) { id } }",
        'query ($v: ID = "x") { nodes(ids: [$v]) { id } }',
        "query ($v: CustomerLookup = {databaseId: 1}) { customer(by: $v) { id } }",
        *(
            query
            for query in (
                "query ($v: Boolean = true) { __typename @skip(if: $v) }",
                "query ($v: Boolean = true) { customers { totalCount @include(if: $v) } }",
                'query ($v: String = "Query") { __type(name: $v) { name } }',
            )
        ),
    ],
)
async def test_null_does_not_get_in_where_only_its_default_allows_a_variable(
    client: Client, sql: Statements, query: str
) -> None:
    error = refusal(await client.answer(query, v=None))

    assert error["locations"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert len(sql) == 0


@pytest.mark.parametrize(
    "mode",
    [
        "resolvers",
        "compiled",
    ],
)
async def test_an_invalid_argument_is_reported_while_the_database_is_away(mode: str) -> None:
    settings = settings_for("postgresql://nobody@127.0.0.1:1/none", execution=mode)
    async with client_of(create_app(settings)) as client:
        error = refusal(await client.answer("{ customers(first: 101) { totalCount } }"))

    assert error["extensions"] == {"code": "INVALID_PAGE"}


# By themselves


def test_a_page_without_arguments_is_the_first_one() -> None:
    page = page_of({}, "Customer")

    assert (page.first, page.last) == (DEFAULT_PAGE_SIZE, None)
    assert (page.after, page.before) == (None, None)


def test_a_page_lies_between_cursors() -> None:
    after, before = cursor_of("Customer", 3), cursor_of("Customer", 9)

    page = page_of({"last": 5, "after": after, "before": before}, "Customer")

    assert (page.first, page.last, page.after, page.before) == (None, 5, (3,), (9,))


@given(st.integers())
def test_a_size_is_from_0_to_100(size: int) -> None:
    if 0 <= size <= 100:
        assert page_of({"first": size}, "Customer").first == size
    else:
        with pytest.raises(InvalidPage, match=f"not {size}"):
            page_of({"first": size}, "Customer")


def test_ids_keep_their_order() -> None:
    assert ids_of({"ids": [ORDER, CUSTOMER, ORDER]}, ENTITIES) == Ids(
        (("Order", 1), ("Customer", 1), ("Order", 1))
    )
    assert id_of({"id": ITEM}, ENTITIES) == Ids((("Item", 1),))


def test_a_key_is_a_column_and_its_value() -> None:
    by_id = lookup_key_of({"by": {"id": CUSTOMER}}, "Customer")
    by_number = lookup_key_of({"by": {"databaseId": 7}}, "Customer")
    by_name = lookup_key_of({"by": {"username": "Ada"}}, "Customer")

    assert (by_id.column, by_id.value) == ("id", 1)
    assert (by_number.column, by_number.value) == ("id", 7)
    assert (by_name.column, by_name.value) == ("username", "Ada")
    with pytest.raises(InvalidId):
        lookup_key_of({"by": {"id": ITEM}}, "Customer")


@given(st.text(st.characters(exclude_categories=())))
def test_text_must_be_valid_utf_8_without_the_null_character(value: str) -> None:
    try:
        sayable = b"\0" not in value.encode()
    except UnicodeEncodeError:
        sayable = False

    if sayable:
        storable("name", {"a": [value, {"b": value}]})
    else:
        with pytest.raises(InvalidText, match="'b' must not contain"):
            storable("name", {"a": [1, None, {"b": value}]})


@given(st.text())
def test_composed_and_decomposed_text_are_one(text: str) -> None:
    text = text.replace("\0", "")
    composed = normalize("NFC", text)

    assert storable("name", normalize("NFD", text)) == storable("name", text) == composed


def test_texts_are_composed_at_any_depth() -> None:
    given = {"and": [{"name": {"in": ["e\u0301", "x"]}}, 1, None], "first": True}

    assert storable("where", given) == {
        "and": [{"name": {"in": ["\u00e9", "x"]}}, 1, None],
        "first": True,
    }


async def test_fragments_that_write_out_to_billions_of_fields_are_refused(client: Client) -> None:
    doubling = " ".join(
        f"fragment F{n} on Customer {{ a: orders {{ nodes {{ customer {{ ...F{n + 1} }} }} }}"
        f" b: orders {{ nodes {{ customer {{ ...F{n + 1} }} }} }} }}"
        for n in range(30)
    )
    query = f"{{ customers {{ nodes {{ ...F0 }} }} }} {doubling} fragment F30 on Customer {{ id }}"

    error = refusal(await client.answer(query))

    assert error["extensions"]["code"] in {"OPERATION_TOO_LARGE", "GRAPHQL_VALIDATION_FAILED"}
