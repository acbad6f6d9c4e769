"""The commands of sign-in: `graph key`, `graph token`, and `graph forget`, for a person's data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from graph.commands.database import with_database
from graph.errors import DomainError, InvalidSetting, StartupError
from graph.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.database.api_keys import ApiKey
    from graph.database.engine import Database

keys = typer.Typer(help="API keys for services.", no_args_is_help=True)

_MAX_NAME_CHARS = 200
_MAX_KEY = 2**63 - 1


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    permission: Annotated[
        list[str] | None, typer.Option(help="A permission of the service; may be repeated.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Days until it expires. [never]")
    ] = None,
) -> None:
    """Add a key and print it. It is not stored, and cannot be printed again."""
    from graph.database import api_keys
    from graph.database.connect import check_migrated

    permissions = permission or []
    _check_permissions(permissions)
    if not name.strip() or len(name) > _MAX_NAME_CHARS or not name.isprintable():
        raise InvalidSetting("NAME", f"it must have 1 to {_MAX_NAME_CHARS} printable characters")
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None

    async def run(database: Database) -> None:
        await check_migrated(database)
        typer.echo(await api_keys.add(database, name, permissions, expires_at))

    with_database(run)


@keys.command("list")
def list_keys() -> None:
    """Print all keys without their secrets: prefix, state, permissions and name."""
    from graph.database import api_keys
    from graph.database.connect import check_migrated

    async def run(database: Database) -> None:
        await check_migrated(database)
        found = await api_keys.every(database)
        for line in _lines(found):
            typer.echo(line)
        if not found:
            typer.echo("There are no keys. Add one: graph key add NAME", err=True)

    with_database(run)


@keys.command("revoke")
def revoke_key(
    prefix: Annotated[str, typer.Argument(help="The part of the key between graph_ and _.")],
) -> None:
    """Revoke a key; every server refuses it within 10 seconds."""
    from graph.database import api_keys
    from graph.database.connect import check_migrated

    async def run(database: Database) -> None:
        await check_migrated(database)
        if not await api_keys.revoke(database, prefix):
            raise InvalidSetting("PREFIX", f"there is no valid key with the prefix '{prefix}'")
        typer.echo(f"Revoked the key {prefix}.")

    with_database(run)


def token(
    customer: Annotated[
        int | None,
        typer.Option(min=1, max=_MAX_KEY, help="The databaseId of the customer who signs in."),
    ] = None,
    role: Annotated[str | None, typer.Option(help="A role, such as clerk.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=8_760, help="Hours until it expires.")] = 12,
) -> None:
    """Print a token to try a role out: for the embedded database, in development."""
    from graph.database.embedded import is_running
    from graph.development import development_token
    from graph.store.access import ROLES

    if (customer is None) == (role is None):
        raise StartupError("graph token needs either --customer or --role.")
    if role is not None and role not in ROLES:
        raise InvalidSetting("--role", f"it must be one of {', '.join(ROLES)}")
    settings, seconds = read_settings(), round(hours * 3600)
    typer.echo(development_token(settings, role or "customer", customer, seconds=seconds))
    if customer is not None and is_running(settings.data_dir):
        with_database(lambda database: _warn_of_absence(database, customer))


def forget(
    customer: Annotated[
        int, typer.Argument(min=1, max=_MAX_KEY, help="The databaseId of the customer.")
    ],
    subject: Annotated[
        str | None,
        typer.Option(help="The issuer and the subject of the person's tokens, as in Event.actor."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Replace all that names a customer: in the row, in the history, in kept answers.

    Orders stay, without a name. This cannot be undone.
    """
    from graph.database.connect import check_migrated
    from graph.store import forget as store

    if not yes:
        typer.confirm(f"Forget customer {customer}? This cannot be undone.", abort=True)

    async def run(database: Database) -> None:
        await check_migrated(database)
        try:
            done = await store.forget(database, customer, subject=subject)
        except DomainError as error:
            raise InvalidSetting("CUSTOMER", f"there is no customer {customer}") from error
        typer.echo(
            f"Forgot customer {customer}: replaced {done.values} values of the row, those in"
            f" {done.events} events and {done.answers} kept answers, and the actor of"
            f" {done.acts} events."
        )
        typer.echo("Not within reach: logs, backups, exported files, and the identity provider.")

    with_database(run)


async def _warn_of_absence(database: Database, customer: int) -> None:
    from graph.database.connect import is_migrated

    if not await is_migrated(database):
        return
    if await database.first("SELECT 1 FROM customers WHERE id = $1", customer) is None:
        typer.echo(
            f"Warning: there is no customer {customer}. The token signs in as one without"
            " data or orders.",
            err=True,
        )


def _check_permissions(permissions: Sequence[str]) -> None:
    from graph.store.access import ROLES

    known = frozenset[str]().union(*ROLES.values())
    for permission in permissions:
        if permission not in known:
            raise InvalidSetting(
                "--permission", f"'{permission}' is not one of {', '.join(sorted(known))}"
            )


def _lines(found: Sequence[ApiKey]) -> list[str]:
    return [
        f"{key.prefix}  {_state(key)}  {' '.join(sorted(key.permissions)) or '-'}  {key.name}"
        for key in found
    ]


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "valid"
    word = "expired" if key.expires_at <= datetime.now(UTC) else "valid until"
    return f"{word} {key.expires_at:%Y-%m-%d}"
