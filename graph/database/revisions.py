"""The revisions that the code needs, and those of a database, without importing Alembic.

There are two chains of migrations: the engine's own tables, and the store's. The file of a
migration is named after its revision (`0001_store.py`), so the head of a chain is its last file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import text

from graph.database.catalog import catalog

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Chain:
    """The migrations in the folder `versions` of a package.

    `version_table` holds the applied revision.
    """

    package: str
    version_table: str

    def head(self) -> str:
        return _head(self.package)

    def applied(self, connection: Connection) -> str | None:
        """The revision of the database; None before the first migration."""
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": self.version_table}):
            query = text(f"SELECT version_num FROM {self.version_table}")  # noqa: S608  a constant
            revision: str | None = connection.scalar(query)
            return revision
        return None


ENGINE = Chain("graph.database.migrations", "engine_version")


def store() -> Chain:
    return Chain(catalog.migrations, "alembic_version")


def head_revision() -> str:
    return store().head()


def applied_revision(connection: Connection) -> str | None:
    """The store's revision, or that of the engine's tables while these are behind."""
    engine = ENGINE.applied(connection)
    if engine != ENGINE.head() and (revision := store().applied(connection)) == head_revision():
        return f"{revision} (engine {engine or 'none'})"
    return store().applied(connection)


@cache
def _head(package: str) -> str:
    names = (entry.name for entry in files(package).joinpath("versions").iterdir())
    return max(name.split("_")[0] for name in names if name[:1].isdigit())
