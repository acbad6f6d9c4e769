"""Invalid arguments of lists: each has its code and message, on both execution paths."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.execution.planning.filters import _time_zones
from graph.relay import to_global_id
from graph.settings import ExecutionMode
from tests.conftest import client_of, recorded, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.embedded import Cluster
    from graph.settings import Settings
    from tests.conftest import Client

ITEM = to_global_id("Item", 1)


@pytest.fixture(params=ExecutionMode)
def settings(cluster: Cluster, request: pytest.FixtureRequest) -> Settings:
    """A database without a table: what is refused does not need any."""
    return settings_for(cluster.url("postgres"), execution=request.param)


@pytest.fixture
async def shop(settings: Settings, database_url: str) -> AsyncIterator[Client]:
    """A client of a database with tables."""
    app = create_app(settings_for(database_url, execution=settings.execution))
    async with client_of(app) as client:
        yield client


def nested(depth: int, wrap: str, inner: str) -> str:
    for _ in range(depth):
        inner = wrap.replace("...", inner)
    return inner


NOT = "{not: ...}"
AND = "{and: [...]}"
ORDERS = "{orders: {some: {customer: ...}}}"
TOWN = '{town: {eq: "a"}}'
MANY = "{or: [" + "{}, " * 101 + "]}"
VALUES = "[" + "1, " * 1001 + "]"
SORTS = "[" + "{town: ASC}, " * 9 + "]"
TOWNS = "[" + ", ".join(f"{{column: {name}}}" for name in ("TOWN", "TOWN")) + "]"
KEYS = "[" + ", ".join(["{column: TOWN}"] * 9) + "]"

REFUSED = [
    # Filters.
    ("where: {town: null}", "INVALID_FILTER", "'where.town' must not be null: leave it out"),
    ("where: {town: {eq: null}}", "INVALID_FILTER", "'where.town.eq' must not be null"),
    ("where: {town: {in: null}}", "INVALID_FILTER", "'where.town.in' must not be null"),
    ("where: {town: {contains: null}}", "INVALID_FILTER", "'where.town.contains' must not be null"),
    ("where: {town: {isNull: null}}", "INVALID_FILTER", "'where.town.isNull' must not be null"),
    ("where: {id: null}", "INVALID_FILTER", "'where.id' must not be null"),
    ("where: {id: {eq: null}}", "INVALID_FILTER", "'where.id.eq' must not be null"),
    ("where: {id: {in: null}}", "INVALID_FILTER", "'where.id.in' must not be null"),
    ("where: {and: null}", "INVALID_FILTER", "'where.and' must not be null"),
    ("where: {not: null}", "INVALID_FILTER", "'where.not' must not be null"),
    (
        "where: {or: [{town: {eq: null}}]}",
        "INVALID_FILTER",
        "'where.or.0.town.eq' must not be null",
    ),
    ("where: {orders: null}", "INVALID_FILTER", "'where.orders' must not be null"),
    ("where: {orders: {some: null}}", "INVALID_FILTER", "'where.orders.some' must not be null"),
    ("where: {orders: {count: null}}", "INVALID_FILTER", "'where.orders.count' must not be null"),
    (
        "where: {orders: {sum: {total: null}}}",
        "INVALID_FILTER",
        "'where.orders.sum.total' must not be null",
    ),
    ("where: {search: null}", "INVALID_FILTER", "'where.search' must not be null"),
    (f'where: {{search: "{"a" * 201}"}}', "INVALID_FILTER", "has 201 characters; at most 200."),
    (f"where: {MANY}", "INVALID_FILTER", "'where' has more than 100 conditions."),
    (f"where: {{databaseId: {{in: {VALUES}}}}}", "INVALID_FILTER", "lists 1001 values; at most"),
    (f"where: {nested(23, NOT, TOWN)}", "INVALID_FILTER", "'where' is nested more than 10 deep."),
    (f"where: {nested(12, AND, TOWN)}", "INVALID_FILTER", "'where' is nested more than 10 deep."),
    (f"where: {nested(8, ORDERS, TOWN)}", "INVALID_FILTER", "'where' is nested more than 10 deep."),
    (f'where: {{id: {{eq: "{ITEM}"}}}}', "INVALID_ID", f"'{ITEM}' is the id of another type"),
    (f'where: {{id: {{notIn: ["{ITEM}"]}}}}', "INVALID_ID", "is the id of another type: Item"),
    ('where: {id: {eq: ""}}', "INVALID_ID", "'' is not an id of this API."),
    ('where: {id: {in: [""]}}', "INVALID_ID", "'' is not an id of this API."),
    ('where: {town: {eq: "a\\u0000"}}', "INVALID_TEXT", "'eq' must not contain U+0000"),
    ('where: {town: {in: ["b", "\\u0000"]}}', "INVALID_TEXT", "'in' must not contain U+0000"),
    ('where: {search: "\\u0000"}', "INVALID_TEXT", "'search' must not contain U+0000"),
    (
        'where: {or: [{not: {town: {endsWith: "\\u0000"}}}]}',
        "INVALID_TEXT",
        "must not contain U+0000",
    ),
    # Sorts.
    (f"orderBy: {SORTS}", "INVALID_ORDER", "'orderBy' has 9 sorts; at most 8."),
    (
        "orderBy: [{rank: DESC}]",
        "INVALID_ORDER",
        "'rank' requires 'search' in the 'where' of the same list",
    ),
    (
        'where: {or: [{search: "a"}]}, orderBy: [{rank: DESC}]',
        *("INVALID_ORDER", "'rank' requires 'search'"),
    ),
    # Pages.
    ("offset: -1", "INVALID_PAGE", "'offset' must be between 0 and 10,000, not -1."),
    ("offset: 10001", "INVALID_PAGE", "'offset' must be between 0 and 10,000, not 10001."),
    ("offset: 1, last: 2", "INVALID_PAGE", "'offset' must not be used together with"),
    ("first: 1, last: 1", "INVALID_PAGE", "'first' and 'last' must not be used together"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
async def test_a_bad_list_is_refused_before_any_statement(
    client: Client, arguments: str, code: str, message: str
) -> None:
    with recorded(client.database) as statements:
        answer = await client.answer(f"{{ customers({arguments}) {{ nodes {{ id }} }} }}")

    assert list(answer) == ["errors"], answer
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == code
    assert message in error["message"]
    assert error["path"] == ["customers"]
    assert not statements.texts


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED[:5])
async def test_a_null_in_a_variable_gets_the_same_message(
    client: Client, arguments: str, code: str, message: str
) -> None:
    operator = arguments.removeprefix("where: ").replace("{", "").replace("}", "").split(": ")
    where: Any = None
    for name in reversed(operator[:-1]):
        where = {name: where}

    query = "query ($where: CustomerWhere) { customers(where: $where) { nodes { id } } }"
    answer = await client.answer(query, where=where)

    assert answer["errors"][0]["extensions"]["code"] == code
    assert message in answer["errors"][0]["message"]


DATE = "[{datePlaced: {unit: DAY}}]"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("by: []", "INVALID_GROUPS", "'by' must have from 1 to 8 keys, not 0."),
        (f"by: {KEYS.replace('TOWN', 'TOTAL')}", "INVALID_GROUPS", "from 1 to 8 keys, not 9."),
        (
            f"by: {TOWNS.replace('TOWN', 'TOTAL')}",
            "INVALID_GROUPS",
            "'by' must not contain a key twice.",
        ),
        (
            "by: [{datePlaced: {unit: DAY}}, {datePlaced: {unit: YEAR}}]",
            *("INVALID_GROUPS", "'by' must not contain a key twice."),
        ),
        (
            'by: [{datePlaced: {unit: DAY, timeZone: "Mars/Olympus"}}]',
            *("INVALID_GROUPS", "There is no time zone 'Mars/Olympus'."),
        ),
        (
            """by: [{datePlaced: {unit: DAY, timeZone: "UTC'; --"}}]""",
            *("INVALID_GROUPS", "There is no time zone 'UTC'; --'."),
        ),
        (
            'by: [{datePlaced: {unit: DAY, timeZone: "localtime"}}]',
            *("INVALID_GROUPS", "There is no time zone 'localtime'."),
        ),
        (
            'by: [{datePlaced: {unit: DAY, timeZone: ""}}]',
            *("INVALID_GROUPS", "There is no time zone ''."),
        ),
        (
            f"by: {DATE}, orderBy: [{{key: {{total: ASC}}}}]",
            *("INVALID_GROUPS", "'orderBy' contains a key that is not in 'by'."),
        ),
        (
            f"by: {DATE}, orderBy: [{{key: {{lineItems: {{count: ASC}}}}}}]",
            *("INVALID_GROUPS", "'orderBy' contains a key that is not in 'by'."),
        ),
        (
            f"by: {DATE}, orderBy: [{'{count: ASC}, ' * 9}]",
            *("INVALID_ORDER", "'orderBy' has 9 sorts; at most 8."),
        ),
        (
            f"by: {DATE}, having: {{count: null}}",
            "INVALID_FILTER",
            "'having.count' must not be null",
        ),
        (
            f"by: {DATE}, having: {nested(23, NOT, '{}')}",
            *("INVALID_FILTER", "'having' is nested more than 10 deep."),
        ),
        (
            f"by: {DATE}, having: {MANY}",
            *("INVALID_FILTER", "'having' has more than 100 conditions."),
        ),
        (f"by: {DATE}, first: -1", "INVALID_PAGE", "'first' must be between 0 and 1,000, not -1."),
        (
            f"by: {DATE}, first: 1001",
            "INVALID_PAGE",
            "'first' must be between 0 and 1,000, not 1001.",
        ),
    ],
)
async def test_bad_groups_are_refused(
    client: Client, arguments: str, code: str, message: str
) -> None:
    answer = await client.answer(f"{{ orders {{ groups({arguments}) {{ __typename }} }} }}")

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == code
    assert message in error["message"]
    assert error["path"] == ["orders", "groups"]


@pytest.mark.parametrize(
    "arguments",
    [
        f"by: {DATE}, having: {{sum: {{datePlaced: {{gt: 1}}}}}}",
        f"by: {DATE}, having: {{median: {{total: {{gt: 1}}}}}}",
        "by: [{total: {unit: DAY}}]",
        "by: [{datePlaced: {unit: CENTURY}}]",
        "by: [{column: TOWN}]",
    ],
)
async def test_an_unknown_aggregate_or_key_makes_the_document_invalid(
    client: Client, arguments: str
) -> None:
    answer = await client.answer(f"{{ orders {{ groups({arguments}) {{ __typename }} }} }}")

    assert {each["extensions"]["code"] for each in answer["errors"]} == {
        "GRAPHQL_VALIDATION_FAILED"
    }


@pytest.mark.parametrize("limit", [0, -1, -(2**31), 1_000_001])
async def test_a_limit_of_a_count_is_at_least_1(client: Client, limit: int) -> None:
    query = "query ($limit: Int) { customers { count(limit: $limit) { value } } }"
    answer = await client.answer(query, limit=limit)

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_PAGE"
    assert error["message"] == f"'limit' must be between 1 and 1,000,000, not {limit}."
    assert error["path"] == ["customers", "count"]


@pytest.mark.parametrize(
    ("depth", "wrap"), [(10, NOT), (10, AND), (5, ORDERS)], ids=["not", "and", "orders"]
)
async def test_filters_may_be_nested_ten_deep(shop: Client, depth: int, wrap: str) -> None:
    await fill(shop.database, customers=1, orders=1)
    where = nested(depth, wrap, '{town: {eq: "Wolfden"}}')

    data = await shop(f"{{ customers(where: {where}) {{ totalCount }} }}")

    assert data["customers"]["totalCount"] == 1


async def test_postgresql_knows_every_time_zone_that_is_let_in(shop: Client) -> None:
    async with shop.database.engine.connect() as connection:
        known = set(await connection.scalars(text("SELECT name FROM pg_timezone_names")))

    assert _time_zones() <= known


# Cursors

SORTED = "[{lastName: ASC}, {createdOn: DESC}, {orders: {sum: {total: ASC}}}]"
SOME = ["x", "2026-01-31T12:00:00+00:00", "1.50", 3]


def mangled(cursor: str, values: Any) -> str:
    """A cursor of the same sort with other values."""
    name = json.loads(b64decode(cursor))[0]
    return b64encode(json.dumps([name, *values]).encode()).decode()


async def cursor_under(shop: Client, order: str) -> str:
    data = await shop(f"{{ customers(orderBy: {order}) {{ edges {{ cursor }} }} }}")
    cursor: str = data["customers"]["edges"][0]["cursor"]
    return cursor


@pytest.mark.parametrize(
    "values",
    [
        [],
        SOME[:3],
        [*SOME, 3],
        [1, *SOME[1:]],
        [None, *SOME[1:]],
        [["x"], *SOME[1:]],
        ["\0", *SOME[1:]],
        ["\ud800", *SOME[1:]],
        ["x", "yesterday", *SOME[2:]],
        ["x", "2026-01-31T12:00:00", *SOME[2:]],
        ["x", 20260131, *SOME[2:]],
        ["x", None, *SOME[2:]],
        ["x", SOME[1], "NaN", 3],
        ["x", SOME[1], "1e5", 3],
        ["x", SOME[1], "9" * 101, 3],
        ["x", SOME[1], 1.5, 3],
        ["x", SOME[1], {}, 3],
        [*SOME[:3], None],
        [*SOME[:3], "3"],
        [*SOME[:3], 3.0],
        [*SOME[:3], True],
        [*SOME[:3], 2**63],
        [*SOME[:3], -(2**63) - 1],
    ],
)
@pytest.mark.parametrize("argument", ["after", "before"])
async def test_a_cursor_with_values_that_no_row_can_have_is_refused(
    shop: Client, argument: str, values: Any
) -> None:
    await fill(shop.database, customers=1)
    cursor = mangled(await cursor_under(shop, SORTED), values)

    query = (
        f"query ($c: String) {{ customers({argument}: $c, orderBy: {SORTED}) {{ totalCount }} }}"
    )
    answer = await shop.answer(query, c=cursor)

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_CURSOR"
    assert error["message"] == f"'{argument}' is not a cursor of this API."


@pytest.mark.parametrize(
    "values", [SOME, ["", "0001-01-01T00:00:00+00:00", None, -1], ["x" * 999, *SOME[1:]]]
)
async def test_a_cursor_need_not_be_that_of_a_row(shop: Client, values: Any) -> None:
    await fill(shop.database, customers=1)
    cursor = mangled(await cursor_under(shop, SORTED), values)

    await shop(f'{{ customers(after: "{cursor}", orderBy: {SORTED}) {{ nodes {{ id }} }} }}')


@pytest.mark.parametrize(
    "other",
    [
        "[]",
        "[{lastName: DESC}, {createdOn: DESC}, {orders: {sum: {total: ASC}}}]",
        "[{lastName: ASC}, {createdOn: DESC}, {orders: {sum: {total: ASC_NULLS_FIRST}}}]",
        "[{lastName: ASC}, {createdOn: DESC}, {orders: {avg: {total: ASC}}}]",
        "[{firstName: ASC}, {createdOn: DESC}, {orders: {sum: {total: ASC}}}]",
        "[{createdOn: DESC}, {lastName: ASC}, {orders: {sum: {total: ASC}}}]",
        "[{lastName: ASC}, {createdOn: DESC}]",
    ],
)
async def test_a_cursor_of_another_sort_is_refused(shop: Client, other: str) -> None:
    await fill(shop.database, customers=1)
    cursor = await cursor_under(shop, SORTED)

    answer = await shop.answer(
        f'{{ customers(after: "{cursor}", orderBy: {other}) {{ nodes {{ id }} }} }}'
    )

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_CURSOR"
    assert error["message"] == "'after' is a cursor of another list, or of another order."


async def test_an_offset_excludes_a_cursor(shop: Client) -> None:
    await fill(shop.database, customers=1)
    cursor = await cursor_under(shop, "[]")

    for name in ("after", "before"):
        answer = await shop.answer(
            f'{{ customers(offset: 1, {name}: "{cursor}") {{ totalCount }} }}'
        )
        (error,) = answer["errors"]
        assert error["extensions"]["code"] == "INVALID_PAGE"
        assert error["message"].endswith(f"not be used together with '{name}'.")
