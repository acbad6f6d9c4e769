"""The commands of webhooks, and servers that are killed while they deliver."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from tests.command_line import graph
from tests.rows import fill
from tests.server.webhooks.receiver import status
from tests.server.webhooks.stored import LOOPBACK, added, change, last

if TYPE_CHECKING:
    from graph.database.engine import Database
    from tests.server.webhooks.receiver import Receiver


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return graph("webhook", *arguments, **environment)


async def test_the_commands(database_url: str, receiver: Receiver) -> None:
    async def webhook(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {"GRAPH_DATABASE_URL": database_url, "GRAPH_WEBHOOK_NETWORKS": LOOPBACK}
        return await asyncio.to_thread(command, *arguments, **(environment | more))

    done = await webhook("add", receiver.url, "--as", "manager")
    assert done.returncode == 0, done.stderr
    first, secret = done.stdout.splitlines()
    assert first == "Added the webhook 1. Events after number 0 are sent."
    assert (await webhook("test", "1")).stdout == "The receiver took the message.\n"
    (got,) = receiver.got
    assert got.content["type"] == "webhook.test"
    assert got.is_signed_with(secret)
    listed = (await webhook("list")).stdout
    assert listed == f"1  active  manager  0 waiting  {receiver.url}\n"
    assert secret not in listed
    line, newer = (await webhook("rotate", "1", "--hours", "2")).stdout.splitlines()
    assert line == "The webhook 1 has a new secret; the old one ends in 2 hours."
    assert (await webhook("test", "1")).returncode == 0
    assert all(receiver.got[-1].is_signed_with(each) for each in (secret, newer))
    newest = (await webhook("rotate", "1", "--hours", "0")).stdout.splitlines()[1]
    assert (await webhook("test", "1")).returncode == 0
    signed = [receiver.got[-1].is_signed_with(each) for each in (secret, newer, newest)]
    assert signed == [False, False, True]
    receiver.answer = lambda _: status(500)
    failed = await webhook("test", "1")
    assert (failed.returncode, "status 500" in failed.stderr) == (1, True)
    assert (await webhook("resume", "1")).stdout == "Resumed the webhook 1.\n"
    assert (await webhook("remove", "1")).stdout == "Removed the webhook 1.\n"
    for wrong, why in (
        (("remove", "1"), "no webhook 1"),
        (("resume", "1"), "no webhook 1"),
        (("rotate", "1"), "no webhook 1"),
        (("test", "1"), "no webhook 1"),
        (("add", receiver.url, "--as", "king"), "--as is invalid"),
        (("add", receiver.url, "--as", "anonymous"), "sees no events"),
        (("add", "ftp://x", "--as", "clerk"), "URL is invalid"),
        (("add", receiver.url, "--as", "clerk", "--query", "/no/such/file"), "cannot be read"),
    ):
        refused = await webhook(*wrong)
        assert (refused.returncode, why in refused.stderr) == (1, True), refused
        assert len(refused.stderr.splitlines()) == 1
    plain = await webhook("add", receiver.url, "--as", "clerk", GRAPH_WEBHOOK_NETWORKS="")
    assert "it must begin with https://" in plain.stderr


async def test_no_event_is_lost_when_the_server_is_killed(
    database: Database, database_url: str, receiver: Receiver
) -> None:
    """Killed in the middle of deliveries, twice; the receiver fails now and then as well."""
    await fill(database, customers=20, orders=1, lines=1)
    await added(database, receiver.url)
    begin = await last(database)
    failing = random.Random(1)  # noqa: S311  not a secret
    receiver.answer = lambda _: status(503 if failing.random() < 0.1 else 200)
    receiver.delay_seconds = 0.01
    environment = {"GRAPH_DATABASE_URL": database_url, "GRAPH_WEBHOOK_NETWORKS": LOOPBACK}

    for has_more in (True, True, False):
        await change(database, *["UPDATE customers SET town = town || '-'"] * 3)
        # As if the lease of the killed worker had ended.
        await change(database, "UPDATE leases SET until = now() - interval '1 second'")
        whole = await last(database) - begin
        wanted = len(set(receiver.events)) + 30 if has_more else whole
        process = await asyncio.to_thread(start, environment)
        try:
            await receiver.has(partial(at_least, receiver, wanted), seconds=60)
        finally:
            process.kill()
            process.wait()

    assert {got.event for got in receiver.got} == set(range(begin + 1, await last(database) + 1))
    # Each customer's events arrived in their order; repeated ones are those of the kills.
    firsts = dict.fromkeys(receiver.events)
    by_customer: dict[str, list[int]] = {}
    for got in receiver.got:
        if firsts.pop(got.event, 0) is None:
            by_customer.setdefault(got.content["data"]["node"]["customerId"], []).append(got.event)
    assert len(by_customer) == 20
    assert all(events == sorted(events) for events in by_customer.values())


def at_least(receiver: Receiver, events: int) -> bool:
    return len(set(receiver.events)) >= events


def start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "graph", "serve", "--port", "0"],
        env=os.environ | {"GRAPH_LOG_LEVEL": "error"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
