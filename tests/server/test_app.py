"""The application: its routes, its health checks, and its answer to unexpected exceptions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import strawberry
from sqlalchemy import text

from graph.app import create_app
from graph.schema.schema import Schema
from tests.command_line import graph, output_of
from tests.conftest import client_of, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.embedded import Cluster
    from tests.conftest import Client

SCHEMA_FILE = Path(__file__).parents[2] / "schema.graphql"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """HTTP to an application without a store."""
    app = create_app(settings_for("postgresql://nobody@127.0.0.1:1/none"))
    async with client_of(app) as client:
        yield client.http


async def test_the_root_leads_to_graphql(http: httpx.AsyncClient) -> None:
    response = await http.get("/")

    assert response.is_redirect
    assert response.headers["location"] == "/graphql"


async def test_code_generators_get_the_schema_as_it_is_in_the_repository(
    http: httpx.AsyncClient,
) -> None:
    response = await http.get("/schema.graphql")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/graphql"
    assert response.text == SCHEMA_FILE.read_text("utf-8")


@pytest.mark.parametrize(
    ("path", "option"),
    [("/possible-types.json", "--possible-types"), ("/keyless-types.json", "--keyless-types")],
)
async def test_caches_of_clients_get_what_the_command_prints(
    http: httpx.AsyncClient, path: str, option: str
) -> None:
    response = await http.get(path)

    assert response.headers["content-type"] == "application/json"
    assert response.text == output_of(graph("schema", option))


@pytest.mark.parametrize("path", ["/schema.graphql", "/possible-types.json", "/keyless-types.json"])
async def test_a_file_that_a_client_has_is_not_sent_again(
    http: httpx.AsyncClient, path: str
) -> None:
    first = await http.get(path)
    again = await http.get(path, headers={"if-none-match": first.headers["etag"]})
    other = await http.get(path, headers={"if-none-match": '"another"'})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (other.status_code, other.content) == (200, first.content)


async def test_without_introspection_there_are_no_files_of_the_schema(cluster: Cluster) -> None:
    app = create_app(settings_for(cluster.url("postgres"), introspection=False))
    async with client_of(app) as client:
        for path in ("/schema.graphql", "/possible-types.json", "/keyless-types.json"):
            assert (await client.http.get(path)).status_code == 404


async def test_an_application_of_another_schema_serves_that_one(cluster: Cluster) -> None:
    @strawberry.type
    class Query:
        @strawberry.field  # type: ignore[untyped-decorator,unused-ignore]
        def greeting(self) -> str:
            return "hello"

    app = create_app(settings_for(cluster.url("postgres")), schema=Schema(query=Query))
    async with client_of(app) as client:
        shown = (await client.http.get("/schema.graphql")).text
        answer = await client("{ greeting }")

    assert shown == "type Query {\n  greeting: String!\n}\n"
    assert answer == {"greeting": "hello"}


async def test_behind_a_prefix_everything_is_where_it_was(cluster: Cluster) -> None:
    app = create_app(settings_for(cluster.url("postgres")))
    async with app.router.lifespan_context(app) as state:

        async def prefixed(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "root_path": "/shop", "state": state}, receive, send)

        transport = httpx.ASGITransport(prefixed)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            answer = await http.post("/shop/graphql", json={"query": "{__typename}"})
            health = await http.get("/shop/health/live")

    assert answer.json() == {"data": {"__typename": "Query"}}
    assert health.status_code == 200


# Health


async def test_a_process_without_a_store_is_live_and_not_ready(http: httpx.AsyncClient) -> None:
    live = await http.get("/health/live")
    ready = await http.get("/health/ready")

    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})


async def test_a_process_with_a_migrated_store_is_ready(client: Client) -> None:
    ready = await client.http.get("/health/ready")

    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})


async def test_a_store_that_was_never_migrated_is_not_ready(empty_url: str) -> None:
    async with client_of(create_app(settings_for(empty_url))) as client:
        ready = await client.http.get("/health/ready")

    assert ready.status_code == 503


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE alembic_version SET version_num = '0000'",
        "UPDATE alembic_version SET version_num = '9999'",
        "DELETE FROM alembic_version",
        "DROP TABLE alembic_version",
        "ALTER TABLE alembic_version RENAME version_num TO renamed",
    ],
)
async def test_a_store_at_another_revision_is_not_ready_until_it_is_migrated(
    client: Client, spoil: str
) -> None:
    async with client.database.write() as session:
        await session.execute(text(spoil))

    ready = await client.http.get("/health/ready")

    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})
    assert (await client.http.get("/health/live")).status_code == 200


async def test_health_also_answers_head(client: Client) -> None:
    assert (await client.http.head("/health/live")).status_code == 200
    assert (await client.http.head("/health/ready")).status_code == 200


def test_a_worker_loads_only_what_it_serves_with(database_url: str) -> None:
    code = """
import asyncio, sys
import graph.cli
from graph.app import create_app
from graph.settings import read_settings

unused = {"alembic", "cryptography", "httpx", "opentelemetry", "prometheus_client", "rich"}

async def serve():
    app = create_app(read_settings())
    async with app.router.lifespan_context(app):
        await asyncio.sleep(1)  # all that runs in the background has begun

asyncio.run(serve())
assert unused.isdisjoint(sys.modules), unused.intersection(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"GRAPH_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
