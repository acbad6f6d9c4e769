"""What clients use is counted by name and version, stored now and then, and printed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from graph.app import create_app
from graph.database import usage as stored
from graph.errors import ReadOnly, Unavailable
from graph.execution.documents.coordinates import all_coordinates
from graph.execution.documents.document import Documents
from graph.execution.running.request import Request
from graph.execution.running.usage import OTHER, Kind, UsageCounts, Use
from graph.server.usage import UsageRecorder
from graph.store.schema import schema
from graph.viewer import SYSTEM
from tests.conftest import client_of
from tests.test_cli import graph

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.database.engine import Database
    from graph.execution.documents.operation import Operation
    from graph.settings import Settings

CORE = schema._schema  # noqa: SLF001  Strawberry has no other way to it
QUERY = """
    query Shelf($first: Int) {
        customers(first: $first) { nodes { ...names orders { totalCount } } }
        item(by: {databaseId: 1}) { __typename ... on Node { id } }
        again: customers { totalCount }
    }
    fragment names on Customer { username }
"""
COORDINATES = {
    "Query.customers",
    "Query.customers(first:)",
    "Query.item",
    "Query.item(by:)",
    "CustomerConnection.nodes",
    "CustomerConnection.totalCount",
    "Customer.username",
    "Customer.orders",
    "OrderConnection.totalCount",
    "Node.id",
}
WEB = {"graphql-client-name": "web", "graphql-client-version": "1.2"}


def operation(text: str) -> Operation:
    return Documents(CORE).read(text).operation(None)


def test_the_coordinates_of_an_operation_are_what_its_text_names() -> None:
    assert set(operation(QUERY).coordinates) == COORDINATES
    assert len(operation(QUERY).coordinates) == len(COORDINATES)
    assert set(all_coordinates(CORE)) > COORDINATES


async def test_usage_is_stored_by_client_and_version_and_added_up(settings: Settings) -> None:
    counting = settings.model_copy(update={"usage_seconds": 3_600})
    for times in (2, 1):  # two workers, one after the other
        async with client_of(create_app(counting)) as client:
            for _ in range(times):
                await client.http.post("/graphql", json={"query": QUERY}, headers=WEB)
            await client("{ items { totalCount } }")
            await client.http.post("/graphql", json={"query": "{ nothing }"}, headers=WEB)
    async with client_of(create_app(settings)) as client:
        await client(QUERY)
        rows = await stored.used(client.database)

    web = {row.name: row.uses for row in rows if (row.client, row.version) == ("web", "1.2")}
    assert web == dict.fromkeys(COORDINATES, 3) | {"query Shelf": 3}
    unnamed = {row.name: row.uses for row in rows if not row.client}
    assert unnamed == {"query": 2, "Query.items": 2, "ItemConnection.totalCount": 2}
    assert all(row.first_used <= row.last_used for row in rows)


async def test_a_subscription_is_counted_as_it_was_sent(settings: Settings) -> None:
    async with client_of(create_app(settings)) as client:
        request = Request("subscription Changes { events { cursor } }", {}, takes_stream=True)
        answer = await client.execution.answer(request, SYSTEM)
        assert answer.stream is not None
        await answer.stream.close()
    assert request.observation.work is not None
    sent = request.observation.work.sent

    assert (sent.type, sent.name) == ("subscription", "Changes")
    assert sent.coordinates == ("Subscription.events", "EventEdge.cursor")


NOW = datetime.now(UTC)


def used(client: str = "", name: str = "query", *, uses: int = 1, days: float = 0) -> stored.Used:
    """A stored row of an operation, last used so many days ago."""
    at = NOW - timedelta(days=days)
    return stored.Used(Kind.OPERATION, name, client, "", uses, at, at)


def count(counts: UsageCounts, clients: Iterable[str], times: int = 1) -> None:
    shelf = operation("{ items { totalCount } }")
    for client in clients:
        for _ in range(times):
            counts.add(shelf, client, "")


def clients_in(counts: UsageCounts) -> dict[str, int]:
    """The requests by client since the last time."""
    taken = counts.take()
    return {use.client: times for use, times in taken.items() if use.kind == Kind.OPERATION}


def test_names_are_bounded_and_those_without_room_are_counted_together() -> None:
    counts = UsageCounts()
    counts.know([used(f"client {number}") for number in range(99)], NOW)
    for number in range(600):
        counts.add(operation(f"query Q{number} {{ items {{ totalCount }} }}"), f"x{number}", "1")
    taken = counts.take()

    assert sum(times for use, times in taken.items() if use.name == "Query.items") == 600
    assert {use.client for use in taken} == {"x0", OTHER}
    operations = {use.name for use in taken if use.kind == Kind.OPERATION}
    assert len(operations) == 500  # "query" is stored
    assert OTHER in operations
    counts.give_back(taken)
    assert counts.take() == taken
    assert counts.take() == {}


def test_names_that_are_not_stored_any_more_make_room() -> None:
    counts = UsageCounts()
    counts.know([used(f"old {number}") for number in range(99)], NOW)
    count(counts, ["pending"])
    counts.know([], NOW)
    count(counts, (f"new {number}" for number in range(99)))

    clients = clients_in(counts)
    assert OTHER not in clients
    assert len(clients) == 100


def test_a_name_that_is_used_often_takes_the_room_of_a_stranger() -> None:
    counts = UsageCounts()
    count(counts, (f"stranger {number}" for number in range(150)))
    count(counts, ["honest"], times=7)
    assert clients_in(counts)[OTHER] == 57
    rows = [used("shop", uses=2), *(used(f"stranger {number}") for number in range(99))]
    evicted = counts.know(rows, NOW)

    # Those that wait have as many uses as most that are kept, and take no room from them.
    assert len(evicted.clients) == 1
    assert evicted.clients[0][0].startswith("stranger ")
    count(counts, ["honest", "shop", evicted.clients[0][0]])
    assert clients_in(counts) == {"honest": 1, "shop": 1, OTHER: 1}


def test_a_flood_of_names_takes_no_room_from_those_that_are_used() -> None:
    counts = UsageCounts()
    kept = [used(f"client {number}", uses=2) for number in range(100)]
    counts.know(kept, NOW)
    for number in range(20_000):
        count(counts, [f"stranger {number}", *(["honest"] if number % 100 == 0 else [])])

    evicted = counts.know(kept, NOW)
    assert len(evicted.clients) == 1
    count(counts, ["honest"])
    assert clients_in(counts)["honest"] == 1


def test_few_names_get_room_at_once_and_old_ones_lose_theirs_first() -> None:
    counts = UsageCounts()
    kept = [used(f"client {number}", uses=8, days=number) for number in range(100)]
    counts.know(kept, NOW)
    count(counts, (f"new {number}" for number in range(50)), times=5)
    evicted = counts.know(kept, NOW)

    assert {name for name, _ in evicted.clients} == {f"client {nth}" for nth in range(90, 100)}


def test_counts_that_are_not_stored_yet_follow_their_name() -> None:
    counts = UsageCounts()
    count(counts, ["pending"])
    evicted = counts.know([used(f"client {number}", uses=9) for number in range(100)], NOW)

    assert evicted.clients == [("pending", "")]
    assert clients_in(counts) == {OTHER: 1}


async def test_what_is_stored_of_evicted_names_is_added_to_the_others(database: Database) -> None:
    def row(kind: str, name: str, client: str, version: str = "") -> Use:
        return Use(kind, name, client, version)

    await stored.add(
        database,
        {
            row("field", "Query.items", "web", "1"): 1,
            row("field", "Query.items", "web", "2"): 2,
            row("field", "Query.items", "gone"): 4,
            row("field", "Query.items", OTHER): 8,
            row("operation", "query A", "web", "2"): 16,
            row("operation", "query A", "gone"): 32,
            row("operation", "query B", "gone"): 64,
        },
    )
    before = await stored.used(database)
    await stored.evict(database, [("web", "1"), ("gone", "")], ["query A"], OTHER)
    after = await stored.used(database)

    assert {row[:5] for row in after} == {
        ("field", "Query.items", "web", "2", 2),
        ("field", "Query.items", OTHER, "", 13),
        ("operation", OTHER, "web", "2", 16),
        ("operation", OTHER, OTHER, "", 32),
        ("operation", "query B", OTHER, "", 64),
    }
    assert {row.first_used for row in after} == {row.first_used for row in before}


async def test_workers_evict_what_has_no_room_when_they_refresh(
    settings: Settings, database: Database
) -> None:
    names = [f"stranger {number}" for number in range(120)]
    await stored.add(database, {Use("operation", "query", name, ""): 1 for name in names})
    await stored.add(database, {Use("operation", "query", "web", ""): 5})
    refreshing = settings.model_copy(update={"usage_seconds": 0.05})
    async with client_of(create_app(refreshing)) as client:
        for _ in range(1_000):
            if len(rows := await stored.used(client.database)) <= 101:
                break
            await asyncio.sleep(0.02)

    uses = {row.client: row.uses for row in rows}
    assert len(uses) == 101
    assert (uses["web"], uses[OTHER]) == (5, 21)


async def test_a_failure_is_logged_when_it_begins_and_a_standby_is_none(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = UsageRecorder(database, 0.001)
    outcomes: list[Exception | None] = [
        *(ReadOnly(), ReadOnly(), Unavailable(), Unavailable(), None, Unavailable()),
    ]
    done = asyncio.Event()

    async def refresh() -> None:
        if not outcomes:
            done.set()
            await asyncio.Event().wait()
        failure = outcomes.pop(0)
        if failure is not None:
            raise failure

    monkeypatch.setattr(recorder, "_refresh", refresh)
    monkeypatch.setattr("graph.server.usage._REFRESH_EVERY", 1)
    with caplog.at_level("WARNING", "graph.server.usage"):
        async with recorder.running(), asyncio.timeout(20):
            await done.wait()

    assert [record.message.split(",")[0] for record in caplog.records] == [
        "usage cannot be stored"
    ] * 2


async def test_the_command_prints_by_whom_and_what_nobody_uses(
    settings: Settings, database_url: str
) -> None:
    counting = settings.model_copy(update={"usage_seconds": 3_600})
    async with client_of(create_app(counting)) as client:
        await client.http.post("/graphql", json={"query": QUERY}, headers=WEB)

    def printed(*options: str) -> str:
        done = graph("usage", *options, GRAPH_DATABASE_URL=database_url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    everything: dict[str, Any] = json.loads(printed("--json"))
    assert {each["name"] for each in everything["fields"]} == COORDINATES
    (shelf,) = everything["operations"]
    assert (shelf["name"], shelf["clients"][0]["client"]) == ("query Shelf", "web")
    assert set(everything["unused"]) == set(all_coordinates(CORE)) - COORDINATES
    assert "web 1.2: 1 time," in printed("Customer.username")
    assert printed("Customer.email").startswith("Nobody used Customer.email since ")
    unused = printed("--unused").splitlines()
    assert "Customer.email" in unused
    assert not COORDINATES & set(unused)
    assert "fields were used." in printed()
    wrong = graph("usage", "Customer.nothing", GRAPH_DATABASE_URL=database_url)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize("options", [("--json", "--unused"), ("Customer.email", "--json")])
def test_options_that_exclude_each_other_are_refused(options: tuple[str, ...]) -> None:
    done = graph("usage", *options)

    assert done.returncode == 1
    assert "exclude each other" in done.stderr
