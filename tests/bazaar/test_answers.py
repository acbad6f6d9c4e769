"""What the engine must be able to say, both ways, over a few rows whose answers are known."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from base64 import b64encode
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from graph.app import create_app
from graph.database.catalog import DeclaredColumn, catalog
from graph.database.engine import Database
from graph.database.kinds import ScalarKind
from graph.relay import INT8_MAX, to_global_id
from graph.settings import ExecutionMode
from tests.bazaar.models import Deal, Good, Mood, Size, Stall, Trader, friendships, good_traders
from tests.bazaar.rows import create_tables
from tests.bazaar.schema import schema
from tests.conftest import administer, client_of, recorded, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.embedded import Cluster
    from tests.conftest import Client

ADA, BEA, CID = 1, 2**53 + 1, INT8_MAX
PEAR, SACK, VOID = UUID(int=1), UUID(int=2), UUID(int=3)
TRADERS: list[dict[str, Any]] = [
    {"id": ADA, "name": "Ada", "mood": Mood.STORMY, "born": date(1815, 12, 10), "purse": CID},
    {"id": BEA, "name": "Bea", "mentor_id": ADA, "mood": Mood.SUNNY, "honest": True, "purse": -1},
    {"id": CID, "name": "Cid", "mentor_id": BEA, "seen": datetime(2026, 1, 1, tzinfo=UTC)},
]
GOODS: list[dict[str, Any]] = [
    {
        "id": PEAR,
        "label": "pear",
        "size": Size.SMALL,
        "pieces": 2,
        "price": Decimal("1.50"),
        "weight": 0.25,
        "tags": ["ripe", None, "green"],
        "facts": {"a": [1.50]},
        "contained_in": SACK,
    },
    {"id": SACK, "label": "x", "size": Size.LARGE, "price": Decimal("0.5"), "weight": float("nan")},
    {"id": VOID, "label": "z", "size": Size.LARGE, "weight": float("inf"), "tags": []},
]


@pytest.fixture(scope="module")
def bazaar_url(cluster: Cluster) -> str:
    """A database with these rows; no test changes it."""

    async def make() -> None:
        await administer(cluster, "CREATE DATABASE bazaar")
        database = Database.connect(settings_for(cluster.url("bazaar")))
        await create_tables(database)
        await fill(database)
        await database.close()

    asyncio.run(make())
    return cluster.url("bazaar")


@pytest.fixture(params=ExecutionMode)
async def bazaar(bazaar_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    settings = settings_for(bazaar_url, execution=request.param)
    async with client_of(create_app(settings, schema=schema)) as client:
        yield client


async def fill(database: Database) -> None:
    async with database.write() as session:
        for row in TRADERS:
            await session.execute(insert(Trader).values(row))
        for row in reversed(GOODS):
            await session.execute(insert(Good).values(row))
        stalls = [(1, ADA, PEAR), (2, None, VOID), (3, None, UUID(int=9))]
        names = ("id", "keeper_id", "star_good")
        rows = [dict(zip(names, row, strict=True)) for row in stalls]
        await session.execute(insert(Stall), rows)
        deals = [(1, ADA, BEA, "2.5"), (2, ADA, None, "1.000"), (3, BEA, ADA, "7")]
        for id_, seller, buyer, amount in deals:
            deal = {"id": id_, "seller_id": seller, "buyer_id": buyer, "amount": Decimal(amount)}
            await session.execute(insert(Deal).values(good_id=PEAR, **deal))
        pairs = [(ADA, BEA), (ADA, CID), (CID, ADA), (ADA, BEA)]
        await session.execute(
            insert(friendships), [{"trader": one, "friend": two} for one, two in pairs]
        )
        known = [(PEAR, ADA), (PEAR, CID), (SACK, ADA)]
        await session.execute(
            insert(good_traders), [{"good_key": one, "trader_id": two} for one, two in known]
        )


async def names(bazaar: Client, arguments: str, root: str = "traders", field: str = "name") -> Any:
    data = await bazaar(f"{{ {root}({arguments}) {{ nodes {{ {field} }} }} }}")
    return [node[field] for node in data[root]["nodes"]]


async def test_every_kind_of_column_is_answered(bazaar: Client) -> None:
    fields = (
        "databaseId size pieces price weight tags facts serial containedIn worth guess bigLabel"
    )
    data = await bazaar(f"{{ goods {{ nodes {{ {fields} }} }} }}")

    pear, sack, void = data["goods"]["nodes"]
    assert pear == {
        "databaseId": str(PEAR),
        "size": "SMALL",
        "pieces": 2,
        "price": "1.50",
        "weight": 0.25,
        "tags": ["ripe", "green"],
        "facts": {"a": [1.5]},
        "serial": None,
        "containedIn": to_global_id("Good", SACK),
        "worth": "3.00",
        "guess": "2",
        "bigLabel": "PEAR",
    }
    assert (sack["weight"], sack["tags"], sack["worth"], sack["guess"]) == (None, None, None, "0.5")
    assert (void["weight"], void["tags"], void["facts"], void["guess"]) == (None, [], None, "0")

    data = await bazaar("{ traders { nodes { databaseId mood born seen honest purse mentorId } } }")
    ada, bea, cid = data["traders"]["nodes"]
    assert (ada["databaseId"], ada["mood"], ada["born"]) == ("1", "STORMY", "1815-12-10")
    assert (ada["purse"], ada["mentorId"]) == (str(INT8_MAX), None)
    assert (bea["honest"], bea["mentorId"]) == (True, to_global_id("Trader", ADA))
    assert (cid["databaseId"], cid["seen"]) == (str(INT8_MAX), "2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        # A mentor that is not there has no name: nothing is equal to it, and all is not equal.
        ('mentor: {name: {eq: "Ada"}}', ["Bea"]),
        ('mentor: {name: {ne: "Ada"}}', ["Ada", "Cid"]),
        ('mentor: {not: {name: {eq: "Ada"}}}', ["Ada", "Cid"]),
        ('not: {mentor: {name: {eq: "Ada"}}}', ["Ada", "Cid"]),
        ('not: {mentor: {name: {ne: "Ada"}}}', ["Bea"]),
        ("mentor: {name: {isNull: true}}", ["Ada"]),
        ("mentor: {name: {isNull: false}}", ["Bea", "Cid"]),
        ('mentor: {mentor: {name: {eq: "Ada"}}}', ["Cid"]),
        ('mentor: {mentor: {name: {notIn: ["Ada"]}}}', ["Ada", "Bea"]),
        ("mentor: {pupils: {count: {eq: 0}}}", ["Ada"]),
        ("mentor: {pupils: {count: {ne: 0}}}", ["Bea", "Cid"]),
        ("mentor: {pupils: {some: {}}}", ["Bea", "Cid"]),
        ("mentor: {pupils: {none: {}}}", ["Ada"]),
        ("mentor: {sold: {sum: {amount: {isNull: true}}}}", ["Ada"]),
        ("mentor: {}", ["Ada", "Bea", "Cid"]),
        ("mentorId: {isNull: true}", ["Ada"]),
        ("mentorId: {isNull: false}", ["Bea", "Cid"]),
        ("stall: {databaseId: {gte: 1}}", ["Ada"]),
        ("stall: {dealsOfKeeper: {lt: 9}}", ["Ada"]),
        ("stall: {dealsOfKeeper: {isNull: true}}", ["Bea", "Cid"]),
        # Many-to-many, twice between the same tables, and to oneself.
        ('goods: {some: {label: {eq: "x"}}}', ["Ada"]),
        ("goods: {count: {eq: 1}}", ["Cid"]),
        ('goods: {every: {label: {eq: "pear"}}}', ["Bea", "Cid"]),
        ('friends: {some: {name: {eq: "Ada"}}}', ["Cid"]),
        ("friends: {count: {eq: 2}}", ["Ada"]),
        ("friends: {max: {purse: {eq: -1}}}", ["Ada"]),
        ('bought: {some: {seller: {name: {eq: "Bea"}}}}', ["Ada"]),
        ('sold: {sum: {amount: {eq: "3.5"}}}', ["Ada"]),
        # Each kind of operand.
        ("mood: {in: [SUNNY, GLOOMY]}", ["Bea"]),
        ("mood: {ne: SUNNY}", ["Ada", "Cid"]),
        ('born: {lt: "1900-01-01"}', ["Ada"]),
        ('seen: {gte: "2026-01-01T00:00:00Z"}', ["Cid"]),
        ('purse: {eq: "9223372036854775807"}', ["Ada"]),
        ("purse: {gte: 9223372036854775807}", ["Ada"]),
        ("purse: {in: [-1, 3]}", ["Bea"]),
        ("databaseId: {gt: 9007199254740992}", ["Bea", "Cid"]),
    ],
)
async def test_a_filter_finds(bazaar: Client, where: str, expected: list[str]) -> None:
    assert await names(bazaar, f"where: {{{where}}}") == expected
    rest = [row["name"] for row in TRADERS if row["name"] not in expected]
    assert await names(bazaar, f"where: {{not: {{{where}}}}}") == rest


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("weight: {lt: 1}", ["pear"]),
        ("weight: {isNull: true}", ["x", "z"]),
        ("weight: {ne: 0.25}", ["x", "z"]),
        ('tags: {has: "ripe"}', ["pear"]),
        ('tags: {hasEvery: ["green", "ripe"]}', ["pear"]),
        ('tags: {hasSome: ["green", "blue"]}', ["pear"]),
        ("tags: {hasSome: []}", []),
        ("tags: {hasEvery: []}", ["pear", "z"]),
        ("tags: {isEmpty: true}", ["z"]),
        ("tags: {isEmpty: false}", ["pear", "x"]),
        ("tags: {isNull: true}", ["x"]),
        ('worth: {gt: "1"}', ["pear"]),
        ("worth: {isNull: true}", ["x", "z"]),
        ('guess: {lte: "0.5"}', ["x", "z"]),
        (f'databaseId: {{in: ["{SACK}"]}}', ["x"]),
        (f'containedIn: {{eq: "{to_global_id("Good", SACK)}"}}', ["pear"]),
        ("size: {eq: SMALL}", ["pear"]),
        ('container: {traders: {some: {name: {eq: "Ada"}}}}', ["pear"]),
    ],
)
async def test_a_filter_finds_goods(bazaar: Client, where: str, expected: list[str]) -> None:
    assert await names(bazaar, f"where: {{{where}}}", "goods", "label") == expected
    rest = [row["label"] for row in GOODS if row["label"] not in expected]
    assert await names(bazaar, f"where: {{not: {{{where}}}}}", "goods", "label") == rest


ORDERS: list[tuple[str, list[str]]] = [
    ("{mood: ASC}", ["Bea", "Ada", "Cid"]),  # as PostgreSQL's type has them
    ("{mood: DESC_NULLS_LAST}", ["Ada", "Bea", "Cid"]),
    ("{born: ASC_NULLS_FIRST}", ["Bea", "Cid", "Ada"]),
    ("{purse: ASC}", ["Bea", "Ada", "Cid"]),
    ("{honest: DESC}", ["Bea", "Cid", "Ada"]),
    ("{seen: DESC_NULLS_LAST}", ["Cid", "Bea", "Ada"]),
    ("{mentorId: ASC}", ["Bea", "Cid", "Ada"]),
    ("{mentor: {name: DESC}}", ["Cid", "Bea", "Ada"]),
    ("{mentor: {mentor: {born: ASC}}}", ["Cid", "Ada", "Bea"]),
    ("{stall: {dealsOfKeeper: ASC_NULLS_FIRST}}", ["Bea", "Cid", "Ada"]),
    ("{goods: {count: DESC}}", ["Ada", "Cid", "Bea"]),
    ("{friends: {max: {purse: ASC}}}", ["Ada", "Cid", "Bea"]),
    ("{databaseId: DESC}", ["Cid", "Bea", "Ada"]),
]


@pytest.mark.parametrize(("order", "expected"), ORDERS)
async def test_a_list_is_sorted_and_read_page_by_page(
    bazaar: Client, order: str, expected: list[str]
) -> None:
    query = f"""query ($after: String, $before: String, $first: Int, $last: Int) {{
        traders(orderBy: [{order}], after: $after, before: $before, first: $first, last: $last) {{
            edges {{ cursor node {{ name }} }} pageInfo {{ hasNextPage hasPreviousPage }} }} }}"""
    forwards, backwards = [], []
    page: dict[str, Any] = {"first": 1}
    for _ in expected:
        (edge,) = (await bazaar(query, **page))["traders"]["edges"]
        forwards.append(edge["node"]["name"])
        page["after"] = edge["cursor"]
    assert forwards == expected
    assert (await bazaar(query, **page))["traders"]["edges"] == []

    page = {"last": 1}
    for _ in expected:
        (edge,) = (await bazaar(query, **page))["traders"]["edges"]
        backwards.append(edge["node"]["name"])
        page["before"] = edge["cursor"]
    assert backwards == expected[::-1]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("{weight: ASC}", ["pear", "x", "z"]),
        ("{worth: DESC}", ["pear", "z", "x"]),
        ("{guess: ASC}", ["z", "x", "pear"]),
        ("{bigLabel: ASC_NULLS_FIRST}", ["x", "z", "pear"]),
        ("{container: {label: ASC_NULLS_FIRST}}", ["x", "z", "pear"]),
        ("{databaseId: DESC}", ["z", "x", "pear"]),
        ("{serial: ASC}", ["pear", "x", "z"]),
    ],
)
async def test_goods_are_sorted_and_read_page_by_page(
    bazaar: Client, order: str, expected: list[str]
) -> None:
    query = f"""query ($after: String) {{ goods(orderBy: [{order}], first: 1, after: $after) {{
        edges {{ cursor node {{ label }} }} }} }}"""
    found: list[str] = []
    after = None
    for _ in expected:
        (edge,) = (await bazaar(query, after=after))["goods"]["edges"]
        found.append(edge["node"]["label"])
        after = edge["cursor"]
    assert found == expected


async def test_measures_are_of_every_kind(bazaar: Client) -> None:
    data = await bazaar("""{ goods { aggregates { count
        sum { pieces price weight worth guess } avg { weight pieces }
        min { weight price size } max { weight label worth }
        distinctCount { size weight serial databaseId containedIn } } }
        traders { aggregates { sum { purse } min { born mood purse } max { seen purse } } } }""")

    assert data["goods"]["aggregates"] == {
        "count": 3,
        "sum": {
            "pieces": "2",
            "price": "2.00",
            "weight": "0.25",
            "worth": "3.00",
            "guess": "2.5",
        },
        "avg": {"weight": "0.250000", "pieces": "2.000000"},
        "min": {"weight": 0.25, "price": "0.5", "size": "LARGE"},
        "max": {"weight": 0.25, "label": "z", "worth": "3.00"},
        "distinctCount": {
            "size": 2,
            "weight": 1,
            "serial": 0,
            "databaseId": 3,
            "containedIn": 1,
        },
    }
    assert data["traders"]["aggregates"] == {
        "sum": {"purse": str(INT8_MAX - 1)},
        "min": {"born": "1815-12-10", "mood": "SUNNY", "purse": "-1"},
        "max": {"seen": "2026-01-01T00:00:00+00:00", "purse": str(INT8_MAX)},
    }


async def test_the_null_group_is_a_group(bazaar: Client) -> None:
    data = await bazaar("""{ traders {
        byMentor: groups(by: [{column: MENTOR_ID}]) { key { mentorId } aggregates { count } }
        byName: groups(by: [{mentor: {column: NAME}}]) { key { mentor { name } } }
        byDeals: groups(by: [{stall: {column: DEALS_OF_KEEPER}}]) {
            key { stall { dealsOfKeeper } } aggregates { count sum { purse } } } }
        goods { groups(by: [{column: WEIGHT}, {column: SIZE}]) {
            key { weight size } aggregates { count } } } }""")

    groups = data["traders"]["byMentor"]
    assert [(each["key"]["mentorId"], each["aggregates"]["count"]) for each in groups] == [
        (to_global_id("Trader", ADA), 1),
        (to_global_id("Trader", BEA), 1),
        (None, 1),
    ]
    keys = [each["key"]["mentor"]["name"] for each in data["traders"]["byName"]]
    assert keys == ["Ada", "Bea", None]
    assert data["traders"]["byDeals"] == [
        {
            "key": {"stall": {"dealsOfKeeper": "2"}},
            "aggregates": {"count": 1, "sum": {"purse": str(INT8_MAX)}},
        },
        {
            "key": {"stall": {"dealsOfKeeper": None}},
            "aggregates": {"count": 2, "sum": {"purse": "-1"}},
        },
    ]
    assert data["goods"]["groups"] == [
        {"key": {"weight": 0.25, "size": "SMALL"}, "aggregates": {"count": 1}},
        {"key": {"weight": None, "size": "LARGE"}, "aggregates": {"count": 2}},
    ]


async def test_global_ids_are_of_every_kind_of_key(bazaar: Client) -> None:
    ids = [to_global_id("Good", PEAR), to_global_id("Trader", CID), to_global_id("Stall", 2)]
    ids.append(to_global_id("Good", UUID(int=77)))
    data = await bazaar(
        """query ($ids: [ID!]!, $one: ID!) { nodes(ids: $ids) { id __typename }
        node(id: $one) { ... on Good { label container { label } } }
        trader(by: {databaseId: "9223372036854775807"}) { name stall { id } mentor { name } }
        stall(by: {keeperId: "VHJhZGVyOjE="}) { databaseId star { label } keeper { name } } }""",
        ids=ids,
        one=ids[0],
    )

    assert [node and node["id"] for node in data["nodes"]] == [*ids[:3], None]
    assert data["node"] == {"label": "pear", "container": {"label": "x"}}
    assert data["trader"] == {"name": "Cid", "stall": None, "mentor": {"name": "Bea"}}
    assert data["stall"] == {
        "databaseId": 1,
        "star": {"label": "pear"},
        "keeper": {"name": "Ada"},
    }


@pytest.mark.parametrize(
    ("argument", "id_"),
    [
        ("trader(by: {id: $id}) { name }", to_global_id("Trader", PEAR)),
        ("trader(by: {id: $id}) { name }", to_global_id("Good", PEAR)),
        ("node(id: $id) { id }", to_global_id("Good", 1)),
        ("node(id: $id) { id }", to_global_id("Customer", 1)),  # of another store
        ("node(id: $id) { id }", b64encode(b"Stall:2147483648").decode()),
        ("stall(by: {keeperId: $id}) { id }", to_global_id("Stall", 1)),
        ("traders(where: {mentorId: {eq: $id}}) { totalCount }", to_global_id("Deal", 1)),
        ("goods(where: {containedIn: {in: [$id]}}) { totalCount }", to_global_id("Good", 1)),
    ],
)
async def test_an_id_of_something_else_is_refused(bazaar: Client, argument: str, id_: str) -> None:
    answer = await bazaar.answer(f"query ($id: ID!) {{ {argument} }}", id=id_)

    assert answer["errors"][0]["extensions"]["code"] == "INVALID_ID"


async def test_a_row_that_a_relationship_misses_is_null(bazaar: Client) -> None:
    data = await bazaar("""{ stalls { nodes { databaseId starGood star { label } keeperId
        keeper { name } dealsOfKeeper } } deals { nodes { buyer { name } seller { name } } } }""")

    one, two, three = data["stalls"]["nodes"]
    assert (one["star"], one["keeper"]) == ({"label": "pear"}, {"name": "Ada"})
    assert (two["star"], two["keeper"], two["dealsOfKeeper"]) == ({"label": "z"}, None, "0")
    assert (three["starGood"], three["star"]) == (to_global_id("Good", UUID(int=9)), None)
    assert [deal["buyer"] and deal["buyer"]["name"] for deal in data["deals"]["nodes"]] == [
        *("Bea", None, "Ada")
    ]


async def test_a_union_is_searched_though_its_keys_differ(bazaar: Client) -> None:
    data = await bazaar("""{ discover(text: "pear") { totalCount nodes { ... on Good { label }
        ... on Trader { name } } edges { cursor } } }""")

    assert data["discover"]["nodes"] == [{"label": "pear"}]


RELATIONSHIPS = {
    "a to-one that may be null": "traders { nodes { mentor { name } } }",
    "a to-one without a constraint": "stalls { nodes { star { label } } }",
    "one-to-one": "traders { nodes { stall { id } } }",
    "a self-reference": "traders { nodes { pupils { nodes { name } } } }",
    "many-to-many": "traders { nodes { goods(first: 1, orderBy: [{label: DESC}]) {"
    " nodes { label } pageInfo { hasNextPage } } } }",
    "many-to-many with itself": "traders { nodes { friends { nodes { name } } } }",
    "one of two between the same tables": "traders { nodes { sold { nodes { id } } } }",
    "by a UUID": "goods { nodes { deals { nodes { amount } } } }",
}


@pytest.mark.parametrize("asked", RELATIONSHIPS.values(), ids=RELATIONSHIPS)
async def test_a_relationship_is_one_statement_of_each_level(bazaar: Client, asked: str) -> None:
    with recorded(bazaar.database) as statements:
        await bazaar(f"{{ {asked} }}")

    compiled = "textsend" in statements.texts[0] and "root0" in statements.texts[0]
    assert len(statements) == (1 if compiled else 2)


async def test_lists_below_are_of_their_own_rows(bazaar: Client) -> None:
    data = await bazaar("""{ traders { nodes { name
        pupils { nodes { name } } goods { nodes { label } totalCount aggregates { min { label } } }
        friends(orderBy: [{name: DESC}], first: 1) { nodes { name } totalCount
            pageInfo { hasNextPage } groups(by: [{column: HONEST}]) { key { honest } } }
        sold { nodes { amount } aggregates { sum { amount } } } bought { count { value } } } } }""")

    ada, bea, cid = data["traders"]["nodes"]
    assert ada["pupils"]["nodes"] == [{"name": "Bea"}]
    assert ada["goods"]["nodes"] == [{"label": "pear"}, {"label": "x"}]
    assert ada["friends"] == {
        "nodes": [{"name": "Cid"}],
        "totalCount": 2,
        "pageInfo": {"hasNextPage": True},
        "groups": [{"key": {"honest": True}}, {"key": {"honest": None}}],
    }
    assert ada["sold"]["aggregates"] == {"sum": {"amount": "3.500"}}
    assert bea["goods"] == {"nodes": [], "totalCount": 0, "aggregates": {"min": {"label": None}}}
    assert cid["friends"]["nodes"] == [{"name": "Ada"}]
    assert [each["bought"]["count"]["value"] for each in (ada, bea, cid)] == [1, 1, 0]


@pytest.mark.parametrize("bazaar", [ExecutionMode.COMPILED], indirect=True)
async def test_a_null_that_cannot_be_is_an_error_and_loses_no_row(
    bazaar: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No constraint sees to it that what is computed is not null: its field only promises it."""
    promised = DeclaredColumn(ScalarKind.DECIMAL, is_nullable=False)
    monkeypatch.setitem(catalog.columns, ("Good", "worth"), promised)
    answer = await bazaar.answer("{ promised: goods { nodes { never: worth } } }")

    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


