"""The command `graph schema`: writes the schema, compares it, or prints a role's part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graph.errors import GraphError, InvalidSetting

SCHEMA_FILE = Path("schema.graphql")
_ALONE = "it does not go with another of --check, --diff and --as"


class SchemaDrift(GraphError):
    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} differs from the schema of the code. Run: graph schema")


def schema(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 on drift.")] = False,  # noqa: FBT002
    diff: Annotated[
        Path | None,
        typer.Option(metavar="OLD", help="List changes since this file; - is the standard input."),
    ] = None,
    role: Annotated[
        str | None, typer.Option("--as", metavar="ROLE", help="Print what this role can use.")
    ] = None,
) -> None:
    """Generate schema.graphql in the current folder; with --as or --diff only print.

    --diff lists the changes since an older schema. It exits 1 if one of them breaks clients, and 2
    if OLD is not a schema.
    """
    from graph.schema.schema import text_of
    from graph.store.schema import schema as served

    given = {"--check": check, "--diff": diff is not None, "--as": role is not None}
    if sum(given.values()) > 1:
        raise InvalidSetting(next(each for each in ("--diff", "--as") if given[each]), _ALONE)
    text = text_of(served)
    if diff is not None:
        _print_changes(diff, text)
    elif role is not None:
        _print_view(role, text)
    elif not check:
        SCHEMA_FILE.write_text(text, "utf-8")
        typer.echo(f"Wrote {SCHEMA_FILE}.")
    elif SCHEMA_FILE.exists() and SCHEMA_FILE.read_text("utf-8") == text:
        typer.echo(f"{SCHEMA_FILE} is up to date.")
    else:
        raise SchemaDrift(SCHEMA_FILE)


def _print_changes(old: Path, text: str) -> None:
    from graph.execution.schema_changes import Severity, changes_since, report

    changes = changes_since(old, text)
    typer.echo("\n".join(report(changes)))
    if any(change.severity is Severity.BREAKING for change in changes):
        raise typer.Exit(1)


def _print_view(role: str, text: str) -> None:
    from graph.execution.schema_view import view_for
    from graph.store.access import ROLES

    if role not in ROLES:
        raise InvalidSetting("--as", f"it must be one of {', '.join(ROLES)}")
    typer.echo(view_for(text, ROLES[role]), nl=False)
