"""The commands of webhooks: `graph webhook add`, `list`, `rotate`, `test` and others."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from graph.commands.database import with_database
from graph.errors import InvalidSetting, StartupError
from graph.settings import read_settings

if TYPE_CHECKING:
    from graph.database.engine import Database
    from graph.database.webhooks import Waiting, Webhook

webhooks = typer.Typer(help="Receivers of events over HTTP.", no_args_is_help=True)

_Number = Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="The number of the webhook.")]
_SETTLE_SECONDS = 30.0


@webhooks.command("add")
def add_webhook(
    url: Annotated[str, typer.Argument(help="Where events are sent to, by POST.")],
    role: Annotated[
        str, typer.Option("--as", metavar="ROLE", help="The role that sees what is sent.")
    ],
    query: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A query for the data, by $id. [all plain fields]"),
    ] = None,
) -> None:
    """Send all events from now on to a URL, and print the secret of their signatures.

    The secret cannot be printed again.
    """
    from graph.database import webhooks as stored
    from graph.database.catalog import catalog
    from graph.database.connect import check_migrated
    from graph.database.events import LogReader
    from graph.execution.running.event_data import event_data
    from graph.execution.running.execute import Execution
    from graph.server.webhooks.sending import checked_url
    from graph.server.webhooks.signing import new_secret
    from graph.store.access import ROLES
    from graph.store.schema import schema
    from graph.viewer import Viewer

    text = _query_of(role, query)
    try:
        checked_url(url, allows_http=bool(read_settings().webhook_networks))
    except ValueError as error:
        raise InvalidSetting("URL", f"{error}") from None

    async def run(database: Database) -> None:
        await check_migrated(database)
        assert catalog.log is not None  # noqa: S101  the store has one
        position = await LogReader(database, catalog.log).settle(_SETTLE_SECONDS)
        if position is None:
            raise StartupError("A transaction that writes events does not end; try again later.")
        viewer = Viewer("graph webhook add", role, ROLES[role])
        try:  # a query that is refused for its fields or its cost is refused here
            await event_data(Execution(schema, database), text, catalog.log.entity, 1, viewer)
        except Exception as error:
            raise InvalidSetting("--query", f"{error}".partition("\n")[0]) from error
        added = await stored.add(
            database, url=url, role=role, query=text, secret=new_secret(), position=position
        )
        typer.echo(f"Added the webhook {added.id}. Events after number {position:,} are sent.")
        typer.echo(added.secret)

    with_database(run)


@webhooks.command("list")
def list_webhooks() -> None:
    """Print all webhooks without their secrets: number, state, role, messages waiting, URL."""
    from graph.database import webhooks as stored
    from graph.database.connect import check_migrated

    async def run(database: Database) -> None:
        await check_migrated(database)
        waiting = await stored.waiting(database)
        found = await stored.every(database)
        for each in found:
            typer.echo(_line(each, waiting.get(each.id)))
        if not found:
            typer.echo("There are no webhooks. Add one: graph webhook add URL --as ROLE", err=True)

    with_database(run)


@webhooks.command("remove")
def remove_webhook(number: _Number) -> None:
    """Remove a webhook and the messages that wait for it."""
    from graph.database import webhooks as stored
    from graph.database.connect import check_migrated

    async def run(database: Database) -> None:
        await check_migrated(database)
        if not await stored.remove(database, number):
            raise _no_webhook(number)
        typer.echo(f"Removed the webhook {number}.")

    with_database(run)


@webhooks.command("resume")
def resume_webhook(number: _Number) -> None:
    """Deliver to a paused webhook again, from where it was paused."""
    from graph.database import webhooks as stored
    from graph.database.connect import check_migrated

    async def run(database: Database) -> None:
        await check_migrated(database)
        if not await stored.resume(database, number):
            raise _no_webhook(number)
        typer.echo(f"Resumed the webhook {number}.")

    with_database(run)


@webhooks.command("rotate")
def rotate_secret(
    number: _Number,
    hours: Annotated[
        float, typer.Option(min=0, max=8_760, help="How long the old secret signs as well.")
    ] = 24.0,
) -> None:
    """Print a new secret. Messages have signatures of both until receivers know it.

    The secret cannot be printed again.
    """
    from graph.database import webhooks as stored
    from graph.database.connect import check_migrated
    from graph.server.webhooks.signing import new_secret

    async def run(database: Database) -> None:
        await check_migrated(database)
        secret = new_secret()
        if not await stored.rotate(database, number, secret, hours=hours):
            raise _no_webhook(number)
        typer.echo(f"The webhook {number} has a new secret; the old one ends in {hours:g} hours.")
        typer.echo(secret)

    with_database(run)


@webhooks.command("test")
def test_webhook(number: _Number) -> None:
    """Send a signed message of the type webhook.test now; exit 1 if it is not taken."""
    from graph.database import webhooks as stored
    from graph.database.connect import check_migrated
    from graph.server.webhooks.attempts import DeliveryFailed
    from graph.server.webhooks.sending import Sender
    from graph.server.webhooks.signing import body_of

    async def run(database: Database) -> None:
        await check_migrated(database)
        found = {each.id: each for each in await stored.every(database)}.get(number)
        if found is None:
            raise _no_webhook(number)
        sender = Sender(read_settings().webhook_networks)
        body = body_of("webhook.test", datetime.now(UTC), {"webhook": str(number)})
        async with sender.running():
            try:
                await sender.send(found.url, found.secrets, f"test-{secrets.token_hex(8)}", body)
            except DeliveryFailed as error:
                raise StartupError(f"The receiver did not take the message: {error}.") from error
        typer.echo("The receiver took the message.")

    with_database(run)


def _query_of(role: str, file: Path | None) -> str:
    from graph.database.catalog import catalog
    from graph.execution.running.event_data import check_query, default_query
    from graph.store.access import ROLES
    from graph.store.schema import schema

    if role not in ROLES:
        raise InvalidSetting("--as", f"it must be one of {', '.join(ROLES)}")
    assert catalog.log is not None  # noqa: S101  the store has one
    if file is None:
        return default_query(schema, catalog.log.entity, ROLES[role])
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        problem = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InvalidSetting("--query", f"{file} cannot be read: {problem}") from error
    check_query(schema, text)
    return text


def _no_webhook(number: int) -> InvalidSetting:
    return InvalidSetting("NUMBER", f"there is no webhook {number}")


def _line(webhook: Webhook, waiting: Waiting | None) -> str:
    state = "active" if webhook.paused_at is None else f"paused {webhook.paused_at:%Y-%m-%d %H:%M}"
    if webhook.paused_at is None and waiting is not None and waiting.failing_since is not None:
        state = f"failing since {waiting.failing_since:%Y-%m-%d %H:%M}"
    messages = waiting.messages if waiting is not None else 0
    line = f"{webhook.id}  {state}  {webhook.role}  {messages:,} waiting  {webhook.url}"
    return f"{line}  ({webhook.problem})" if webhook.problem else line
