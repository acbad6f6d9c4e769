"""Dangerous settings are reported with the value to set instead; others are not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app, served_app
from graph.database.connect import state_of
from graph.doctor import check_sign_in, dangers, dangers_of_workers, effective
from graph.errors import InvalidSetting
from graph.settings import Profile, Settings, TokenBucketMode
from tests.conftest import client_of, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.database.embedded import Cluster
    from graph.database.engine import Database

SAFE = {
    "profile": "production",
    "jwt_issuer": "https://login.example/",
    "jwt_audience": "https://api.shop.example",
    "jwt_jwks_url": "https://login.example/keys",
    "host": "0.0.0.0",  # noqa: S104  nothing is bound
    "database_url": "postgresql://graph@db.example/store?ssl=verify-full",
    "documents": "trusted-only",
    "documents_manifest": "manifest.json",
}


def test_safe_settings_are_not_reported() -> None:
    assert list(dangers(Settings.model_validate(SAFE))) == []
    assert list(dangers(Settings())) == []  # on a machine of one's own


@pytest.mark.parametrize(
    "proxies",
    [
        "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,100.64.0.0/10",
        "fd00::/8,fc00::/7,fe80::/10,::1/128",
        "fdaa:1:2::/48",
        "104.16.0.0/13,172.64.0.0/13,2400:cb00::/32,2a06:98c0::/29",  # a provider of proxies
    ],
)
def test_private_networks_of_any_size_and_small_public_ones_are_no_danger(proxies: str) -> None:
    assert list(dangers(Settings.model_validate(SAFE | {"trusted_proxies": proxies}))) == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"profile": "development"}, "GRAPH_PROFILE"),
        ({"anonymous_role": "manager"}, "GRAPH_ANONYMOUS_ROLE"),
        ({"introspection": True}, "GRAPH_INTROSPECTION"),
        ({"explain": True}, "GRAPH_EXPLAIN"),
        ({"graphiql": True}, "GRAPH_GRAPHIQL"),
        ({"cost_capacity": None}, "GRAPH_COST_CAPACITY"),
        ({"max_cost": 200_000}, "GRAPH_MAX_COST"),
        ({"cors_origins": "*"}, "GRAPH_CORS_ORIGINS"),
        ({"trusted_proxies": "0.0.0.0/0"}, "GRAPH_TRUSTED_PROXIES"),
        ({"trusted_proxies": "::/0"}, "GRAPH_TRUSTED_PROXIES"),
        ({"trusted_proxies": "0.0.0.0/1,128.0.0.0/1"}, "GRAPH_TRUSTED_PROXIES"),
        ({"trusted_proxies": "1.0.0.0/8,3.0.0.0/9,5.0.0.0/9"}, "GRAPH_TRUSTED_PROXIES"),
        ({"trusted_proxies": "10.0.0.0/8,2000::/4,3000::/4"}, "GRAPH_TRUSTED_PROXIES"),
        ({"database_url": None}, "GRAPH_DATABASE_URL"),
        ({"database_url": "postgresql://graph:secret@db.example/store"}, "GRAPH_DATABASE_URL"),
        ({"documents": "apq"}, "GRAPH_DOCUMENTS"),
    ],
)
def test_each_danger_is_named_and_no_secret(changed: dict[str, Any], named: str) -> None:
    (danger,) = dangers(Settings.model_validate(SAFE | changed))

    assert named in danger
    assert "secret" not in danger


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"anonymous_role": "anonymous"},
        {"anonymous_role": "manager"},
        {"profile": "development"},
    ],
)
def test_somebody_can_sign_in_or_that_is_not_wanted(changed: dict[str, Any]) -> None:
    nobody = {"jwt_issuer": None, "jwt_audience": None, "jwt_jwks_url": None}

    check_sign_in(Settings.model_validate(SAFE | (changed and nobody | changed)))


def test_production_without_an_issuer_is_refused_by_serve_and_doctor(database_url: str) -> None:
    with pytest.raises(InvalidSetting, match="production needs an issuer"):
        check_sign_in(Settings(profile=Profile.PRODUCTION))

    for command in ("serve", "doctor"):
        done = subprocess.run(
            [sys.executable, "-m", "graph", command],
            env=os.environ | {"GRAPH_DATABASE_URL": database_url, "GRAPH_PROFILE": "production"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("graph: GRAPH_JWT_ISSUER is invalid: production needs an issuer")


def test_the_factory_of_uvicorn_checks_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_PROFILE", "production")

    with pytest.raises(InvalidSetting, match="production needs an issuer"):
        served_app()


def test_no_secret_is_shown() -> None:
    secrets = {"jwt_secret": "x" * 40, "mcp_token": "y" * 40}
    shown = dict(effective(Settings.model_validate(SAFE | {"jwt_jwks_url": None} | secrets)))

    assert shown["GRAPH_JWT_SECRET"] == shown["GRAPH_MCP_TOKEN"] == "(set)"  # noqa: S105  it hides one
    assert not [secret for secret in secrets.values() if secret in str(shown)]


def test_workers_with_separate_buckets_are_reported() -> None:
    settings = Settings.model_validate(SAFE)
    shared = settings.model_copy(update={"token_buckets": TokenBucketMode.DATABASE})
    unlimited = settings.model_copy(update={"cost_capacity": None})

    (danger,) = dangers_of_workers(settings, 3)

    assert "3 times GRAPH_COST_CAPACITY" in danger
    assert list(dangers_of_workers(settings, 1)) == []
    assert list(dangers_of_workers(shared, 3)) == []
    assert list(dangers_of_workers(unlimited, 3)) == []


def test_the_command_prints_settings_dangers_and_the_database(database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graph", "doctor"],
        env=os.environ
        | {
            "GRAPH_DATABASE_URL": database_url,
            "GRAPH_PROFILE": "production",
            "GRAPH_ANONYMOUS_ROLE": "anonymous",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "GRAPH_INTROSPECTION=false" in done.stdout
    assert "Danger: clients may execute any document" in done.stdout
    assert "Database: PostgreSQL 18" in done.stdout
    assert "sequence orders_id_seq has come to 0 of 9,223,372,036,854,775,807 (0.0%)" in done.stdout
    assert "dry_run_keys" not in done.stdout
    assert database_url not in done.stdout


@pytest.mark.parametrize(
    ("change", "line", "is_danger"),
    [
        ("ALTER SEQUENCE orders_id_seq MAXVALUE 1000 RESTART 500", "499 of 1,000 (49.9%)", False),
        ("ALTER SEQUENCE orders_id_seq MAXVALUE 1000 RESTART 501", "500 of 1,000 (50.0%)", True),
        (
            "ALTER SEQUENCE orders_id_seq AS integer RESTART 2147483647",
            "2,147,483,646 of 2,147,483,647 (100.0%)",
            True,
        ),
    ],
)
async def test_a_sequence_is_a_danger_from_half_of_its_own_end_on(
    database: Database, change: str, line: str, is_danger: bool
) -> None:
    async with database.write() as session:
        await session.execute(text(change))
        await session.execute(
            text("SELECT setval('orders_id_seq', last_value - 1) FROM orders_id_seq")
        )

    state = await state_of(database, settings_for(database.engine.url.render_as_string()))
    (found,) = [each for each in state.lines if "orders_id_seq" in each]

    assert f"orders_id_seq has come to {line}" in found
    assert found.startswith("Danger: ") is is_danger
    assert state.can_be_served


def test_a_database_that_cannot_be_served_is_an_exit_code(empty_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graph", "doctor"],
        env=os.environ | {"GRAPH_DATABASE_URL": empty_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "graph migrate" in done.stdout


async def test_in_production_a_stranger_learns_nothing(cluster: Cluster) -> None:
    settings = settings_for(cluster.url("postgres"), profile="production", anonymous_role="manager")
    async with client_of(create_app(settings)) as client:
        page = await client.http.get("/graphql", headers={"accept": "text/html"})
        asset = await client.http.get("/graphiql/assets/index.js")
        text = await client.http.get("/schema.graphql")
        schema = await client.answer("{ __schema { queryType { name } } }")
        guess = await client.answer("{ custmers { totalCount } }")
        broken = await client.answer("{ customers { totalCount } }")  # there is no such table

    assert (page.status_code, asset.status_code, text.status_code) == (406, 404, 404)
    assert "data" not in schema
    assert "customers" not in guess["errors"][0]["message"]
    (error,) = broken["errors"]
    assert error["message"] == "internal error"
    assert set(error["extensions"]) == {"code", "errorId"}


# The server


async def lines_of(database: Database, workers: int = 1, **settings: Any) -> list[str]:
    url = database.engine.url.render_as_string()
    return list((await state_of(database, settings_for(url, **settings), workers)).lines)


@asynccontextmanager
async def as_role(database: Database, role: str) -> AsyncIterator[None]:
    """A role that is new, and whose privileges all new connections have."""
    name = database.engine.url.database
    async with database.autocommit.connect() as connection:
        await connection.execute(text(f"CREATE ROLE {role}"))
        await connection.execute(text(f"ALTER DATABASE {name} SET role = '{role}'"))
    await database.engine.dispose()
    try:
        yield
    finally:
        async with database.autocommit.connect() as connection:
            await connection.execute(text("SET ROLE NONE"))
            await connection.execute(text(f"ALTER DATABASE {name} RESET role"))
            await connection.execute(text(f"DROP OWNED BY {role}"))
            await connection.execute(text(f"DROP ROLE {role}"))
        await database.engine.dispose()


async def test_connections_of_all_workers_are_compared_with_those_of_the_server(
    database: Database,
) -> None:
    """The tests' server has 200, 3 of which are reserved."""
    fits = await lines_of(database, 2, pool_size=10)
    exceeds = await lines_of(database, 40, pool_size=10)

    assert [line for line in fits if "2 workers with 10 + 1 connections take 22" in line]
    (danger,) = [line for line in exceeds if "take 440; the server has 197 for this role" in line]
    assert danger.startswith("Danger: ")


