"""Text with special characters of SQL, LIKE or JSON is matched literally."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from graph.settings import ExecutionMode, Settings
from graph.store.models import Customer
from tests.conftest import settings_for
from tests.execution.plain.filters import passes
from tests.rows import NOON

if TYPE_CHECKING:
    from tests.conftest import Client

NASTY = (
    *("'", "''", "'; DROP TABLE customers; --", "' OR '1'='1", "\\", "\\'", "\\\\", "E'\\n'"),
    *("%", "%%", "_", "__", "\\%", "\\_", "a%b", "a_b", "aXb", "100%"),
    *('"', '"]', '"}', '","x":"', "{}", "null", "\\u0041", "\n", "\t", "\x01", "\x7f"),
    *("--", "/* */", "$1", "$$", ":o0", ":name", "%s", "%(o0)s", "{0}", "||", ";", "(", "*"),
    *("'simple'::regconfig", ":*", "&", "!", "<->", "a & b", "😀", "\u2028", "\ufeff", ""),
)
OPERATORS = (
    *("eq", "ne", "lt", "gte", "contains", "startsWith", "endsWith", "eqIgnoreCase"),
    *("containsIgnoreCase", "startsWithIgnoreCase", "endsWithIgnoreCase"),
)


@pytest.fixture(params=ExecutionMode)
def settings(database_url: str, request: pytest.FixtureRequest) -> Settings:
    return settings_for(database_url, execution=request.param)


@pytest.fixture
async def towns(client: Client) -> dict[int, str]:
    """The towns of customers, by the customers' keys."""
    rows = [
        {
            **dict.fromkeys(("first_name", "last_name", "address"), "x"),
            "username": f"u{nth}",
            "email": f"u{nth}",
            "town": town,
            "created_on": NOON,
            "updated_on": NOON,
            "id": nth,
        }
        for nth, town in enumerate(NASTY, start=1)
    ]
    async with client.database.write() as session:
        await session.execute(insert(Customer.__table__), rows)  # type: ignore[arg-type]
    return dict(enumerate(NASTY, start=1))


@pytest.mark.parametrize("operator", OPERATORS)
async def test_text_is_found_as_plain_python_finds_it(
    client: Client, towns: dict[int, str], operator: str
) -> None:
    query = """query ($where: CustomerWhere) { customers(where: $where, first: 100) {
        nodes { databaseId town } } }"""
    for text in NASTY:
        tests: dict[str, Any] = {operator: text}
        data = await client(query, where={"town": tests})

        found = {int(node["databaseId"]): node["town"] for node in data["customers"]["nodes"]}
        assert found == {key: town for key, town in towns.items() if passes(town, tests, str)}


async def test_a_list_of_texts_is_not_sql(client: Client, towns: dict[int, str]) -> None:
    query = "query ($in: [String!]) { customers(where: {town: {in: $in}}) { totalCount } }"
    data = await client(query, **{"in": list(NASTY)})

    assert data["customers"]["totalCount"] == len(towns)


async def test_a_search_text_is_not_a_query_language(client: Client, towns: dict[int, str]) -> None:
    query = """query ($text: String!) { customers(where: {search: $text}, orderBy: [{rank: DESC}]) {
        edges { cursor } } search(text: $text) { nodes { __typename } } }"""
    for town in towns.values():
        answer = await client.answer(query, text=f"u1 {town}")
        assert "errors" not in answer, town


async def test_a_cursor_carries_any_text(client: Client, towns: dict[int, str]) -> None:
    met: list[str] = []
    cursor = None
    query = """query ($after: String) { customers(orderBy: [{town: DESC}], after: $after, first: 1)
        { edges { cursor node { town } } } }"""
    while edges := (await client(query, after=cursor))["customers"]["edges"]:
        met.append(edges[0]["node"]["town"])
        cursor = edges[0]["cursor"]

    assert met == sorted(towns.values(), reverse=True)
