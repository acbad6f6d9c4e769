"""Through PgBouncer everything works as without it, in each of its modes."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.database.connect import connected, state_of
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.database.poolers import Pooling, pooling_of
from graph.database.revisions import store
from graph.database.server import KEPT_STATEMENTS, server_settings
from graph.database.transfer.files import Format
from graph.database.upkeep import Upkeep
from graph.errors import DatabaseUnsuitable, MigrationRefused, TimedOut
from graph.relay import to_global_id
from graph.store.seed import seed
from tests.conftest import client_of, settings_for
from tests.database.test_pruning import hourly, numbers
from tests.docs.pages import ROOT
from tests.mutations import mutation
from tests.pooler import IGNORED, can_track_statements, pooler
from tests.rows import fill
from tests.server.webhooks.receiver import receiving
from tests.server.webhooks.stored import added, delivering, last
from tests.store.test_transfer import customer, exported, imported, ndjson

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conftest import Client
    from tests.pooler import Pooler

CUSTOMERS = 40
ITEMS = 5
# What PgBouncer does not know of what graph sends when it connects.
DROPPED = ", ".join(
    [IGNORED, *(name for name in server_settings(settings_for("postgresql://h/d")))]
)

MODES: dict[str, dict[str, Any]] = {
    "session": {"mode": "session"},
    "transaction": {"mode": "transaction"},
    "tracking": {"mode": "transaction", "max_prepared_statements": 100},
}


@asynccontextmanager
async def through(database_url: str, mode: str, **more: Any) -> AsyncIterator[Pooler]:
    """A pooler in front of a database whose role has the settings that poolers drop."""
    if mode == "tracking" and not can_track_statements():
        pytest.skip("PgBouncer tracks statements from 1.21 on")
    options = dict(MODES[mode])
    if mode == "transaction" and can_track_statements():
        options["max_prepared_statements"] = 0
    await set_for_role(database_url, server_settings(settings_for(database_url)))
    with pooler(database_url, **options, **more) as running:
        yield running


async def set_for_role(database_url: str, settings: dict[str, str]) -> None:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        name = await connection.fetchval("SELECT quote_ident(current_database())")
        for setting, value in settings.items():
            role = f"ALTER ROLE graph IN DATABASE {name}"
            await connection.execute(f"{role} SET {setting} = '{value}'")
    finally:
        await connection.close()


@pytest.fixture(params=MODES)
async def behind(request: Any, database_url: str) -> AsyncIterator[Pooler]:
    """A pooler that refuses start-up parameters that it does not know."""
    async with through(database_url, request.param) as running:
        yield running


@pytest.fixture
async def pooled(behind: Pooler) -> AsyncIterator[Database]:
    database = Database.connect(settings_for(behind.url))
    yield database
    await database.close()


@pytest.fixture
async def shop(behind: Pooler) -> AsyncIterator[Client]:
    async with client_of(create_app(settings_for(behind.url))) as client:
        await fill(client.database, customers=CUSTOMERS, items=ITEMS)
        yield client


# Answers


# A statement is known to the whole process: no test sends another's document.
_numbers = count(1)


async def asked(client: Client, *, times: int = 1) -> list[str]:
    """What is wrong with the answers to a document that nobody else sends."""
    nth = next(_numbers)
    key = nth % CUSTOMERS + 1
    query = f"""{{ a{nth}: node(id: "{to_global_id("Customer", key)}") {{
                       ... on Customer {{ b{nth}: username }} }} }}"""
    answers = [await client.answer(query) for _ in range(times)]
    expected = {"data": {f"a{nth}": {f"b{nth}": f"user{key}"}}}
    return [f"{query}: {answer}" for answer in answers if answer != expected]


async def wrong_answers(url: str, *, rounds: int, at_once: int) -> list[str]:
    """What is wrong with answers of two applications whose connections are new in each round.

    Some documents are sent again, more of them than a connection keeps statements.
    """
    wrong: list[str] = []
    for _ in range(rounds):
        async with AsyncExitStack() as stack:
            apps = [create_app(settings_for(url)) for _ in range(2)]
            clients = [await stack.enter_async_context(client_of(app)) for app in apps]
            for _ in range(3):
                requests = [
                    asked(client, times=2 if nth % 4 == 0 else 1)
                    for nth in range(at_once)
                    for client in clients
                ]
                wrong += [each for found in await asyncio.gather(*requests) for each in found]
    return wrong


async def test_each_of_many_new_documents_at_once_gets_its_own_answer(
    behind: Pooler, database: Database
) -> None:
    await fill(database, customers=CUSTOMERS)

    assert await wrong_answers(behind.url, rounds=8, at_once=40) == []


async def test_resolvers_read_their_own_answers(behind: Pooler, database: Database) -> None:
    await fill(database, customers=CUSTOMERS)
    settings = settings_for(behind.url, execution="resolvers")

    async with client_of(create_app(settings)) as client:
        found = await asyncio.gather(*(asked(client, times=2) for _ in range(100)))

    assert [wrong for each in found for wrong in each] == []


async def test_a_statement_that_is_seen_once_leaves_nothing_prepared(
    behind: Pooler, database: Database
) -> None:
    await fill(database, customers=CUSTOMERS)
    settings = settings_for(behind.url, pool_size=1)

    async with client_of(create_app(settings)) as client:
        for _ in range(3 * KEPT_STATEMENTS):
            assert not await asked(client)
        kept = await client.database.first("SELECT count(*) AS number FROM pg_prepared_statements")

    assert kept["number"] <= 10


async def test_parts_of_an_answer_come_through(shop: Client) -> None:
    query = "{ customers(first: 1) { nodes { username ... @defer { town } } } }"
    headers = {"accept": "multipart/mixed"}

    bodies = [
        (await shop.http.post("/graphql", json={"query": query}, headers=headers)).text
        for _ in range(3)
    ]

    assert all('"username":"user1"' in body and '"town":"Wolfden"' in body for body in bodies)


# Changes


async def test_mutations_keys_and_dry_runs(shop: Client) -> None:
    chairs = [{"name": f"Chair {nth}", "costPrice": "1", "sellingPrice": "2"} for nth in range(30)]
    create = mutation("createItem", key=True)

    async def created(nth: int, **more: Any) -> Any:
        answer = await shop(create, input=chairs[nth], key=f"key {nth}", **more)
        return answer["createItem"]

    dry = await asyncio.gather(*(created(nth, dryRun=True) for nth in range(30)))
    assert await items(shop) == ITEMS
    real = await asyncio.gather(*(created(nth) for nth in range(30)))
    again = await asyncio.gather(*(created(nth) for nth in range(30)))

    assert [each["item"]["name"] for each in dry] == [chair["name"] for chair in chairs]
    assert [each["item"]["name"] for each in real] == [chair["name"] for chair in chairs]
    assert again == real
    assert await items(shop) == ITEMS + 30


async def test_a_transaction_that_fails_leaves_nothing_to_the_next_client(shop: Client) -> None:
    rows = [customer(number) for number in (1, 1, 2, 1) * 10]

    answers = await asyncio.gather(*(shop(mutation("createCustomer"), input=row) for row in rows))

    made = [answer["createCustomer"] for answer in answers]
    saved = [each for each in made if each["__typename"] == "CustomerSaved"]
    assert sorted(each["customer"]["username"] for each in saved) == ["new1", "new2"]
    assert {each["__typename"] for each in made} == {"CustomerSaved", "ValidationFailed"}
    data = await shop("{ customers { totalCount } }")
    assert data["customers"]["totalCount"] == CUSTOMERS + 2


async def items(shop: Client) -> int:
    answer = await shop("{ items { totalCount } }")
    number: int = answer["items"]["totalCount"]
    return number


async def test_files_go_in_and_out(pooled: Database, tmp_path: Path) -> None:
    rows = [customer(number) for number in range(500)]

    done = await imported(pooled, ndjson(tmp_path / "new.ndjson", rows), "customers")
    found = await exported(pooled, "customers", Format.NDJSON, tmp_path / "all.ndjson")

    assert done.rows == 500
    assert [row["username"] for row in found] == [row["username"] for row in rows]
    timeout = await pooled.first("SHOW statement_timeout")
    assert timeout["statement_timeout"] == "10s"


async def test_a_store_is_made_where_sessions_are_given_out(empty_url: str) -> None:
    async with (
        through(empty_url, "session") as running,
        connected(settings_for(running.url)) as database,
    ):
        await migrate(database)
        revision = await revision_of(database)

    assert revision == store().head()


@pytest.mark.parametrize("mode", ["transaction", "tracking"])
async def test_a_store_is_not_made_where_sessions_are_shared(empty_url: str, mode: str) -> None:
    """Migrations build indexes while others write: in no transaction, so nothing holds a server."""
    async with (
        through(empty_url, mode) as running,
        connected(settings_for(running.url)) as database,
    ):
        with pytest.raises(MigrationRefused, match="PostgreSQL's own address"):
            await migrate(database)
        revision = await revision_of(database)

    assert revision is None


async def test_a_store_is_filled(pooled: Database, database: Database) -> None:
    counts = await seed(pooled, customers=20)

    async with database.engine.connect() as connection:
        orders = await connection.scalar(text("SELECT count(*) FROM orders"))
    assert orders == counts.orders


async def revision_of(database: Database) -> str | None:
    async with database.engine.connect() as connection:
        return await connection.run_sync(store().applied)


# Time


async def test_old_events_are_removed(behind: Pooler, pooled: Database) -> None:
    """By a lease that is no lock of a session."""
    await hourly(pooled, 48)
    upkeep = [Upkeep(pooled, settings_for(behind.url, events_kept_days=0.5)) for _ in range(2)]

    assert [await each.run() for each in upkeep] == [True, False]
    assert len(await numbers(pooled)) == 12


async def test_events_are_sent_to_webhooks(behind: Pooler, pooled: Database) -> None:
    async with receiving() as receiver:
        await added(pooled, receiver.url)
        await fill(pooled, customers=2)
        async with delivering(pooled, settings_for(behind.url)):
            count = await last(pooled)
            await receiver.has(lambda: len(set(receiver.events)) == count)


async def test_what_takes_too_long_is_ended(behind: Pooler, database: Database) -> None:
    await set_for_role(behind.url, {"statement_timeout": "300"})
    with pytest.raises(TimedOut):
        await first_through(behind.url, "SELECT pg_sleep(30)")

    assert await sleepers(database) == 0


async def test_what_nobody_waits_for_is_cancelled(pooled: Database, database: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await pooled.first("SELECT pg_sleep(30)")

    async with asyncio.timeout(60):
        while await sleepers(database):  # noqa: ASYNC110  PostgreSQL tells nobody
            await asyncio.sleep(0.1)
    answers = await asyncio.gather(*(pooled.first(f"SELECT {n} AS n") for n in range(30)))
    assert [row["n"] for row in answers] == list(range(30))


async def first_through(url: str, sql: str) -> Any:
    database = Database.connect(settings_for(url))
    try:
        return await database.first(sql)
    finally:
        await database.close()


async def sleepers(database: Database) -> int:
    sql = """SELECT count(*) AS number FROM pg_stat_activity
             WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'
               AND datname = current_database()"""
    row = await database.first(sql)
    return int(row["number"])


# What the pooler is


@pytest.mark.parametrize(
    ("mode", "pooling", "line"),
    [
        ("session", Pooling.PLAIN, "a pooler in session mode, as it seems, stands in front"),
        ("transaction", Pooling.PLAIN, "a pooler in transaction mode stands in front"),
        ("tracking", Pooling.TRACKING, "it tracks prepared statements"),
    ],
)
async def test_the_pooler_is_seen(
    database_url: str, mode: str, pooling: Pooling, line: str
) -> None:
    async with through(database_url, mode) as running:
        settings = settings_for(running.url)
        async with connected(settings) as database:
            state = await state_of(database, settings)
            async with database.engine.connect() as connection:
                driver = (await connection.get_raw_connection()).driver_connection

    assert pooling_of(driver) is pooling
    assert line in "\n".join(state.lines)


async def test_without_a_pooler_there_is_none(database: Database) -> None:
    state = await state_of(database, settings_for("postgresql://host/store"))

    assert "pooler" not in "\n".join(state.lines)


# Settings


@pytest.mark.parametrize("ignored", [IGNORED, DROPPED])
async def test_settings_that_a_pooler_drops_are_refused_with_what_to_do(
    database_url: str, ignored: str
) -> None:
    """Whether it drops them silently or refuses the connection; what it says to do is enough."""
    dropping = partial(pooler, database_url, mode="transaction", ignore_startup_parameters=ignored)
    with dropping() as running, pytest.raises(DatabaseUnsuitable) as refusal:
        async with connected(settings_for(running.url)):
            pass

    message = str(refusal.value)
    assert "\n" not in message
    assert "statement_timeout" in message
    assert "random_page_cost" in message
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await connection.execute(message.rpartition("RECONNECT to the pooler: ")[2])
    await connection.close()
    with dropping() as running:
        async with connected(settings_for(running.url)) as database:
            row = await database.first("SHOW random_page_cost")
    assert list(row) == ["1.1"]


def test_the_recipe_makes_every_setting_that_graph_needs() -> None:
    recipe = (ROOT / "docs" / "operations.md").read_text("utf-8")

    for name, value in server_settings(settings_for("postgresql://host/store")).items():
        assert f"ALTER ROLE graph IN DATABASE store SET {name} = '{value}';" in recipe


async def test_search_finds_the_same_through_a_pooler(shop: Client, database: Database) -> None:
    query = '{ search(text: "usre1") { nodes { __typename } totalCount } }'
    async with client_of(create_app(settings_for(str(database.engine.url)))) as direct:
        expected = await direct.answer(query)

    answers = [json.dumps(await shop.answer(query)) for _ in range(5)]

    assert expected["data"]["search"]["totalCount"] > 0
    assert set(answers) == {json.dumps(expected)}