async def test_a_limit_of_the_database_counts_as_well(database: Database) -> None:
    name = database.engine.url.database
    async with database.autocommit.connect() as connection:
        await connection.execute(text(f"ALTER DATABASE {name} CONNECTION LIMIT 15"))

    assert [line for line in await lines_of(database) if "the server has 15 for" in line]


async def test_the_owner_of_the_tables_lacks_nothing(database: Database) -> None:
    lines = await lines_of(database)

    assert "the role graph owns all tables" in lines
    assert not [line for line in lines if " may not " in line]
    assert "extensions: none; graph needs none" in lines


async def test_missing_rights_are_named(database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC"))
        await session.execute(text("GRANT ALL ON items TO PUBLIC"))
    async with as_role(database, "reader"):
        lines = await lines_of(database)

    (inserts,) = [line for line in lines if "may not INSERT in" in line]
    assert inserts.startswith("Danger: the role reader may not INSERT in ")
    assert "orders" in inserts
    assert "items" not in inserts
    assert "alembic_version" not in inserts
    assert not [line for line in lines if "may not SELECT" in line]
    assert [line for line in lines if "may not create tables here" in line]
    assert [line for line in lines if line.startswith("the role reader does not own ")]


async def test_the_sizes_of_tables_are_shown_with_their_changes(database: Database) -> None:
    await fill(database, customers=30)
    async with database.autocommit.connect() as connection:
        await connection.execute(text("VACUUM ANALYZE"))
    await database.engine.dispose()  # a connection that ends counts what it has changed

    (line,) = [line for line in await lines_of(database) if line.startswith("table customers ")]

    assert "with about 30 rows and 0 dead ones; 30 were added and 0 removed since" in line


async def test_kept_keys_are_counted_and_those_that_have_expired(database: Database) -> None:
    async with database.write() as session:
        await session.execute(
            text("""
                INSERT INTO idempotency_keys (viewer, key, request, created_on)
                VALUES ('a', 'b', '', now()), ('a', 'c', '', now() - interval '25 hours')
            """)
        )

    (line,) = [line for line in await lines_of(database) if "idempotency keys" in line]

    assert line.startswith("2 idempotency keys are kept in 0.")
    assert line.endswith("; 1 have expired: graph serve removes them")


# The environment


def test_a_name_that_is_no_setting_is_named_with_its_neighbour(database_url: str) -> None:
    """By the doctor, and in one line where the server starts."""
    environment = {"GRAPH_DATABASE_URL": database_url, "GRAPH_POOLSIZE": "3", "GRAPH_XYZ": "1"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment["GRAPH_PORT"] = str(taken.getsockname()[1])
        doctor, serve = (
            subprocess.run(
                [sys.executable, "-m", "graph", command],
                env=os.environ | environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            for command in ("doctor", "serve")
        )

    expected = [
        "Danger: GRAPH_POOLSIZE is no setting, and is ignored. Did you mean GRAPH_POOL_SIZE?",
        "Danger: GRAPH_XYZ is no setting, and is ignored.",
    ]
    for printed in (doctor.stdout, serve.stderr):
        assert [line for line in printed.splitlines() if "is no setting" in line] == expected
