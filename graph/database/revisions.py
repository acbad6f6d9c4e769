"""Which revision the code needs, and which one a database is at, without importing Alembic.

A migration's file is named after its revision (`0001_store.py`), so the head is the last file.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection


@cache
def head_revision() -> str:
    folder = files("graph.store.migrations").joinpath("versions")
    names = (entry.name for entry in folder.iterdir())
    return max(name.split("_")[0] for name in names if name[:1].isdigit())


def applied_revision(connection: Connection) -> str | None:
    """The revision the database is at; None before the first migration."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
