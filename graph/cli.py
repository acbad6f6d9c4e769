"""The command line: parse, call, print. What goes wrong is one line on stderr, and exit code 1.

A command imports what it needs when it runs, so that `graph --help` is quick and a worker carries
neither Alembic nor the word lists of the demo store.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graph.errors import GraphError
from graph.settings import Settings, read_settings
from graph.telemetry import start_logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from graph.database.engine import Database

SCHEMA_FILE = Path("schema.graphql")

app = typer.Typer(
    help="An async GraphQL API over a store: customers, their orders, each order's lines, items.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [GRAPH_HOST]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [GRAPH_PORT]")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer requests.")] = 1,
    reload: Annotated[bool, typer.Option("--reload", help="Start anew when code changes.")] = False,  # noqa: FBT002
) -> None:
    """Serve the API, and GraphiQL for browsers, at /graphql.

    Without GRAPH_DATABASE_URL this starts a PostgreSQL of graph's own in GRAPH_DATA_DIR, migrates
    it, and fills it with a demo store if it is empty.
    """
    from graph.database.store import reachable_store
    from graph.server.serve import bound_socket, serve

    settings = read_settings(host=host, port=port)
    with bound_socket(settings.host, settings.port) as listener, reachable_store(settings) as store:
        asyncio.run(_prepare(store, ours=settings.database_url is None))
        address, shown_port = listener.getsockname()[:2]
        shown_host = f"[{address}]" if ":" in address else address
        typer.echo(f"graph is at http://{shown_host}:{shown_port}/graphql (Ctrl-C stops it)")
        serve(store, listener, workers=workers, reload=reload)


@app.command()
def migrate(
    to: Annotated[str, typer.Option(help="A revision, 'head' or 'base'.")] = "head",
) -> None:
    """Bring the database to a revision, up or down."""
    from graph.database.migrate import migrate

    async def run(database: Database) -> None:
        before, after = await migrate(database, to)
        typer.echo(f"The database is at revision {after or 'none'}; it was at {before or 'none'}.")

    _with_database(run)


@app.command()
def seed(
    customers: Annotated[int, typer.Option(min=0, help="How many customers.")] = 1000,
    random_seed: Annotated[int, typer.Option(help="The same seed makes the same store.")] = 1,
    reset: Annotated[bool, typer.Option("--reset", help="Replace all there is.")] = False,  # noqa: FBT002
) -> None:
    """Fill the store with demo data: about 5 orders a customer, 3 lines an order."""
    from graph.database.store import check_migrated

    async def run(database: Database) -> None:
        await check_migrated(database)
        await _seed(database, customers=customers, random_seed=random_seed, reset=reset)

    _with_database(run)


@app.command()
def schema(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 on drift.")] = False,  # noqa: FBT002
) -> None:
    """Write schema.graphql into this folder, from the code."""
    from graph.schema import schema as served
    from graph.schema import text_of

    text = text_of(served)
    if not check:
        SCHEMA_FILE.write_text(text, "utf-8")
        typer.echo(f"{SCHEMA_FILE} is written.")
    elif SCHEMA_FILE.exists() and SCHEMA_FILE.read_text("utf-8") == text:
        typer.echo(f"{SCHEMA_FILE} is up to date.")
    else:
        raise SchemaDrift(SCHEMA_FILE)


@app.command()
def doctor() -> None:
    """Print the settings that hold, what is dangerous about them, and the state of the database.

    The exit code is 1 if the store cannot be served.
    """
    from graph.database.store import state_of
    from graph.doctor import dangers, effective

    settings = read_settings()
    for name, value in effective(settings):
        typer.echo(f"{name}={value}")
    typer.echo("")
    for danger in dangers(settings):
        typer.echo(f"Danger: {danger}")

    async def run(database: Database) -> None:
        state = await state_of(database, settings)
        for line in state.lines:
            typer.echo(f"Database: {line}")
        if not state.can_be_served:
            raise typer.Exit(1)

    _with_database(run)


documents = typer.Typer(help="Documents that clients name instead of sending them.")
app.add_typer(documents, name="documents")


@documents.command("check")
def check_documents(
    manifest: Annotated[Path, typer.Argument(help="A folder of .graphql files, or a JSON file.")],
) -> None:
    """See that every document of a manifest runs on this schema; exit 1 if one does not."""
    from graph.execution.documents import Documents, problems_of
    from graph.execution.persisted import read_manifest
    from graph.schema import schema as served

    texts = read_manifest(manifest)
    problems = problems_of(Documents(served._schema), texts)  # noqa: SLF001  as Execution does
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"All documents of {manifest} run on this schema: {len(set(texts.values()))}.")


def main() -> None:
    """Run a command; SIGTERM ends it like Ctrl-C, with everything closed on the way out."""
    # A command in a script's background starts with SIGINT ignored; SIGTERM has to end it still.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except GraphError as error:
        typer.echo(f"graph: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


class SchemaDrift(GraphError):
    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} is not what the code says. Write it anew: graph schema")


def _with_database(run: Callable[[Database], Awaitable[None]]) -> None:
    from graph.database.store import connected, reachable_store

    async def connect_and_run(store: Settings) -> None:
        async with connected(store) as database:
            await run(database)

    settings = read_settings()
    start_logging(settings.log_level)
    with reachable_store(settings) as store:
        asyncio.run(connect_and_run(store))


async def _prepare(store: Settings, *, ours: bool) -> None:
    """See that the database can be served: graph's own is made so, another has to be so."""
    from graph.database.store import check_migrated, connected, is_empty, is_migrated

    async with connected(store) as database:
        if not ours:
            await check_migrated(database)
            return
        if not await is_migrated(database):
            from graph.database.migrate import migrate

            await migrate(database)
        if await is_empty(database):
            await _seed(database)


async def _seed(database: Database, **options: Any) -> None:
    from graph.database.seed import seed

    with _progress("Filling the store") as advance:
        counts = await seed(database, progress=advance, **options)
    typer.echo(
        f"The store holds {counts.customers:,} customers, {counts.items:,} items,"
        f" {counts.orders:,} orders with {counts.order_lines:,} lines."
    )


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, and the function that moves it: (rows done, rows in all)."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Where nobody watches, the bar would leave an empty line.
    disable = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
