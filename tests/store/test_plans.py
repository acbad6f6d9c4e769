"""Query plans in a large store: they use indexes, and a deep page costs as much as the first.

The store has 100,000 customers, about 500,000 orders and 1.5 million lines. The cost of a plan is
the number of blocks that it reads, which is the same on every machine.
"""

from __future__ import annotations

import asyncio
import json
import re
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from graph.database.engine import Database
from graph.database.server import connect_arguments
from graph.database.worlds import EVERYTHING
from graph.execution.documents.document import Documents
from graph.store.schema import schema
from graph.store.seed import seed
from tests.conftest import administer, settings_for
from tests.docs.pages import operations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from graph.database.embedded import Cluster

CUSTOMERS = 100_000
LARGE = ("customers", "orders", "order_lines", "events")
DOCUMENTED = [  # the queries: a mutation has plans of its own
    (example.block.text, example.variables)
    for example in operations()
    if not example.is_mutation
    and not example.is_refused
    # To count a whole list is to read it.
    and not re.search(r"(customers|orders(\(first: 1\))?) \{ totalCount", example.block.text)
]
SERVED = [
    *(
        f"{{ {connection}({page}: 20{order}) {{ nodes {{ id }} pageInfo {{ hasNextPage }} }} }}"
        for connection in ("customers", "items", "orders", "orderLines")
        for page, order in (("first", ""), ("last", ", orderBy: {databaseId: DESC}"))
    ),
    *(
        f"{{ {connection}(last: 20, orderBy: {{{column}: ASC}}) {{ nodes {{ id }} }} }}"
        for connection, column in (
            ("customers", "lastName"),
            ("customers", "town"),
            ("customers", "createdOn"),
            ("items", "name"),
            ("items", "sellingPrice"),
            ("orders", "datePlaced"),
        )
    ),
    """{ customers { nodes { orders { totalCount
           nodes { lineItems { nodes { item { name } } } } } } } }""",
    "{ customers { nodes { orders(last: 1) { nodes { datePlaced } } } } }",
    """{ items(first: 1) { nodes { orderLines(last: 5) {
           nodes { order { customer { town } } } } } } }""",
    "{ customers { nodes { history { nodes { kind payload } } } } }",
    "{ items { nodes { history(last: 5) { nodes { kind item { name } } } } } }",
    "{ orders { nodes { history { totalCount nodes { payload orderLine { id } } } } } }",
    '{ customer(by: {email: "X@example.com"}) { id } }',
    '{ customer(by: {username: "x"}) { id } }',
    '{ customers(where: {town: {eq: "Berlin"}}) { nodes { id } } }',
    '{ customers(where: {orders: {count: {gt: 30}}, town: {eq: "Oslo"}}) { nodes { id } } }',
    '{ orders(where: {datePlaced: {gte: "2025-12-30T00:00:00Z"}}) { nodes { id } totalCount } }',
    '{ search(text: "wanda") { totalCount nodes { __typename } } }',
    '{ search(text: "wnda sorensen") { totalCount nodes { __typename } } }',
    '{ search(text: "example") { totalCount nodes { __typename } } }',  # everybody's address
    '{ customers(where: {search: "anna"}) { totalCount nodes { id } } }',
    '{ customers(where: {search: "anna"}, orderBy: [{rank: DESC}]) { nodes { id } } }',
]
# (the list's arguments, how many times the blocks of the first page a deep one may read)
WALKS = [
    ("", 1.5),
    ("orderBy: {lastName: ASC}", 1.5),
    ("orderBy: {datePlaced: DESC}", 1.5),
    ("orderBy: {datePlaced: ASC}", 1.5),
    # Three ranges, each read as far as a page goes.
    ("orderBy: [{lastName: DESC}, {town: ASC}]", 3.0),
]


