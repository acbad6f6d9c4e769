"""What clients use is counted by name and version, stored now and then, and printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from graph.app import create_app
from graph.database import usage as stored
from graph.execution.documents.coordinates import all_coordinates
from graph.execution.documents.document import Documents
from graph.execution.running.request import Request
from graph.execution.running.usage import OTHER, Kind, UsageCounts, Use
from graph.store.schema import schema
from graph.viewer import SYSTEM
from tests.conftest import client_of
from tests.test_cli import graph

if TYPE_CHECKING:
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


def test_names_are_bounded_and_those_without_room_are_counted_together() -> None:
    counts = UsageCounts()
    counts.know([Use(Kind.FIELD, "Query.items", f"client {number}", "") for number in range(99)])
    for number in range(600):
        counts.add(operation(f"query Q{number} {{ items {{ totalCount }} }}"), f"x{number}", "1")
    taken = counts.take()

    assert sum(times for use, times in taken.items() if use.name == "Query.items") == 600
    assert {use.client for use in taken} == {"x0", OTHER}
    operations = {use.name for use in taken if use.kind == Kind.OPERATION}
    assert len(operations) == 501
    assert OTHER in operations
    counts.give_back(taken)
    assert counts.take() == taken
    assert counts.take() == {}


def test_names_that_are_not_stored_any_more_make_room() -> None:
    counts = UsageCounts()
    counts.know([Use(Kind.FIELD, "Query.items", f"old {number}", "") for number in range(99)])
    counts.add(operation("{ items { totalCount } }"), "pending", "")
    counts.know([])
    for number in range(99):
        counts.add(operation("{ items { totalCount } }"), f"new {number}", "")

    clients = {use.client for use in counts.take()}
    assert OTHER not in clients
    assert len(clients) == 100


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
