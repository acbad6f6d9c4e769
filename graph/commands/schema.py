"""The command `graph schema`: writes the schema, compares it, or prints a role's part of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from graph.errors import GraphError, InvalidSetting

SCHEMA_FILE = Path("schema.graphql")


class Language(StrEnum):
    TYPESCRIPT = "typescript"
    PYTHON = "python"


class SchemaDrift(GraphError):
    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} differs from the schema of the code. Run: graph schema")


def schema(
    *,
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 on drift.")] = False,
    diff: Annotated[
        Path | None,
        typer.Option(metavar="OLD", help="List changes since this file; - is the standard input."),
    ] = None,
    role: Annotated[
        str | None, typer.Option("--as", metavar="ROLE", help="Print what this role can use.")
    ] = None,
    possible_types: Annotated[
        bool,
        typer.Option("--possible-types", help="Print the types of each union and interface."),
    ] = False,
    keyless_types: Annotated[
        bool, typer.Option("--keyless-types", help="Print the types without an id.")
    ] = False,
    scalars: Annotated[
        Language | None, typer.Option(help="Print the types of the scalars for code generators.")
    ] = None,
) -> None:
    """Generate schema.graphql in the current folder; with other options only compare or print.

    --diff lists the changes since an older schema. It exits 1 if one of them breaks clients, and 2
    if OLD is not a schema. What is printed for clients is JSON; for Python it is TOML.
    """
    from graph.schema.schema import text_of
    from graph.store.schema import schema as served

    given = {
        "--check": check,
        "--diff": diff is not None,
        "--as": role is not None,
        "--possible-types": possible_types,
        "--keyless-types": keyless_types,
        "--scalars": scalars is not None,
    }
    chosen = [option for option, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise InvalidSetting(chosen[1], f"it does not go with {chosen[0]}")
    if chosen and chosen[0] in {"--possible-types", "--keyless-types", "--scalars"}:
        _print_for_clients(chosen[0], scalars)
        return
    text = text_of(served)
    if diff is not None:
        _print_changes(diff, text)
    elif role is not None:
        _print_view(role, text)
    elif check:
        _check(text)
    else:
        SCHEMA_FILE.write_text(text, "utf-8")
        typer.echo(f"Wrote {SCHEMA_FILE}.")


def _check(text: str) -> None:
    if not SCHEMA_FILE.exists() or SCHEMA_FILE.read_text("utf-8") != text:
        raise SchemaDrift(SCHEMA_FILE)
    typer.echo(f"{SCHEMA_FILE} is up to date.")


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


def _print_for_clients(option: str, language: Language | None) -> None:
    from graph.execution import schema_maps
    from graph.store.schema import schema as served

    made = {
        ("--possible-types", None): schema_maps.possible_types,
        ("--keyless-types", None): schema_maps.keyless_types,
        ("--scalars", Language.TYPESCRIPT): schema_maps.typescript_scalars,
        ("--scalars", Language.PYTHON): schema_maps.python_scalars,
    }
    typer.echo(made[option, language](served._schema), nl=False)  # noqa: SLF001  as Execution does