TIMES = ("{order: {datePlaced: {unit: DAY}}}", "{order: {customer: {createdOn: {unit: WEEK}}}}")
# Filters within filters, as PostgreSQL can join them: each table of theirs is read once.
NESTED = [
    "{orders: {every: {lineItems: {every: {quantity: {gt: 0}}}}}}",
    "{orders: {every: {lineItems: {some: {quantity: {gt: 0}}}}}}",
    "{orders: {some: {lineItems: {some: {quantity: {gt: 100}}}}}}",
    "{orders: {none: {lineItems: {none: {quantity: {gt: 100}}}}}}",
    "{not: {orders: {every: {lineItems: {every: {quantity: {gt: 0}}}}}}}",
    "{not: {or: [{orders: {some: {lineItems: {some: {quantity: {gt: 100}}}}}}]}}",
    "{orders: {every: {status: {ne: PAID}, lineItems: {every: {quantity: {gt: 0}}}}}}",
    "{orders: {none: {or: [{lineItems: {some: {quantity: {gt: 9}}}}, {status: {eq: PAID}}]}}}",
]
# (a query, whether one plan serves it whatever its values are)
PLANNED = [
    ("{ customers { nodes { orders(first: 5) { nodes { id } } } } }", True),
    ('{ customers(where: {town: {eq: "Berlin"}}) { nodes { id } } }', True),
    (
        """{ orders(where: {datePlaced: {gte: "2025-12-30T00:00:00Z"}},
                   orderBy: [{datePlaced: ASC}]) { nodes { id } } }""",
        True,
    ),
    ('{ orders(where: {datePlaced: {gte: "2025-12-30T00:00:00Z"}}) { nodes { id } } }', True),
    # In the order of the key the latest orders are found last, or by the index of their dates.
    (
        """{ orders(where: {datePlaced: {gte: "2025-12-30T00:00:00Z"}},
                   orderBy: [{databaseId: ASC}]) { nodes { id } } }""",
        False,
    ),
]
# (a query, whether its statement is kept: one plan may be for all values then)
KEPT = [
    ('{ customers(where: {town: {eq: "Berlin"}}) { nodes { orders { totalCount } } } }', True),
    ("{ customers(where: {not: {orders: {some: {status: {eq: PAID}}}}}) { nodes { id } } }", False),
    (
        """{ orderLines(where: {order: {datePlaced: {gte: "2999-01-01T00:00:00Z"}}}) {
            nodes { id } } }""",
        False,
    ),
    (
        """{ customers { nodes {
            orders(where: {lineItems: {some: {quantity: {gt: 9000}}}}) { totalCount } } } }""",
        False,
    ),
]


