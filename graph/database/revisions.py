"""The revisions that the code can serve, and those of a database, without importing Alembic.

There are two chains of migrations: the engine's own tables, and the store's. The file of a
migration is named after its revision (`0001_store.py`), so the head of a chain is its last file.

While a new version replaces an old one, both serve one database:

    new code, old database   a migration that declares `is_required = False` may be applied later
    old code, new database   each migration declares which code it still `serves`, by the head that
                             this code has; the database keeps that (`applied_migrations`)
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import text

from graph.database.catalog import catalog

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from sqlalchemy import Connection

# Nothing, unless the migration that was applied last is among them: another tool applied it, or a
# version of graph that kept no account.
_OLDEST_SERVED = text("""
    SELECT max(serves) FROM applied_migrations WHERE chain = :chain
    HAVING bool_or(revision = :revision)
""")
_EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Chain:
    """The migrations in the folder `versions` of a package.

    `version_table` holds the applied revision.
    """

    name: str
    package: str
    version_table: str

    def head(self) -> str:
        return _revision(_migrations(self.package)[-1])

    def applied(self, connection: Connection) -> str | None:
        """The revision of the database; None before the first migration."""
        if connection.scalar(_EXISTS, {"name": self.version_table}):
            query = text(f"SELECT version_num FROM {self.version_table}")  # noqa: S608  a constant
            revision: str | None = connection.scalar(query)
            return revision
        return None

    def is_served(self, connection: Connection) -> bool:
        """Whether this code works on the database."""
        revision, head = self.applied(connection), self.head()
        if revision is None or revision == head:
            return revision == head
        if revision < head:
            return revision >= _required(self.package)
        return self._serves(connection, revision)

    def _serves(self, connection: Connection, revision: str) -> bool:
        """Whether the database, which is ahead of this code, still serves it."""
        if not connection.scalar(_EXISTS, {"name": "applied_migrations"}):
            return False
        applied = {"chain": self.name, "revision": revision}
        oldest: str | None = connection.scalar(_OLDEST_SERVED, applied)
        return oldest is not None and oldest <= self.head()


ENGINE = Chain("engine", "graph.database.migrations", "engine_version")


def store() -> Chain:
    return Chain("store", catalog.migrations, "alembic_version")


def head_revision() -> str:
    return store().head()


def applied_revision(connection: Connection) -> str | None:
    """The store's revision, or that of the engine's tables while these are behind."""
    engine = ENGINE.applied(connection)
    if engine != ENGINE.head() and (revision := store().applied(connection)) == head_revision():
        return f"{revision} (engine {engine or 'none'})"
    return store().applied(connection)


def is_served(connection: Connection) -> bool:
    """Whether this code works on the database, at whatever revision that is."""
    return all(chain.is_served(connection) for chain in (ENGINE, store()))


@cache
def _migrations(package: str) -> list[Traversable]:
    found = files(package).joinpath("versions").iterdir()
    return sorted((each for each in found if each.name[:1].isdigit()), key=lambda each: each.name)


def _revision(migration: Traversable) -> str:
    return migration.name.split("_")[0]


@cache
def _required(package: str) -> str:
    """The newest revision that this code cannot do without."""
    return next(
        (_revision(each) for each in reversed(_migrations(package)) if _is_required(each)), ""
    )


def _is_required(migration: Traversable) -> bool:
    """What a migration declares; it is read as text, for as a module it imports Alembic."""
    return not any(
        isinstance(line, ast.Assign) and ast.unparse(line) == "is_required = False"
        for line in ast.parse(migration.read_text("utf-8")).body
    )
