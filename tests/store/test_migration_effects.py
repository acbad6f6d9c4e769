"""Migrations declare what they do to a store in use, and new ones stop nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from alembic.script import ScriptDirectory

from graph.database import retyping
from graph.database.engine import Database
from graph.database.migrate import _config
from graph.database.revisions import ENGINE, Chain, store
from tests.conftest import settings_for
from tests.effects import Measured, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from alembic.script import Script
    from sqlalchemy import Connection

# The migrations from before the rules. Later ones follow them.
LAST_BEFORE = {"engine": "0009", "store": "0014", "made up": "0001"}


@dataclass
class Migration:
    chain: Chain
    script: Script
    up: Measured
    down: Measured

    @property
    def declared(self) -> dict[str, Any]:
        return vars(self.script.module)

    @property
    def name(self) -> str:
        return f"{self.chain.name} {self.script.revision}"

    def faults(self) -> Iterator[str]:
        """What is declared otherwise than it is, and what a store in use would notice."""
        for name, found in (
            ("locks", self.up.locks),
            ("drops", self.up.drops),
            ("downgrade_drops", self.down.drops),
        ):
            if self.declared.get(name, type(found)()) != found:
                yield f"{name} = {found}"
        if self.script.revision > LAST_BEFORE[self.chain.name]:
            yield from self._new_faults()

    def _new_faults(self) -> Iterator[str]:
        for table in self.up.slow():
            yield f"{table} is locked while all of its rows are read or written"
        serves = self.declared.get("serves")
        if serves is None:
            yield "declare the oldest code that it serves"
        elif serves < self.script.revision:
            for reason in self.up.breaks:
                yield f"it does not serve the code of {serves}: {reason}"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables without rows are changed as large ones are."""
    monkeypatch.setattr(retyping, "SMALL_BYTES", -1)


@pytest.mark.usefixtures("online")
async def test_each_migration_does_what_it_declares(empty_url: str) -> None:
    database = Database.connect(settings_for(empty_url))
    try:
        async with database.engine.connect() as connection:
            migrations = await connection.run_sync(measured)
    finally:
        await database.close()

    faults = [f"{each.name}: {fault}" for each in migrations for fault in each.faults()]

    assert len(migrations) >= 20
    assert faults == []


# A chain that is made up: tables, and one migration that changes them.

ENV = """
from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="alembic_version",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
"""
MIGRATION = """'''A migration.'''

from alembic import op

from graph.database import online

revision = "{revision}"
down_revision = {before!r}
{declared}


def upgrade() -> None:
    {up}


def downgrade() -> None:
    {down}
"""
TABLES = (
    "CREATE TABLE owners (id int PRIMARY KEY);"
    "CREATE TABLE things (id int PRIMARY KEY, owner int, size int)"
)
LOCKED = "things is locked while all of its rows are read or written"


@pytest.fixture
def faults_of(
    tmp_path: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Coroutine[Any, Any, list[str]]]:
    """The faults of a migration with such a body and such declarations."""
    package = f"made_up_{tmp_path.name}"
    versions = tmp_path / package / "migrations" / "versions"
    versions.mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    chain = Chain("made up", f"{package}.migrations", "alembic_version")

    def write(revision: str, before: str | None, declared: str, up: str, down: str) -> None:
        (versions / f"{revision}_any.py").write_text(
            MIGRATION.format(revision=revision, before=before, declared=declared, up=up, down=down)
        )

    async def faults(*body: str, undo: str = "pass", **declared: Any) -> list[str]:
        for folder in (versions.parent.parent, versions.parent):
            (folder / "__init__.py").touch()
        (versions.parent / "env.py").write_text(ENV)
        tables = "; ".join(f"op.execute({each!r})" for each in TABLES.split(";"))
        write("0001", None, "", tables, "op.execute('DROP TABLE things, owners')")
        lines = "\n".join(f"{name} = {value!r}" for name, value in declared.items())
        write("0002", "0001", lines, "\n    ".join(body), undo)
        database = Database.connect(settings_for(empty_url))
        try:
            async with database.engine.connect() as connection:
                (_, migration) = await connection.run_sync(measured_chain, chain)
                return list(migration.faults())
        finally:
            await database.close()

    return faults


EXCLUSIVE = {"things": "ACCESS EXCLUSIVE"}