class Large:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._documents = Documents(schema._schema)  # noqa: SLF001

    async def data(self, text: str) -> Any:
        sql, parameters = self._statement(text)
        row = await self._connection.fetchrow(sql, *parameters)
        return [json.loads(value) for value in row]

    async def plan(self, text: str, **variables: Any) -> Any:
        sql, parameters = self._statement(text, variables)
        return await self.plan_of(sql, *parameters)

    async def plan_of(self, sql: str, *parameters: Any) -> Any:
        explained = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql
        return json.loads(await self._connection.fetchval(explained, *parameters))[0]["Plan"]

    async def plans_once(self, text: str) -> bool:
        """Whether PostgreSQL has stopped to look at the values, as it does after five runs."""
        sql, parameters = self._statement(text)
        prepared = await self._connection.prepare(sql)
        for _ in range(8):
            await prepared.fetchrow(*parameters)
        plans = "SELECT generic_plans FROM pg_prepared_statements WHERE statement = $1"
        return bool(await self._connection.fetchval(plans, sql))

    async def run(self, statement: str) -> None:
        await self._connection.execute(statement)

    def _statement(
        self, text: str, variables: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[str, list[Any]]:
        operation = self._documents.read(text).operation(None)
        compiled, values = operation.compiled(operation.variables.coerced(dict(variables)))
        assert compiled.query
        statement = compiled.query.statement("json_scalar", EVERYTHING)
        return statement.sql, statement.parameters(values)


@pytest.fixture(scope="module")
def large_url(cluster: Cluster, template: str) -> Iterator[str]:
    async def make() -> None:
        await administer(cluster, f"CREATE DATABASE large TEMPLATE {template} STRATEGY file_copy")
        # Without triggers and checks of keys, which change nothing in rows that meet them.
        await administer(cluster, "ALTER DATABASE large SET session_replication_role = replica")
        database = Database.connect(settings_for(cluster.url("large")))
        await seed(database, customers=CUSTOMERS)
        await database.close()
        await administer(cluster, "ALTER DATABASE large RESET session_replication_role")
        # Plans do not depend on how far autovacuum has come.
        connection = await asyncpg.connect(cluster.url("large").replace("+asyncpg", ""))
        await connection.execute("VACUUM ANALYZE")
        await connection.close()

    asyncio.run(make())
    yield cluster.url("large")
    asyncio.run(administer(cluster, "DROP DATABASE large WITH (FORCE)"))


@pytest.fixture
async def large(large_url: str) -> AsyncIterator[Large]:
    settings = settings_for(large_url)
    options = connect_arguments(settings)["server_settings"]
    connection = await asyncpg.connect(
        large_url.replace("+asyncpg", ""), server_settings=options | {"statement_timeout": "60000"}
    )
    yield Large(connection)
    await connection.close()


def nodes_of(plan: Any) -> Iterator[Any]:
    yield plan
    yield from chain.from_iterable(map(nodes_of, plan.get("Plans", ())))


def blocks_of(plan: Any) -> int:
    blocks: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return blocks


def test_the_documentation_has_queries() -> None:
    assert len(DOCUMENTED) >= 10


@pytest.mark.parametrize(("text", "variables"), [*DOCUMENTED, *((text, {}) for text in SERVED)])
async def test_no_large_table_is_read_from_end_to_end(
    large: Large, text: str, variables: dict[str, Any]
) -> None:
    plan = await large.plan(text, **variables)

    scanned = {node["Relation Name"] for node in nodes_of(plan) if node["Node Type"] == "Seq Scan"}
    assert not scanned & set(LARGE)


@pytest.mark.parametrize("where", NESTED)
async def test_no_filter_within_filters_is_evaluated_row_by_row(large: Large, where: str) -> None:
    plan = await large.plan(f"{{ customers(where: {where}) {{ totalCount }} }}")

    assert not [node for node in nodes_of(plan) if node.get("Parent Relationship") == "SubPlan"]


@pytest.mark.parametrize(("text", "once"), PLANNED)
async def test_values_are_looked_at_where_they_make_a_difference(
    large: Large, text: str, *, once: bool
) -> None:
    assert await large.plans_once(text) is once


@pytest.mark.parametrize(("text", "is_kept"), KEPT)
async def test_a_filter_across_tables_is_planned_with_its_values(
    large_url: str, text: str, *, is_kept: bool
) -> None:
    operation = Documents(schema._schema).read(text).operation(None)  # noqa: SLF001
    compiled, values = operation.compiled(operation.variables.coerced({}))
    assert compiled.query
    database = Database.connect(settings_for(large_url, pool_size=1))
    try:
        for _ in range(3):
            await database.fetch_json(compiled.query, values)
        kept = await database.all("SELECT statement FROM pg_prepared_statements")
    finally:
        await database.close()

    sql = compiled.query.statement("json_scalar", EVERYTHING).sql
    assert (sql in [statement for (statement,) in kept]) is is_kept


@pytest.mark.parametrize(("arguments", "factor"), WALKS)
async def test_a_deep_page_reads_as_little_as_the_first(
    large: Large, arguments: str, factor: float
) -> None:
    entity = "orders" if "datePlaced" in arguments else "customers"
    if "town" in arguments:  # an index has to go the same ways as the order
        await large.run("CREATE INDEX IF NOT EXISTS mixed ON customers (last_name DESC, town, id)")
    order = f", {arguments}" if arguments else ""
    page = """{{ {entity}(first: 20{place}{order}) {{
                   nodes {{ id }} pageInfo {{ hasNextPage {end} }} }} }}"""
    # Numbered pages reach row 10,000; by cursors the walk goes on from there, ever deeper.
    text = page.format(entity=entity, place=", offset: 9980", order=order, end="endCursor")
    for _ in range(5):
        (found,) = await large.data(text)
        cursor = found["pageInfo"]["endCursor"]
        text = page.format(
            entity=entity, place=f', after: "{cursor}"', order=order, end="endCursor"
        )

    first = blocks_of(await large.plan(page.format(entity=entity, place="", order=order, end="")))
    deep = blocks_of(await large.plan(text.replace("endCursor", "")))
    assert deep <= factor * first + 8  # the ways down the indexes


async def test_a_count_with_a_limit_reads_no_further(large: Large) -> None:
    def text(limit: int) -> str:
        return f"{{ orderLines {{ count(limit: {limit}) {{ value precision }} }} }}"

    (found,) = await large.data(text(1_000))
    few, many = [blocks_of(await large.plan(text(limit))) for limit in (1_000, 100_000)]

    assert found == {"count": {"value": 1_000, "precision": "AT_LEAST"}}
    assert few * 10 < many


async def test_a_counted_page_reads_the_list_once_and_its_own_rows(large: Large) -> None:
    where = 'where: {datePlaced: {gte: "2025-11-28T00:00:00Z"}}, orderBy: [{datePlaced: ASC}]'
    plan = await large.plan(
        f"""{{ orders(first: 20, {where}) {{
            a: totalCount b: totalCount nodes {{ id }} pageInfo {{ hasNextPage }} }} }}"""
    )
    read = [node for node in nodes_of(plan) if node.get("Relation Name") == "orders"]

    rows = sorted(node["Actual Rows"] for node in read)
    assert len(read) == 2
    assert rows[0] == 20 < rows[1]
    assert "WindowAgg" not in {node["Node Type"] for node in nodes_of(plan)}


async def test_aggregates_of_children_read_as_little_as_a_grouped_statement(large: Large) -> None:
    plan = await large.plan(
        "{ orders(first: 20) { nodes { lineItems { aggregates { count sum { quantity } } } } } }"
    )
    by_hand = await large.plan_of(
        """SELECT o.id, count(l.id), sum(l.quantity)
           FROM (SELECT id FROM orders ORDER BY id LIMIT 20) AS o
           LEFT JOIN order_lines l ON l.order_id = o.id GROUP BY o.id"""
    )

    assert blocks_of(plan) <= 2 * blocks_of(by_hand)


async def test_the_latest_order_of_a_customer_is_read_from_an_index(large: Large) -> None:
    plan = await large.plan("{ customers { nodes { orders(last: 1) { nodes { id } } } } }")

    indexes = {node.get("Index Name") for node in nodes_of(plan)}
    assert "orders_customer_id_date_placed_id_idx" in indexes
    assert "Sort" not in {node["Node Type"] for node in nodes_of(plan) if node["Plan Rows"] > 20}
    assert blocks_of(plan) < 20 * 8


@pytest.mark.parametrize("buckets", [1, 2])
@pytest.mark.parametrize("filters", [1, 7])
async def test_groups_by_buckets_and_paths_begin_with_what_the_filter_finds(
    large: Large, buckets: int, filters: int
) -> None:
    day = '{datePlaced: {gte: "2025-11-28T00:00:00Z", lt: "2025-11-29T00:00:00Z"}}'
    # With those of the filter there are more joins than the eight that PostgreSQL reorders.
    anywhere = ", ".join(["{item: {stock: {gte: 0}}}"] * (filters - 1) + [f"{{order: {day}}}"])
    times = ", ".join(TIMES[:buckets])
    plan = await large.plan(
        f"""{{ orderLines(where: {{and: [{anywhere}]}}) {{
            groups(by: [{{order: {{customer: {{column: TOWN}}}}}}, {times}]) {{
                key {{ order {{ datePlaced customer {{ town }} }} }}
                aggregates {{ count sum {{ subtotal }} }} }} }} }}"""
    )
    by_hand = await large.plan_of(
        """SELECT town, date_trunc('day', date_placed), count(*), sum(unit_price * quantity)
           FROM orders o JOIN order_lines l ON l.order_id = o.id
           JOIN customers c ON c.id = o.customer_id
           WHERE date_placed >= '2025-11-28T00:00:00Z' AND date_placed < '2025-11-29T00:00:00Z'
           GROUP BY 1, 2"""
    )

    scanned = {node["Relation Name"] for node in nodes_of(plan) if node["Node Type"] == "Seq Scan"}
    assert not scanned & set(LARGE)
    assert blocks_of(plan) <= 8 * blocks_of(by_hand)
