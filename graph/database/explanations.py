"""One line for an error of PostgreSQL that ends a command, with what an operator can do about it.

An operator, unlike a client of the API, may see PostgreSQL's own words.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncpg import PostgresError
from sqlalchemy.exc import DBAPIError

from graph.database.driver_errors import sqlstate
from graph.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

# By PostgreSQL's own words, where a privilege is missing.
_PRIVILEGES = (
    (r"for schema (?P<name>\S+)", "As its owner: GRANT USAGE, CREATE ON SCHEMA {name} TO {role}"),
    (r"for (?P<kind>table|sequence|function) (?P<name>\S+)",
     "As its owner: GRANT ALL ON {kind} {name} TO {role}"),
    (r"to create extension \"?(?P<name>[^\"]+)",
     "As a superuser, in this database: CREATE EXTENSION {name}"),
    (r"must be owner of extension (?P<name>\S+)",
     "The role that owns the extension, or a superuser, has to do that."),
    (r"must be owner of (?P<kind>\w+) (?P<name>\S+)",
     "As its owner or as a superuser: ALTER {kind} {name} OWNER TO {role}"),
    (r"for database (?P<name>\S+)",
     "As its owner: GRANT CREATE, TEMPORARY ON DATABASE {name} TO {role}"),
)  # fmt: skip
_INSUFFICIENT_PRIVILEGE = "42501"
_ADVICE = {
    "25006": "This server is a standby, or read only: name the primary in GRAPH_DATABASE_URL.",
    "42704": "Create it, or let search_path name the schema that has it.",
    "42883": "Create it, or let search_path name the schema that has it.",
    "42P01": "The database is not as migrations left it; graph doctor shows its revision.",
    "42P07": "Something else has made it: drop it or rename it.",
    "53100": "The disk of the server is full.",
    "53300": "The server has no connection left: raise max_connections, or end others.",
    "55P03": "Others hold a lock (pg_locks names them): try again when they have ended.",
    "57014": "It took longer than statement_timeout, or was cancelled.",
}


@contextmanager
def explained(role: str) -> Iterator[None]:
    """Translate errors of PostgreSQL into one line; `role` is the one that is signed in.

    Raises:
        CommandFailed: with PostgreSQL's words, and what to do.
    """
    try:
        yield
    except (DBAPIError, PostgresError) as error:
        raise CommandFailed(_line(error, role)) from error


def _line(error: DBAPIError | PostgresError, role: str) -> str:
    problem = str(getattr(error, "orig", error)).splitlines()[0]
    problem = re.sub(r"^<class '[^']+'>: ", "", problem).rstrip(".")
    advice = _advice(sqlstate(error), problem, role)
    return f"PostgreSQL refuses: {problem}. {advice}".rstrip()


def _advice(state: str, problem: str, role: str) -> str:
    if state != _INSUFFICIENT_PRIVILEGE:
        return _ADVICE.get(state, "")
    for pattern, advice in _PRIVILEGES:
        if found := re.search(pattern, problem):
            names = found.groupdict()
            names["kind"] = names.get("kind", "").upper()
            return advice.format(role=role, **names)
    return f"The role {role} needs more privileges."
