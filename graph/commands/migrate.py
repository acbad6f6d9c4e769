"""The command `graph migrate`: what it would do is shown, and asked for where rows are lost."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from graph.commands.database import with_database
from graph.errors import MigrationRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.database.effects import Step
    from graph.database.engine import Database


def migrate(
    to: Annotated[str, typer.Option(help="A revision, 'head' or 'base'.")] = "head",
    plan: Annotated[  # noqa: FBT002
        bool, typer.Option("--plan", help="Show what each step locks and drops; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Drop rows without asking.")] = False,  # noqa: FBT002
    lock_timeout_ms: Annotated[
        int, typer.Option(min=1, max=60_000, help="How long others may queue behind one lock.")
    ] = 250,
    patience_seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="How long a lock is tried for again.")
    ] = 300,
) -> None:
    """Bring the database to a revision, up or down, while others use it."""
    from graph.database import migrate as migrations
    from graph.database.retyping.locks import Waiting

    async def run(database: Database) -> None:
        steps = await migrations.plan(database, to)
        if plan:
            _show(steps)
            return
        if not yes:
            _confirm(steps, to)
        waiting = Waiting(lock_timeout_ms, patience_seconds)
        before, after = await migrations.migrate(database, to, waiting)
        typer.echo(f"Migrated the database from revision {before or 'none'} to {after or 'none'}.")

    with_database(run)


def _show(steps: Sequence[Step]) -> None:
    for step in steps:
        for line in step.lines():
            typer.echo(line)
    if not steps:
        typer.echo("There is nothing to do.")


def _confirm(steps: Sequence[Step], to: str) -> None:
    """Let somebody agree to what is dropped.

    Raises:
        MigrationRefused: nobody is there to be asked.
    """
    drops = ", ".join(name for step in steps for name in step.drops)
    if not drops:
        return
    if not sys.stdin.isatty():
        raise MigrationRefused(
            f"this drops {drops}, with all that is stored there."
            f" If that is meant: graph migrate --to {to} --yes"
        )
    typer.confirm(f"This drops {drops}, with all that is stored there. Go on?", abort=True)
