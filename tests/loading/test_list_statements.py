"""The statements for filters, sorts, counts, aggregates and groups: compiled, one for all.

Through the loaders it is one for each relationship and level, and one for each kind of selection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.app import create_app
from graph.settings import ExecutionMode
from tests.conftest import client_of, recorded, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from tests.conftest import Client, Statements

WHERE = '{town: {startsWith: "W"}, orders: {some: {lineItems: {count: {gte: 1}}}}}'
TOTALS = "{lineItems: {sum: {subtotal: {gt: 1}}}}"

QUERIES = [
    # Filters at each level, sorts across edges and by aggregates: no statement more.
    (f"{{ customers(where: {WHERE}) {{ nodes {{ id }} }} }}", 1),
    (f"{{ customers {{ nodes {{ orders(where: {TOTALS}) {{ nodes {{ id }} }} }} }} }}", 2),
    (
        f"""{{ customers(where: {WHERE}) {{ nodes {{ orders(where: {TOTALS}) {{ nodes {{
            lineItems(where: {{item: {{sellingPrice: {{lt: 9}}}}}}) {{ nodes {{ id }} }} }} }} }} }}
        }}""",
        3,
    ),
    ("{ orders(orderBy: [{customer: {town: ASC}}, {lineItems: {count: DESC}}]) {nodes {id}} }", 1),
    (
        """{ customers(orderBy: [{orders: {max: {datePlaced: DESC}}}]) { nodes {
            orders(orderBy: [{total: DESC}]) { edges { cursor node { id } }
                pageInfo { hasNextPage hasPreviousPage endCursor } } } } }""",
        2,
    ),
    ("{ orders(offset: 3) { nodes { id } pageInfo { hasPreviousPage } } }", 1),
    ('{ customers(where: {search: "last"}, orderBy: [{rank: DESC}]) { nodes { id } } }', 1),
    # A search is one, and one more for each entity among what it found.
    ('{ search(text: "last") { edges { cursor } } }', 2),
    ('{ search(text: "last") { totalCount nodes { __typename } } }', 3),
    ('{ search(text: "last") { nodes { ... on Customer { orders { nodes { id } } } } } }', 3),
    # Counts, aggregates and groups: one each for a level, and none for rows that nobody asks for.
    ("{ customers { totalCount count { value precision } } }", 2),
    ("{ customers { aggregates { count min { town } } } }", 1),
    ("{ orders { aggregates { sum { total } avg { total } } totalCount nodes { id } } }", 3),
    ("{ orders { groups(by: [{customer: {column: TOWN}}]) { key { customer { town } } } } }", 1),
    ("{ customers { nodes { orders { totalCount } } } }", 2),
    ("{ customers { nodes { orders { count(limit: 2) { value } } } } }", 2),
    ("{ customers { nodes { orders { aggregates { sum { total } } } } } }", 2),
    (
        """{ customers { nodes { orders { groups(by: [{datePlaced: {unit: MONTH}}]) {
            key { datePlaced } aggregates { count sum { total } } } } } } }""",
        2,
    ),
    (
        """{ customers(first: 5) { nodes { orders { nodes { lineItems {
            aggregates { max { quantity } }
            groups(by: [{item: {column: NAME}}]) { aggregates { count } } totalCount } } } } } }""",
        5,
    ),
    # Several names for one thing are one statement: the page does not matter to what is said of
    # the whole list; the filter does.
    (
        """{ customers { nodes { a: orders(first: 1) { totalCount aggregates { count } }
            b: orders(last: 2) { totalCount aggregates { sum { total } } } } } }""",
        3,
    ),
    (
        """{ customers { nodes { a: orders { aggregates { count } }
            b: orders(where: {total: {gt: 3}}) { aggregates { count } } } } }""",
        3,
    ),
    ("{ customers { a: count(limit: 2) { value } b: count(limit: 2) { precision } } }", 1),
    ("{ customers { a: count(limit: 2) { value } b: count(limit: 3) { value } } }", 2),
    (
        """{ orders { a: groups(by: [{column: CUSTOMER_ID}]) { key { customerId } }
            b: groups(by: [{column: CUSTOMER_ID}]) { aggregates { count } } } }""",
        1,
    ),
    (
        """{ orders { a: groups(by: [{column: CUSTOMER_ID}]) { key { customerId } }
            b: groups(by: [{column: CUSTOMER_ID}], having: {count: {gt: 1}}) {
                aggregates { count } } } }""",
        2,
    ),
    (
        """{ a: customers(where: {town: {eq: "Wolfden"}}) { nodes { id } }
            b: customers(where: {town: {eq: "Wolfden"}}) { nodes { town } totalCount } }""",
        2,
    ),
    (
        """{ a: orders(orderBy: [{total: ASC}]) { nodes { id } }
            b: orders(orderBy: [{total: DESC}]) { nodes { id } } }""",
        2,
    ),
]


@pytest.mark.parametrize(("query", "statements"), QUERIES)
@pytest.mark.parametrize("customers", [1, 12])
async def test_the_number_of_statements_is_that_of_edges_and_levels(
    client: Client, sql: Statements, query: str, statements: int, customers: int
) -> None:
    await fill(client.database, customers=customers, orders=3, lines=2)
    sql.clear()
    resolved = await client(query)
    assert len(sql) == statements

    settings = settings_for(
        client.database.engine.url.render_as_string(hide_password=False),
        execution=ExecutionMode.COMPILED,
    )
    async with client_of(create_app(settings)) as other:
        with recorded(other.database) as compiled:
            assert await other(query) == resolved
        assert len(compiled) == 1


async def test_rows_alike_but_for_the_filter_are_not_taken_for_each_other(client: Client) -> None:
    await fill(client.database, customers=3, orders=2)

    data = await client(
        """{ a: customers(where: {databaseId: {lt: 2}}) { totalCount nodes { databaseId } }
             b: customers(where: {databaseId: {lt: 3}}) { totalCount nodes { databaseId } } }"""
    )

    assert [data[alias]["totalCount"] for alias in "ab"] == [1, 2]
    assert [len(data[alias]["nodes"]) for alias in "ab"] == [1, 2]
