"""Webhooks in the database: receivers of events, and the messages that wait for delivery.

A message is stored in the transaction that advances its webhook's position. So each event becomes
one message, whatever ends the process. A message is removed once it was delivered, or its event
does not exist for the webhook's role.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import BigInteger, Integer, bindparam, select

from graph.database.dialect import DIALECT
from graph.database.transaction import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from graph.database.engine import Database
    from graph.database.events import EventLog

# The log is the queue: of each webhook no more messages than these wait in a table beside it.
MOST_WAITING = 1_000

_COLUMNS = """id, url, role, query, secret, position, created_at, paused_at, problem,
    CASE WHEN previous_until > now() THEN previous_secret END"""
_ADD = f"""
    INSERT INTO webhooks (url, role, query, secret, position) VALUES ($1, $2, $3, $4, $5)
    RETURNING {_COLUMNS}
"""  # noqa: S608  names of columns
_EVERY = f"SELECT {_COLUMNS} FROM webhooks ORDER BY id"  # noqa: S608
_ROTATE = """
    UPDATE webhooks SET previous_secret = secret, secret = $2,
        previous_until = now() + $3::float8 * interval '1 hour'
    WHERE id = $1 RETURNING id
"""
_REMOVE = "DELETE FROM webhooks WHERE id = $1 RETURNING id"
_PAUSE = "UPDATE webhooks SET paused_at = now(), problem = $2 WHERE id = $1 AND paused_at IS NULL"
_RESUME = """
    WITH resumed AS (
        UPDATE webhooks SET paused_at = NULL, problem = NULL WHERE id = $1 RETURNING id
    ), due AS (
        UPDATE webhook_deliveries SET due_at = now(), attempts = 0, failing_since = NULL
        FROM resumed WHERE webhook_id = id
    )
    SELECT id FROM resumed
"""
_WAITING = """
    SELECT webhook_id, count(*), min(failing_since) FROM webhook_deliveries GROUP BY webhook_id
"""
_LOCK = """
    SELECT position, (SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1) AS waiting
    FROM webhooks WHERE id = $1 AND paused_at IS NULL FOR UPDATE
"""
_STORE = """
    INSERT INTO webhook_deliveries (webhook_id, event, subject, type, occurred_at)
    SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::timestamptz[])
"""
_ADVANCE = "UPDATE webhooks SET position = $2 WHERE id = $1"
_RESTART = """
    WITH gone AS (DELETE FROM webhook_deliveries WHERE webhook_id = $1)
    UPDATE webhooks SET position = $2 WHERE id = $1
"""
# The first message of each subject, if it is due.
_DUE = """
    SELECT webhook_id, event, type, occurred_at, attempts FROM (
        SELECT DISTINCT ON (subject) * FROM webhook_deliveries WHERE webhook_id = $1
        ORDER BY subject, event) AS first
    WHERE due_at <= now() AND event <> ALL($2::bigint[]) ORDER BY event LIMIT $3
"""
_DELIVERED = "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND event = $2"
_CLEAR = "UPDATE webhooks SET problem = NULL WHERE id = $1 AND paused_at IS NULL"
_FAILED = """
    WITH failed AS (
        UPDATE webhook_deliveries SET attempts = attempts + 1,
            due_at = now() + $3::float8 * interval '1 second',
            failing_since = coalesce(failing_since, now())
        WHERE webhook_id = $1 AND event = $2 RETURNING failing_since
    ), named AS (UPDATE webhooks SET problem = $4 WHERE id = $1)
    SELECT extract(epoch FROM now() - failing_since)::float8 AS seconds FROM failed
"""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver. `query` is the document for the data of its messages, run as `role`.

    `problem` is why the last delivery failed; `paused_at` is when it was given up for that.
    """

    id: int
    url: str
    role: str
    query: str
    secret: str
    position: int
    created_at: datetime
    paused_at: datetime | None
    problem: str | None
    previous_secret: str | None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those that sign its messages: the newest, and for a time the one before it."""
        return (self.secret, self.previous_secret) if self.previous_secret else (self.secret,)


@dataclass(frozen=True, slots=True)
class Message:
    """An event for a webhook. `attempts` have failed so far."""

    webhook: int
    event: int
    type: str
    occurred_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The number of a webhook's stored messages, and since when the oldest failing one fails."""

    messages: int = 0
    failing_since: datetime | None = None


