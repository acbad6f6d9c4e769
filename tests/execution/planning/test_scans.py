"""Filters, sorts and values of whole lists have a price, by the sizes of tables."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.database.worlds import EVERYTHING, world_of
from graph.execution.documents.document import Documents
from graph.store.access import ROLES
from graph.store.schema import schema
from graph.viewer import Viewer
from tests.conftest import client_of, recorded, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from graph.database.engine import Database
    from graph.database.table_sizes import TableSizes
    from graph.database.worlds import World
    from tests.conftest import Client

LARGE = {"Customer": 100_000, "Item": 1_000, "Order": 500_000, "OrderLine": 1_500_000}


class Fixed:
    """Sizes of tables that a test chooses."""

    def __init__(self, version: int = 1, **rows: float) -> None:
        self.version = version
        self._rows = rows

    def rows(self, entity: str) -> float:
        return self._rows.get(entity, 0.0)


def price(query: str, sizes: Any = None, world: World = EVERYTHING, **variables: Any) -> int:
    operation = Documents(schema._schema).read(query).operation(None)  # noqa: SLF001
    compiled, values = operation.compiled(operation.variables.coerced(variables))
    return compiled.prices.price(sizes or Fixed(**LARGE), world).total(values)


ORDERS_OF = "{ orders(first: 10, where: %s, orderBy: [%s]) { nodes { id } } }"
SORTED = "{ customers(first: 1, orderBy: [%s]) { nodes { id } } }"


def some(depth: int, inner: str = "{quantity: {gt: 1}}") -> str:
    for _ in range(depth):
        inner = f"{{item: {{orderLines: {{some: {inner}}}}}}}"
    return inner


@pytest.mark.parametrize(
    ("query", "least", "most"),
    [
        # what an index gives costs no more than its rows
        ("{ customer(by: {databaseId: 1}) { id } }", 1, 1),
        ("{ customers(first: 10) { nodes { id orders(first: 5) { nodes { id } } } } }", 71, 80),
        ("{ customers(first: 10, where: {databaseId: {eq: 1}}) { nodes { id } } }", 11, 20),
        ("{ customers(where: {databaseId: {in: [1, 2]}}) { totalCount } }", 6, 20),
        (ORDERS_OF % ("{datePlaced: {gte: $day, lt: $day}}", "{datePlaced: ASC}"), 11, 20),
        (ORDERS_OF % ("{datePlaced: {lte: $day}}", "{datePlaced: DESC}, {total: ASC}"), 11, 20),
        # what it does not give: another sort, a condition of another column, a count
        (ORDERS_OF % ("{datePlaced: {gte: $day}}", "{status: ASC}"), 50_000, 300_000),
        (
            ORDERS_OF % ("{datePlaced: {gte: $day}, status: {eq: PAID}}", "{datePlaced: ASC}"),
            50_000,
            300_000,
        ),
        (
            ORDERS_OF % ("{or: [{datePlaced: {gte: $day}}]}", "{datePlaced: ASC}"),
            50_000,
            300_000,
        ),
        ("{ orders(where: {datePlaced: {gte: $day}}) { totalCount } }", 40_000, 100_000),
        # one look at all rows
        ("{ customers { totalCount } }", 5_000, 10_000),
        ('{ customers(where: {firstName: {contains: "a"}}) { nodes { id } } }', 10_000, 40_000),
        ("{ orderLines { aggregates { sum { quantity } } } }", 100_000, 250_000),
        ("{ orderLines { aggregates { sum { subtotal } } } }", 200_000, 400_000),
        # attacks
        (SORTED % "{orders: {sum: {total: DESC}}}", 10**6, 10**12),
        (SORTED % "{orders: {count: DESC}}", 200_000, 400_000),
        ("{ orders(orderBy: [{total: DESC}], first: 1) { nodes { id } } }", 10**6, 10**12),
        (
            f"{{ orderLines(where: {{or: [{some(2)}, {some(1)}]}}) {{ totalCount }} }}",
            10**6,
            10**12,
        ),
        (
            "{ orders { groups(by: [{datePlaced: {unit: DAY}}]) { aggregates { count } } } }",
            500_000,
            2 * 10**6,
        ),
    ],
)
def test_the_price_is_that_of_the_rows_looked_at(query: str, least: int, most: int) -> None:
    day = '"2026-01-01T00:00:00Z"'
    assert least <= price(query.replace("$day", day)) <= most


def test_each_sort_condition_measure_and_key_adds_to_the_price() -> None:
    plain = "{ customers(first: 1) { nodes { id } } }"
    dearer = [
        SORTED % "{orders: {sum: {total: DESC}}}",
        SORTED
        % "{orders: {sum: {total: DESC}}}, {orders: {count: DESC}}, {orders: {max: {total: ASC}}}",
    ]
    conditions = ["count: {gt: 1}", "count: {gt: 1}, sum: {total: {gt: 1}}"]
    filtered = [
        f"{{ customers(first: 1, where: {{orders: {{{each}}}}}) {{ nodes {{ id }} }} }}"
        for each in conditions
    ]
    grouped = [
        "{{ orders {{ groups(by: [{}]) {{ aggregates {{ {} }} }} }} }}".format(*each)
        for each in [
            ("{column: STATUS}", "count"),
            ("{column: STATUS}, {customer: {column: TOWN}}", "count"),
            ("{column: STATUS}, {customer: {column: TOWN}}", "count sum { total }"),
        ]
    ]

    for queries in ([plain, *dearer], [plain, *filtered], grouped):
        prices = [price(query) for query in queries]
        assert prices == sorted(set(prices)), queries


def test_it_multiplies_down_the_tree() -> None:
    below = "{ customers(first: %d) { nodes { orders { totalCount } } } }"
    filtered = below.replace("orders", "orders(where: {lineItems: {count: {gt: 1}}})")
    sizes = Fixed(Customer=10, Order=100_000, OrderLine=200_000)

    assert price(filtered % 100, sizes) - price(below % 100, sizes) == pytest.approx(
        50 * (price(filtered % 2, sizes) - price(below % 2, sizes)), rel=0.01
    )


def test_relationships_that_can_be_joined_add_up_and_others_multiply() -> None:
    joined = "{ orderLines(where: %s, first: 1) { nodes { id } } }"
    either = "{ orderLines(where: {or: [%s, {databaseId: {eq: 1}}]}, first: 1) { nodes { id } } }"

    assert price(joined % some(4)) < 5 * price(joined % some(1))
    assert price(either % some(2)) > 100 * price(either % some(1))


def test_negations_of_relationships_are_joined_as_well() -> None:
    nested = (
        "{ customers(where: {orders: {%s: {lineItems: {%s: %s}}}}, first: 1) { nodes { id } } }"
    )
    plain = price(nested % ("some", "some", "{quantity: {gt: 1}}"))
    both = "{quantity: {gt: 1}, item: {orderLines: {every: {quantity: {gt: 1}}}}}"

    for outer, inner in (("every", "every"), ("every", "none"), ("none", "every")):
        assert price(nested % (outer, inner, "{quantity: {gt: 1}}")) == plain
    # Each condition of `every` is one of its own.
    assert plain < price(nested % ("none", "every", both)) < 5 * plain


def test_the_price_of_a_deep_filter_is_soon_known() -> None:
    began = process_time()
    price(f"{{ orderLines(where: {some(5)}, first: 1) {{ nodes {{ id }} }} }}")

    assert process_time() - began < 1


def test_a_price_follows_the_sizes_of_tables() -> None:
    operation = Documents(schema._schema).read("{ customers { totalCount } }").operation(None)  # noqa: SLF001
    compiled, values = operation.compiled(operation.variables.coerced({}))

    prices = [
        compiled.prices.price(Fixed(version, Customer=rows), EVERYTHING).total(values)
        for version, rows in enumerate((0, 1_000, 1_000_000))
    ]

    assert prices == [6, 86, 80_006]
    assert price("{ customers { totalCount } }", Fixed()) == 6


@pytest.mark.parametrize(
    "query",
    [
        "{ orders { totalCount } }",
        "{ orders(where: {status: {eq: PLACED}}, orderBy: [{status: ASC}]) { nodes { id } } }",
        '{ search(text: "a") { totalCount } }',
        "{ items { nodes { orderLines(where: {quantity: {gt: 1}}) { totalCount } } } }",
        "{ items(where: {orderLines: {some: {quantity: {gt: 1}}}}) { totalCount } }",
        "{ customers(orderBy: [{orders: {count: ASC}}]) { nodes { id } } }",
    ],
)
def test_a_price_tells_nothing_of_rows_that_do_not_exist_for_the_viewer(query: str) -> None:
    worlds = {role: world_of(Viewer("s", role, may)) for role, may in ROLES.items()}
    few, items = {"Customer": 1, "Order": 1, "OrderLine": 1}, LARGE["Item"]

    def at(role: str, **sizes: float) -> int:
        return price(query, Fixed(1, **{"Item": items, **sizes}), worlds[role])

    assert at("customer", **few) == at("customer", **LARGE)
    assert at("manager", **few) < at("manager", **LARGE)


async def test_sizes_are_those_of_postgresqls_statistics(database: Database) -> None:
    sizes: TableSizes = database.sizes
    await sizes.refresh()
    before = (sizes.version, sizes.rows("Customer"))
    await fill(database, customers=30, orders=2, lines=1, items=3)
    async with database.write() as session:
        await session.execute(text("ANALYZE"))
    await sizes.refresh()
    grown = sizes.version
    await sizes.refresh()

    assert before[1] == 0
    assert (sizes.rows("Customer"), sizes.rows("Order")) == (30, 60)
    assert before[0] < grown == sizes.version


async def test_an_operation_over_the_limit_is_refused_before_it_runs(client: Client) -> None:
    async with client.database.write() as session:
        await session.execute(text("UPDATE pg_class SET reltuples = 1e6 WHERE relname = 'orders'"))
    await client.database.sizes.refresh()
    with recorded(client.database) as sql:
        answer = await client.answer(
            "{ orders(orderBy: [{total: DESC}], first: 1) { nodes { id } } }"
        )

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "COST_LIMIT_EXCEEDED"
    assert error["extensions"]["cost"]["fields"][0]["path"] == "orders"
    assert len(sql) == 0


async def test_the_planner_is_asked_once_for_each_new_shape_that_scans(database_url: str) -> None:
    query = "query ($name: String!) { customers(where: {firstName: {eq: $name}}) { totalCount } }"
    async with client_of(create_app(settings_for(database_url))) as client:
        async with client.database.write() as session:
            statement = "UPDATE pg_class SET reltuples = 50000 WHERE relname = 'customers'"
            await session.execute(text(statement))
        await client.database.sizes.refresh()
        asked = []
        planned_cost = client.database.planned_cost

        async def noted(*arguments: Any) -> float:
            asked.append(await planned_cost(*arguments))
            return asked[-1]

        client.database.planned_cost = noted  # type: ignore[method-assign,assignment]
        for name in ("A", "B", "C"):
            await client(query, name=name)
        await client("{ customer(by: {databaseId: 1}) { id } }")

    assert len(asked) == 1
    assert asked[0] > 0
