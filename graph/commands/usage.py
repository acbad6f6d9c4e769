"""The command `graph usage`: which clients use which fields and operations."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graph.commands.database import with_database
from graph.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graph.database.engine import Database
    from graph.database.usage import Used

_UNNAMED = "(no name)"


def usage(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Who uses this field, argument or operation: Customer.email,"
            " 'Query.customers(first:)', 'query Shelf'.",
        ),
    ] = None,
    *,
    unused: Annotated[bool, typer.Option("--unused", help="Only fields that nobody used.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, for other programs.")] = False,
) -> None:
    """Print which fields and operations clients use, by whom and since when.

    What was not used for 180 days is forgotten.
    """
    from graph.database import usage as stored
    from graph.database.connect import check_migrated
    from graph.execution.documents.coordinates import all_coordinates
    from graph.store.schema import schema

    if sum((name is not None, unused, as_json)) > 1:
        raise InvalidSetting("graph usage", "NAME, --unused and --json exclude each other")
    known = all_coordinates(schema._schema)  # noqa: SLF001  Strawberry has no other way to it

    async def run(database: Database) -> None:
        await check_migrated(database)
        rows = await stored.used(database)
        by_name: dict[str, list[Used]] = defaultdict(list)
        for row in rows:
            by_name[row.name].append(row)
        if as_json:
            typer.echo(json.dumps(_document(rows, by_name, known), indent=1))
        elif name is not None:
            if name not in by_name and name not in known:
                raise InvalidSetting("NAME", f"the schema has no {name}, and nobody used it")
            _print_clients(name, by_name.get(name, []), rows)
        elif unused:
            _print_lines(_fields(known, by_name, are_used=False))
        else:
            _print_all(rows, by_name, known)

    with_database(run)


def _fields(known: Iterable[str], by_name: Any, *, are_used: bool) -> list[str]:
    """The fields, without their arguments, that somebody used or nobody did."""
    return [each for each in known if "(" not in each and (each in by_name) is are_used]


def _since(rows: Sequence[Used]) -> str:
    return f"{min(row.first_used for row in rows):%Y-%m-%d}" if rows else "-"


def _print_all(rows: Sequence[Used], by_name: dict[str, list[Used]], known: list[str]) -> None:
    used = _fields(known, by_name, are_used=True)
    total = len(used) + len(_fields(known, by_name, are_used=False))
    typer.echo(f"Since {_since(rows)}: {len(used)} of {total} fields were used.")
    operations = sorted({row.name for row in rows if row.kind == "operation"})
    for name in (*operations, *used):
        uses = by_name[name]
        last = max(row.last_used for row in uses)
        clients = len({row.client for row in uses})
        typer.echo(
            f"{name}: {_counted(sum(row.uses for row in uses), 'time')}"
            f" by {_counted(clients, 'client')}, last {last:%Y-%m-%d}"
        )


def _print_clients(name: str, uses: Sequence[Used], rows: Sequence[Used]) -> None:
    if not uses:
        typer.echo(f"Nobody used {name} since {_since(rows)}.")
    for row in sorted(uses, key=lambda row: -row.uses):
        client = f"{row.client or _UNNAMED} {row.version}".rstrip()
        typer.echo(
            f"{client}: {_counted(row.uses, 'time')},"
            f" first {row.first_used:%Y-%m-%d}, last {row.last_used:%Y-%m-%d}"
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(line)


def _document(
    rows: Sequence[Used], by_name: dict[str, list[Used]], known: list[str]
) -> dict[str, Any]:
    """All of it; `unused` has arguments as well."""

    def entries(kind: str) -> list[dict[str, Any]]:
        names = sorted({row.name for row in rows if row.kind == kind})
        return [
            {"name": name, "clients": [_client(row) for row in by_name[name]]} for name in names
        ]

    return {
        "since": min(row.first_used for row in rows).isoformat() if rows else None,
        "fields": entries("field"),
        "operations": entries("operation"),
        "unused": [each for each in known if each not in by_name],
    }


def _client(row: Used) -> dict[str, Any]:
    return {
        "client": row.client,
        "version": row.version,
        "uses": row.uses,
        "firstUsed": row.first_used.isoformat(),
        "lastUsed": row.last_used.isoformat(),
    }
