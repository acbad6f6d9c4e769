"""The command line. A command that fails prints one line to stderr and exits with code 1.

The code is 2 if the command line itself is wrong.

Each command imports its modules when it runs: `graph --help` stays fast, and a worker loads neither
Alembic nor the word lists of the demo store.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from graph.commands.access import forget, keys, token
from graph.commands.database import with_database
from graph.commands.documents import documents
from graph.commands.migrate import migrate
from graph.commands.prune import prune
from graph.commands.schema import schema
from graph.commands.usage import usage
from graph.commands.webhooks import webhooks
from graph.errors import GraphError, InvalidSchemaFile, InvalidSetting, StoreNotEmpty
from graph.settings import Settings, read_settings, unknown_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graph.database.engine import Database
    from graph.database.transfer.files import Format

app = typer.Typer(
    help="An async GraphQL API over a store: customers, their orders, each order's lines, items.",
    no_args_is_help=True,
    # The default takes words in brackets for a style, and keeps the line breaks of docstrings.
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [GRAPH_HOST]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [GRAPH_PORT]")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of server processes.")] = 1,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when code changes.")] = False,  # noqa: FBT002
) -> None:
    """Serve the API, and GraphiQL for browsers, at /graphql.

    Without GRAPH_DATABASE_URL this starts an embedded PostgreSQL in GRAPH_DATA_DIR, migrates it,
    and fills it with a demo store if it is empty.
    """
    _serve(read_settings(host=host, port=port), workers=workers, reload=reload)


@app.command()
def mcp(
    manifest: Annotated[
        Path | None, typer.Argument(help="The operations. [GRAPH_DOCUMENTS_MANIFEST]")
    ] = None,
    http: Annotated[  # noqa: FBT002
        bool, typer.Option("--http", help="Serve over HTTP, at /mcp, instead of stdio.")
    ] = False,
) -> None:
    """Offer the operations of a manifest as tools of the Model Context Protocol, over stdio.

    Over stdio GRAPH_MCP_TOKEN signs in. With --http this is `graph serve` with GRAPH_MCP=true.
    """
    given = read_settings(documents_manifest=manifest)
    if given.documents_manifest is None:
        raise InvalidSetting("MANIFEST", "it is required where GRAPH_DOCUMENTS_MANIFEST is not set")
    settings = read_settings(mcp=True, documents_manifest=manifest)
    if http:
        _serve(settings, workers=1, reload=False)
        return
    from graph.app import create_app

    with ExitStack() as until_the_end:
        with redirect_stdout(sys.stderr):  # stdout is the protocol's
            served = until_the_end.enter_context(_served_store(settings))
        asyncio.run(_run_stdio(create_app(served)))


@app.command()
def seed(
    customers: Annotated[int, typer.Option(min=0, help="How many customers.")] = 1000,
    random_seed: Annotated[int, typer.Option(help="The same seed makes the same store.")] = 1,
    reset: Annotated[bool, typer.Option("--reset", help="Replace all rows.")] = False,  # noqa: FBT002
) -> None:
    """Fill the store with demo data: about 5 orders per customer, 3 lines per order."""
    from graph.database.connect import check_migrated

    async def run(database: Database) -> None:
        await check_migrated(database)
        await _seed(database, customers=customers, random_seed=random_seed, reset=reset)

    with_database(run)


@app.command(name="import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="An NDJSON or CSV file; - is the standard input.", dir_okay=False)
    ],
    into: Annotated[str, typer.Option(help="customers, items or orders.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="ndjson or csv. [from the file's name]")
    ] = None,
    bad_rows: Annotated[
        Path | None, typer.Option(help="The file for refused rows. [FILE.refused.FORMAT]")
    ] = None,
) -> None:
    """Merge the rows of a file of any size; an interrupted import resumes where it stopped.

    Refused rows go to a file of the same format, which can be corrected and imported; the reasons
    go to a second file beside it. The exit code is 1 if rows were refused.
    """
    from graph.database.connect import check_migrated
    from graph.database.transfer.importing import STANDARD_INPUT, import_file
    from graph.database.transfer.refused import problems_path
    from graph.store.transfer.staging import ENTITIES

    format_ = _format(file, file_format)
    entity = ENTITIES.get(into)
    if entity is None:
        raise InvalidSetting("--into", f"it must be one of {', '.join(ENTITIES)}")
    if entity.has_lists and format_.value == "csv":
        raise InvalidSetting(
            "--format", "orders have lines, which CSV cannot represent; use ndjson"
        )
    name = Path("stdin") if file in {STANDARD_INPUT, Path("/dev/stdin")} else file
    side = bad_rows or name.with_name(f"{name.name}.refused.{format_}")

    async def run(database: Database) -> None:
        await check_migrated(database)
        with _progress(f"Importing {into}", of_bytes=True) as advance:
            done = await import_file(
                database, file, into, entity, format_, bad_rows=side, progress=advance
            )
        names = ("added", "changed", "unchanged", "superseded", "refused")
        counts = ", ".join(f"{name} {getattr(done, name):,}" for name in names)
        typer.echo(f"Read {done.rows:,} rows: {counts}.")
        if done.refused:
            typer.echo(f"The refused rows are in {side}, the reasons in {problems_path(side)}.")
            raise typer.Exit(1)

    with_database(run)


@app.command()
def export(
    what: Annotated[str, typer.Argument(help="customers, items, orders, or a GraphQL query.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    file_format: Annotated[
        str | None, typer.Option("--format", help="ndjson or csv. [from the file's name]")
    ] = None,
) -> None:
    """Write all rows of an entity, or all nodes of a query's connection, to a file.

    An existing file is replaced when the new one is complete.
    """
    from graph.database.connect import check_migrated
    from graph.database.transfer.exporting import written_beside

    format_ = _format(out, file_format)
    if "{" in what and format_.value == "csv":
        raise InvalidSetting("--format", "the nodes of a query are objects; use ndjson")

    async def run(database: Database) -> None:
        await check_migrated(database)
        with written_beside(out) as file:
            rows = await _export(database, what, format_, file)
        typer.echo(f"Wrote {rows:,} rows to {out}.")

    with_database(run)


@app.command()
def doctor(
    workers: Annotated[int, typer.Option(min=1, help="As many as all instances have.")] = 1,
) -> None:
    """Print the effective settings, their dangers, and the state of the database.

    The exit code is 1 if the store cannot be served.
    """
    import graph.store  # noqa: F401  it fills the engine's catalogue
    from graph.database.connect import state_of
    from graph.doctor import check_sign_in, dangers, dangers_of_workers, effective

    settings = read_settings()
    for name, value in effective(settings):
        typer.echo(f"{name}={value}")
    typer.echo("")
    for danger in (*unknown_names(), *dangers(settings), *dangers_of_workers(settings, workers)):
        typer.echo(f"Danger: {danger}")

    async def run(database: Database) -> None:
        state = await state_of(database, settings, workers)
        for line in state.lines:
            typer.echo(line if line.startswith("Danger: ") else f"Database: {line}")
        if not state.can_be_served:
            raise typer.Exit(1)

    with_database(run)
    check_sign_in(settings)


app.add_typer(documents, name="documents")
app.add_typer(keys, name="key")
app.add_typer(webhooks, name="webhook")
app.command()(migrate)
app.command()(token)
app.command()(forget)
app.command()(prune)
app.command()(usage)
app.command()(schema)


def main() -> None:
    """Run a command. SIGTERM ends it like Ctrl-C: everything is closed on the way out."""
    # A background command of a script starts with SIGINT ignored, and SIGTERM is raised as SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        sys.exit(app(prog_name="graph", standalone_mode=False))
    except typer.TyperException as error:
        if problem := error.format_message():  # a group without a command has printed its help
            command = getattr(getattr(error, "ctx", None), "command_path", "graph")
            typer.echo(f"graph: {problem.removesuffix('.')}. Try '{command} --help'.", err=True)
        sys.exit(2)
    except GraphError as error:
        typer.echo(f"graph: {error}", err=True)
        sys.exit(2 if isinstance(error, InvalidSchemaFile) else 1)
    except typer.Abort:
        typer.echo("graph: aborted.", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


async def _export(database: Database, what: str, format_: Format, file: IO[bytes]) -> int:
    from graph.store.transfer.exporting import ENTITIES, export_rows

    with _progress("Exporting", of_bytes=True) as advance:
        if "{" not in what:
            if what not in ENTITIES:
                raise InvalidSetting("WHAT", f"it must be one of {', '.join(ENTITIES)}, or a query")
            return await export_rows(
                database, what, format_, file, lambda written: advance(written, None)
            )
        return await _export_query(database, what, file, advance)


async def _export_query(database: Database, query: str, file: IO[bytes], advance: Any) -> int:
    import orjson

    from graph.execution.running.execute import Execution
    from graph.execution.running.export import exported_nodes
    from graph.store.schema import schema as served

    rows = 0
    async for node in exported_nodes(Execution(served, database), query):
        file.write(orjson.dumps(node) + b"\n")
        rows += 1
        advance(file.tell(), None)
    return rows


def _format(file: Path, name: str | None) -> Format:
    from graph.database.transfer.files import Format

    if name is not None and name not in set(Format):
        raise InvalidSetting("--format", f"it must be ndjson or csv, not '{name}'")
    format_ = Format(name) if name else Format.of(file)
    if format_ is None:
        raise InvalidSetting("--format", f"it must be ndjson or csv; '{file.name}' implies neither")
    return format_


def _serve(settings: Settings, *, workers: int, reload: bool) -> None:
    import graph.store.schema  # noqa: F401  one that cannot be served is refused here
    from graph.doctor import check_sign_in, dangers_of_workers
    from graph.server.serve import bound_socket, serve

    check_sign_in(settings)
    for danger in (*unknown_names(), *dangers_of_workers(settings, workers)):
        typer.echo(f"Danger: {danger}", err=True)
    with bound_socket(settings.host, settings.port) as listener, _served_store(settings) as served:
        address, shown_port = listener.getsockname()[:2]
        shown_host = f"[{address}]" if ":" in address else address
        typer.echo(f"graph is at http://{shown_host}:{shown_port}/graphql (Ctrl-C stops it)")
        serve(served, listener, workers=workers, reload=reload)


@contextmanager
def _served_store(settings: Settings) -> Iterator[Settings]:
    """Settings with a database that is ready to be served, and with an issuer of tokens."""
    from graph.database.connect import reachable_store
    from graph.development import issues_tokens, with_own_issuer

    with reachable_store(settings) as store:
        asyncio.run(_prepare(store, ours=settings.database_url is None))
        yield with_own_issuer(store) if issues_tokens(settings) else store


async def _run_stdio(application: Any) -> None:
    async with application.router.lifespan_context(application) as state:
        await state["mcp"].run_stdio(state)


async def _prepare(store: Settings, *, ours: bool) -> None:
    """Migrate and fill the embedded database (`ours`); check that any other is migrated."""
    import graph.store  # noqa: F401  it fills the engine's catalogue
    from graph.database.connect import check_migrated, connected, is_empty, is_migrated

    async with connected(store) as database:
        if not ours:
            await check_migrated(database)
            return
        if not await is_migrated(database):
            from graph.database.migrate import migrate

            await migrate(database)
        if await is_empty(database):
            with suppress(StoreNotEmpty):  # another start on this folder has filled it meanwhile
                await _seed(database)


async def _seed(database: Database, **options: Any) -> None:
    from graph.store.seed import seed

    with _progress("Filling the store") as advance:
        counts = await seed(database, progress=advance, **options)
    typer.echo(
        f"The store holds {counts.customers:,} customers, {counts.items:,} items,"
        f" {counts.orders:,} orders with {counts.order_lines:,} lines."
    )


@contextmanager
def _progress(what: str, *, of_bytes: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar on stderr; yield its function of (done, total), in rows or bytes."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    counted = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = (TextColumn(what), BarColumn(), counted, TimeRemainingColumn())
    console = Console(stderr=True)
    # Without a terminal the bar would leave an empty line.
    disable = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disable) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
