"""Delivers messages to webhooks: one worker at a time, by a lease.

Each round stores messages for the events that have settled, and sends those that are due: of each
subject (a changed row) the first only, so that its events arrive in order, and a failing one delays
no others. A failed delivery is repeated after 1, 2, 4, ... seconds, an hour at most. A message that
fails for too long pauses its webhook; its other events wait in the log.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING

from graph.database import webhooks
from graph.database.catalog import catalog
from graph.database.events import LogReader
from graph.database.leases import Lease
from graph.database.tasks import FailureLog, end_task
from graph.execution.running.event_data import EventDataFailed, event_data
from graph.execution.running.execute import Execution
from graph.server.webhooks.attempts import TIMEOUT_SECONDS, DeliveryFailed
from graph.server.webhooks.signing import body_of
from graph.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from graph.database.engine import Database
    from graph.database.webhooks import Message, Webhook
    from graph.schema.schema import Schema
    from graph.server.webhooks.sending import Sender
    from graph.settings import Settings

logger = logging.getLogger(__name__)

# How often events are looked for; whether there are webhooks; and whether the lease is free.
_POLL_SECONDS = 0.5
_IDLE_SECONDS = 5.0
_LEASE_SECONDS = 30.0
_RENEW_SECONDS = 5.0
# A message is sent while the lease lasts: another worker may begin after its end.
_MARGIN_SECONDS = TIMEOUT_SECONDS + 5
# Messages to one webhook that are under way at once.
_AT_ONCE = 4
_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 3_600.0
_BUSY_SECONDS = 1.0
_DRAIN_SECONDS = 2.0
_MOST_PROBLEM_CHARS = 500


class Deliverer:
    """The deliveries of one worker. `roles` are the permissions of each role."""

    def __init__(
        self,
        schema: Schema,
        database: Database,
        settings: Settings,
        roles: Mapping[str, frozenset[str]],
    ) -> None:
        self._database = database
        self._roles = roles
        # Clients' limits and documents are not those of webhooks.
        self._execution = Execution(schema, database, settings.execution)
        self._networks = settings.webhook_networks
        self._sender: Sender | None = None
        self._until_the_end = AsyncExitStack()
        self._pause_seconds = settings.webhook_pause_hours * 3_600
        self._lease = Lease(database, "webhooks", seconds=_LEASE_SECONDS)
        self._failures = FailureLog(
            logger, "webhooks cannot be served, and are tried again", "webhooks are served again"
        )
        # Of webhooks and events that the database, or a defect, keeps from being sent.
        self._failing = dict[tuple[int, int], FailureLog]()
        self._taken_at = float("-inf")
        # Messages by their outcome, and webhooks that were paused.
        self.counts = Counter[str]()
        self._under_way = defaultdict[int, dict[int, asyncio.Task[None]]](dict)
        self._wake = asyncio.Event()

    @property
    def under_way(self) -> int:
        """Messages that are being sent."""
        return sum(len(each) for each in tuple(self._under_way.values()))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver until the block ends. Messages under way are sent again by the next worker."""
        if catalog.log is None:
            yield
            return
        async with self._until_the_end:
            task = asyncio.create_task(self._repeat())
            try:
                yield
            finally:
                await end_task(task)
                await self._end_sending()
                with suppress(Exception):
                    await self._lease.release()

    async def _end_sending(self) -> None:
        """Let receivers answer for a moment: what is ended before that is sent again."""
        sending = [each for some in self._under_way.values() for each in some.values()]
        if not sending:
            return
        _, late = await asyncio.wait(sending, timeout=_DRAIN_SECONDS)
        for each in late:
            each.cancel()
        if late:
            await asyncio.wait(late)

    async def _repeat(self) -> None:
        while True:
            self._wake.clear()
            pause = _IDLE_SECONDS
            with self._failures.caught():
                pause = await self._round()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _round(self) -> float:
        """Store and start what is due; return the seconds until the next round."""
        if not await self._holds_lease():
            self._failing.clear()  # another worker sends these messages now
            return _IDLE_SECONDS
        active = [each for each in await webhooks.every(self._database) if each.paused_at is None]
        if not active:
            return _IDLE_SECONDS
        if self._sender is None:
            self._sender = await self._sender_that_runs()
        assert self._execution.hub is not None  # noqa: S101  there is a log
        settled = await self._execution.hub.catch_up()
        for webhook in active:
            await self._store(webhook, settled)
            await self._start_due(webhook)
        return _POLL_SECONDS

    async def _sender_that_runs(self) -> Sender:
        """Made by the worker that sends: a client of HTTP and its certificates take 9 MB."""
        sending = await asyncio.to_thread(import_module, "graph.server.webhooks.sending")
        sender: Sender = sending.Sender(self._networks)
        return await self._until_the_end.enter_async_context(sender.running())

    async def _holds_lease(self) -> bool:
        now = monotonic()
        if now - self._taken_at < _RENEW_SECONDS:
            return True
        if not await self._lease.take():
            return False
        self._taken_at = now
        return True

    @property
    def _may_send(self) -> bool:
        return monotonic() < self._taken_at + _LEASE_SECONDS - _MARGIN_SECONDS

    async def _store(self, webhook: Webhook, settled: int) -> None:
        assert catalog.log is not None  # noqa: S101  there is a log
        if webhook.position > settled:
            logger.warning("webhook %d: the numbers of events have begun anew", webhook.id)
            await webhooks.restart(self._database, webhook.id, settled)
        elif webhook.position < settled:
            await webhooks.store_messages(self._database, catalog.log, webhook.id, settled)
            pruned = await LogReader(self._database, catalog.log).pruned_through()
            if pruned > webhook.position:
                logger.error(
                    "webhook %d: events after %d and up to %d were pruned before they were sent",
                    *(webhook.id, webhook.position, pruned),
                )

    async def _start_due(self, webhook: Webhook) -> None:
        under_way = self._under_way[webhook.id]
        messages = await webhooks.due(
            self._database, webhook.id, besides=[*under_way], limit=_AT_ONCE - len(under_way)
        )
        for message in messages:
            task = asyncio.create_task(self._deliver(webhook, message))
            under_way[message.event] = task

    async def _deliver(self, webhook: Webhook, message: Message) -> None:
        key = (webhook.id, message.event)
        try:
            await self._send(webhook, message)
        except (DeliveryFailed, EventDataFailed) as error:
            self._failing.pop(key, None)
            await self._retry(webhook, message, error)
        except Exception as error:  # noqa: BLE001  the database is busy: it is sent again
            self._failing.setdefault(key, _failures_of(webhook, message)).note(error)
            await asyncio.sleep(_BUSY_SECONDS)
        else:
            if failures := self._failing.pop(key, None):
                failures.end()
        finally:
            del self._under_way[webhook.id][message.event]
            self._wake.set()

    async def _send(self, webhook: Webhook, message: Message) -> None:
        assert catalog.log is not None  # noqa: S101  there is a log
        assert self._sender is not None  # noqa: S101  the round has made it
        if webhook.role not in self._roles:
            raise DeliveryFailed(f"there is no role {webhook.role}", is_final=True)
        viewer = Viewer(f"webhook {webhook.id}", webhook.role, self._roles[webhook.role])
        data = await event_data(
            self._execution, webhook.query, catalog.log.entity, message.event, viewer
        )
        if data is not None:
            if not self._may_send:
                return
            body = body_of(message.type, message.occurred_at, data)
            await self._sender.send(webhook.url, webhook.secrets, str(message.event), body)
            self.counts["delivered"] += 1
        await webhooks.delivered(self._database, message)
        if webhook.problem is not None and message.attempts > 0:
            await webhooks.clear_problem(self._database, webhook.id)

    async def _retry(self, webhook: Webhook, message: Message, error: Exception) -> None:
        self.counts["failed"] += 1
        problem = f"event {message.event}: {error}"[:_MOST_PROBLEM_CHARS]
        seconds = retry_seconds(message.attempts, getattr(error, "retry_after", 0.0))
        with suppress(Exception):  # it is due again at once
            failing = await webhooks.failed(
                self._database, message, problem, again_after_seconds=seconds
            )
            if failing >= self._pause_seconds or getattr(error, "is_final", False):
                await webhooks.pause(self._database, webhook.id, problem)
                self.counts["paused"] += 1
                logger.error("webhook %d is paused: %s", webhook.id, problem)
            else:
                logger.warning("webhook %d: %s; again in %.0f s", webhook.id, problem, seconds)


def _failures_of(webhook: Webhook, message: Message) -> FailureLog:
    name = f"webhook {webhook.id}: event {message.event}"
    return FailureLog(logger, f"{name} cannot be sent, and is tried again", f"{name} is sent")


def retry_seconds(attempts: int, retry_after: float = 0.0) -> float:
    """The time until the next attempt, after so many others: twice as long each time.

    It is up to a half less by chance, so that not all messages come at once; and not before
    the receiver wants it, but an hour at most.
    """
    longest: float = min(_FIRST_RETRY_SECONDS * 2 ** min(attempts, 30), _LAST_RETRY_SECONDS)
    chosen = longest * random.uniform(0.5, 1)  # noqa: S311  not a secret
    return max(chosen, min(retry_after, _LAST_RETRY_SECONDS))
