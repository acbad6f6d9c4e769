"""Migrations produce the tables of the models, and can be undone."""

from __future__ import annotations

import asyncio
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from graph.database.embedded import Cluster, binary
from graph.database.engine import Database
from graph.database.migrate import migrate
from graph.database.revisions import head_revision
from graph.database.tables import METADATA
from graph.errors import InvalidSetting, PendingMigrations
from graph.store.models import Base
from tests.conftest import settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    database = Database.connect(settings_for(empty_url))
    yield database
    await database.close()


def dumped(cluster: Cluster, database: Database) -> str:
    """The schema as `pg_dump` sees it: CHECKs, functions, triggers and all."""
    name = database.engine.url.database
    assert name is not None
    dump = subprocess.run(
        [
            binary("pg_dump"),
            "--schema-only",
            "--no-owner",
            "--exclude-table=(alembic|engine)_version",
            name,
        ],
        env=cluster.environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # A key that is new with each dump, against SQL that a dump might smuggle into psql.
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


async def contents(database: Database) -> list[object]:
    everything = "SELECT count(*), md5(string_agg(rows::text, '' ORDER BY rows::text)) FROM {} rows"
    async with database.engine.connect() as connection:
        return [
            (await connection.execute(text(everything.format(table)))).one()
            for table in Base.metadata.tables
        ]


async def test_the_models_and_the_migrations_make_the_same_database(
    cluster: Cluster, database: Database, empty: Database
) -> None:
    async with empty.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        await connection.run_sync(Base.metadata.create_all)

    migrated, created = dumped(cluster, database), dumped(cluster, empty)

    assert "CREATE TABLE public.customers" in migrated
    assert migrated == created


async def test_migrations_go_up_and_down_and_up_again_over_rows(
    cluster: Cluster, empty: Database
) -> None:
    assert await migrate(empty) == (None, head_revision())
    await fill(empty, customers=3)
    first = dumped(cluster, empty)

    assert await migrate(empty, "base") == (head_revision(), None)
    assert "CREATE TABLE" not in dumped(cluster, empty)
    assert await migrate(empty) == (None, head_revision())

    assert dumped(cluster, empty) == first


async def test_the_history_calls_cancelled_pieces_as_the_column_does(empty: Database) -> None:
    """Also after an import or a change by SQL, whose events were written with the old name."""
    line = "INSERT INTO order_lines (order_id, item_id, quantity, cancelled) VALUES (1, 1, 3, 1)"
    await migrate(empty, "0009")
    async with empty.write() as session:
        for statement in (
            *("INSERT INTO items (name, cost_price, selling_price) VALUES ('a', 1, 1)",),
            """INSERT INTO customers (first_name, last_name, username, email, address, town)
               VALUES ('a', 'b', 'c', 'd@e', 'f', 'g')""",
            "INSERT INTO orders (customer_id) VALUES (1)",
            *(line, "UPDATE order_lines SET cancelled = 2"),
        ):
            await session.execute(text(statement))

    for revision, name, other in (
        *((head_revision(), "cancelled_quantity", "cancelled"),),
        *(("0009", "cancelled", "cancelled_quantity"),),
    ):
        await migrate(empty, revision)
        payloads = await payloads_of_lines(empty)
        assert [payload[name] for payload in payloads] == [1, [1, 2]]
        assert not any(other in payload for payload in payloads)
        with pytest.raises(DBAPIError, match="events are neither changed nor deleted"):
            await payloads_of_lines(empty, "UPDATE events SET entity = ''")


async def payloads_of_lines(database: Database, *before: str) -> list[Any]:
    events = "SELECT payload FROM events WHERE entity = 'OrderLine' ORDER BY id"
    async with database.write() as session:
        for statement in before:
            await session.execute(text(statement))
        return list((await session.execute(text(events))).scalars())


async def test_migrating_to_where_the_database_is_changes_nothing(database: Database) -> None:
    await fill(database, customers=3)
    before = await contents(database)

    assert await migrate(database, head_revision()) == (head_revision(), head_revision())

    assert await contents(database) == before


async def test_two_processes_that_migrate_at_once_take_turns(empty: Database) -> None:
    outcomes = await asyncio.gather(migrate(empty), migrate(empty))

    assert sorted(outcomes, key=str) == [
        (head_revision(), head_revision()),
        (None, head_revision()),
    ]


async def test_a_revision_that_does_not_exist_is_refused_and_nothing_changes(
    database: Database,
) -> None:
    with pytest.raises(InvalidSetting, match="--to is invalid"):
        await migrate(database, "9999")

    await fill(database, customers=1)


def test_the_head_is_known_without_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", "graph.store:migrations")

    assert head_revision() == ScriptDirectory.from_config(config).get_current_head()


async def test_a_database_of_a_newer_version_is_left_as_it_is(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(PendingMigrations, match=r"at revision 9999.* Run a newer version of graph"):
        await migrate(database)


async def test_an_empty_name_is_not_a_revision(database: Database) -> None:
    with pytest.raises(InvalidSetting, match="--to is invalid"):
        await migrate(database, "")