async def add(
    database: Database, *, url: str, role: str, query: str, secret: str, position: int
) -> Webhook:
    return Webhook(*await database.first(_ADD, url, role, query, secret, position))


async def every(database: Database) -> list[Webhook]:
    return [Webhook(*row) for row in await database.all(_EVERY)]


async def waiting(database: Database) -> dict[int, Waiting]:
    """By webhook; those without messages are not in it."""
    return {key: Waiting(*rest) for key, *rest in await database.all(_WAITING)}


async def problems(database: Database) -> list[str]:
    """One line for each webhook that is paused or fails, for `graph doctor`."""
    lines = []
    failing = await waiting(database)
    for each in await every(database):
        since = failing.get(each.id, Waiting()).failing_since
        receiver = f"webhook {each.id} ({urlsplit(each.url).hostname})"
        if each.paused_at is not None:
            lines.append(
                f"{receiver} is paused since {each.paused_at:%Y-%m-%d %H:%M}: {each.problem}"
            )
        elif since is not None:
            lines.append(f"{receiver} fails since {since:%Y-%m-%d %H:%M}: {each.problem}")
    return lines


async def remove(database: Database, webhook: int) -> bool:
    """Remove a webhook and its messages; False if there is none."""
    return await database.first(_REMOVE, webhook) is not None


async def rotate(database: Database, webhook: int, secret: str, *, hours: float) -> bool:
    """Sign with a new secret, and for so long with the one before; False if there is none."""
    return await database.first(_ROTATE, webhook, secret, hours) is not None


async def pause(database: Database, webhook: int, problem: str) -> None:
    await database.first(_PAUSE, webhook, problem)


async def resume(database: Database, webhook: int) -> bool:
    """Deliver again, and all that waits at once; False if there is no such webhook."""
    return await database.first(_RESUME, webhook) is not None


async def store_messages(database: Database, log: EventLog, webhook: int, settled: int) -> int:
    """Store messages for a webhook's next events, and advance its position, in one transaction.

    Returns the number of events. Only a webhook that is not paused has new messages.
    """
    async with transaction(database) as tx:
        row = await tx.first(_LOCK, webhook)
        room = MOST_WAITING - row["waiting"] if row else 0
        if room <= 0 or row["position"] >= settled:
            return 0
        events = await tx.fetch(_events_of(log), row["position"], settled, room)
        if events:
            numbers, changed, keys, kinds, moments = zip(*events, strict=True)
            subjects = [f"{entity}:{key}" for entity, key in zip(changed, keys, strict=True)]
            types = [_type_of(*each) for each in zip(changed, kinds, strict=True)]
            await tx.fetch(_STORE, webhook, numbers, subjects, types, moments)
        # Fewer than there was room for: there are no others up to the settled number.
        end = events[-1][0] if len(events) == room else settled
        await tx.fetch(_ADVANCE, webhook, end)
        await tx.commit()
    return len(events)


async def restart(database: Database, webhook: int, position: int) -> None:
    """Go on from another number: the log's own have begun anew."""
    await database.first(_RESTART, webhook, position)


async def due(
    database: Database, webhook: int, *, besides: Sequence[int], limit: int
) -> list[Message]:
    """Messages to be delivered now: of each subject the first, `besides` those under way."""
    rows = await database.all(_DUE, webhook, list(besides), limit)
    return [Message(*row) for row in rows]


async def delivered(database: Database, message: Message) -> None:
    """A message was delivered, or need not be."""
    await database.first(_DELIVERED, message.webhook, message.event)


async def clear_problem(database: Database, webhook: int) -> None:
    await database.first(_CLEAR, webhook)


async def failed(
    database: Database, message: Message, problem: str, *, again_after_seconds: float
) -> float:
    """A delivery has failed; return for how many seconds the message has been failing."""
    row = await database.first(
        _FAILED, message.webhook, message.event, again_after_seconds, problem
    )
    return row["seconds"] if row else 0.0


@cache
def _events_of(log: EventLog) -> str:
    number: Any = log.table.c.id
    statement = (
        select(number, log.changed, log.key, log.kind, log.table.c.occurred_at)
        .where(
            number > bindparam("after", type_=BigInteger),
            number <= bindparam("upto", type_=BigInteger),
        )
        .order_by(number)
        .limit(bindparam("limit", type_=Integer))
    )
    return str(statement.compile(dialect=DIALECT))


def _type_of(entity: str, kind: str) -> str:
    """`order_line.changed`, as Standard Webhooks names types."""
    return f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', entity)}.{kind}".lower()