@pytest.mark.parametrize(
    ("statement", "undo", "locks"),
    [
        (
            "CREATE INDEX slow ON things (size)",
            "DROP INDEX slow",
            {"things": "SHARE, reads all rows"},
        ),
        (
            "ALTER TABLE things ADD CONSTRAINT big CHECK (size > 1)",
            "ALTER TABLE things DROP CONSTRAINT big",
            {"things": "ACCESS EXCLUSIVE, reads all rows"},
        ),
        (
            "ALTER TABLE things ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES owners (id)",
            "ALTER TABLE things DROP CONSTRAINT owned",
            {
                "owners": "SHARE ROW EXCLUSIVE",
                "things": "SHARE ROW EXCLUSIVE, reads all rows",
            },
        ),
        (
            "ALTER TABLE things ALTER size SET NOT NULL",
            "ALTER TABLE things ALTER size DROP NOT NULL",
            {"things": "ACCESS EXCLUSIVE, reads all rows"},
        ),
        (
            "ALTER TABLE things ALTER size TYPE bigint",
            "ALTER TABLE things ALTER size TYPE int",
            {"things": "ACCESS EXCLUSIVE, writes all rows"},
        ),
        (
            "ALTER TABLE things ADD code uuid DEFAULT gen_random_uuid()",
            "ALTER TABLE things DROP code",
            {"things": "ACCESS EXCLUSIVE, writes all rows"},
        ),
    ],
)
async def test_a_migration_that_stops_others_is_found(
    faults_of: Any, statement: str, undo: str, locks: dict[str, str]
) -> None:
    drops = {"downgrade_drops": ("things.code",)} if "DROP code" in undo else {}
    faults = await faults_of(
        f"op.execute({statement!r})",
        undo=f"op.execute({undo!r})",
        serves="0002",
        locks=locks,
        **drops,
    )

    assert faults == [LOCKED]


@pytest.mark.parametrize(
    ("statement", "undo", "drops", "reason"),
    [
        (
            "ALTER TABLE things DROP size",
            "ALTER TABLE things ADD size int",
            {"drops": ("things.size",)},
            "things.size is gone",
        ),
        (
            "ALTER TABLE things RENAME size TO width",
            "ALTER TABLE things RENAME width TO size",
            {},
            "things.size is gone",
        ),
        (
            "ALTER TABLE things ADD code int NOT NULL",
            "ALTER TABLE things DROP code",
            {"downgrade_drops": ("things.code",)},
            "things.code is NOT NULL and has no default",
        ),
    ],
)
async def test_a_migration_that_old_code_does_not_survive_says_so(
    faults_of: Any, statement: str, undo: str, drops: dict[str, Any], reason: str
) -> None:
    body = {"undo": f"op.execute({undo!r})", "locks": EXCLUSIVE, **drops}
    call = f"op.execute({statement!r})"

    assert await faults_of(call, serves="0001", **body) == [
        f"it does not serve the code of 0001: {reason}"
    ]


async def test_what_is_not_declared_is_found(faults_of: Any) -> None:
    undo = "op.execute('ALTER TABLE things ADD size int')"

    assert await faults_of("op.execute('ALTER TABLE things DROP size')", undo=undo) == [
        f"locks = {EXCLUSIVE}",
        "drops = ('things.size',)",
        "declare the oldest code that it serves",
    ]


async def test_the_steps_of_an_online_migration_stop_nobody(faults_of: Any) -> None:
    faults = await faults_of(
        "online.add_column('things', 'code int NOT NULL DEFAULT 7')",
        "online.add_constraint('things', 'big', 'CHECK (size > 1)')",
        "online.add_constraint('things', 'owned',"
        " 'FOREIGN KEY (owner) REFERENCES owners (id)', references='owners')",
        "online.set_not_null('things', 'size')",
        "online.create_index('things_size', 'things (size)')",
        "online.create_index('things_size', 'things (size)')",  # as after an interruption
        undo="online.drop_index('things_size'); online.drop_column('things', 'code');"
        " op.execute('ALTER TABLE things DROP CONSTRAINT big, DROP CONSTRAINT owned,"
        " ALTER size DROP NOT NULL')",
        serves="0001",
        locks={"owners": "SHARE ROW EXCLUSIVE", **EXCLUSIVE},
        downgrade_drops=("things.code",),
    )

    assert faults == []


def measured(connection: Connection) -> list[Migration]:
    """All migrations of both chains, each applied, undone and applied."""
    return [each for chain in (ENGINE, store()) for each in measured_chain(connection, chain)]


def measured_chain(connection: Connection, chain: Chain, after: str = "") -> list[Migration]:
    found = []
    scripts = ScriptDirectory.from_config(_config(chain, connection))
    for script in reversed(list(scripts.walk_revisions())):
        if script.revision <= after:
            continue
        up = measure(connection, chain, script.revision)
        before = script.down_revision or "base"
        assert isinstance(before, str)
        down = measure(connection, chain, before)
        measure(connection, chain, script.revision)
        found.append(Migration(chain, script, up, down))
    return found