ALONE = """
import asyncio, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "graph.store" or name.startswith("graph.store."):
            raise ImportError(f"{name} is absent")
sys.meta_path.insert(0, Absent())
from sqlalchemy import insert
from graph.database.catalog import DeclaredColumn, catalog
from graph.database.engine import Database
from graph.database.kinds import ScalarKind
from graph.execution.running.execute import Execution
from graph.execution.running.request import Request
from graph.settings import Settings
from graph.viewer import SYSTEM
from tests.bazaar.models import Base, Trader
from tests.bazaar.schema import schema

async def main():
    database = Database.connect(Settings.model_validate({"database_url": sys.argv[1]}))
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with database.write() as session:
        await session.execute(insert(Trader).values(id=2**60, name="Ada"))
    request = Request("{ traders { nodes { databaseId name mentor { name } } } }", {}, None)
    answer = await Execution(schema, database).answer(request, SYSTEM)
    print(answer.body.decode())
    await database.close()

asyncio.run(main())
"""


async def test_the_engine_serves_a_store_without_graphs_own(empty_url: str) -> None:
    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", ALONE, empty_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    trader = f'{{"databaseId":"{2**60}","name":"Ada","mentor":null}}'
    assert done.stdout.strip() == f'{{"data":{{"traders":{{"nodes":[{trader}]}}}}}}'
