"""Dangerous settings are reported with the value to set instead; others are not."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app, served_app
from graph.database.connect import state_of
from graph.doctor import check_sign_in, dangers, dangers_of_workers, effective
from graph.errors import InvalidSetting
from graph.settings import Profile, Settings, TokenBucketMode
from tests.conftest import client_of, settings_for

if TYPE_CHECKING:
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


def test_a_secret_is_not_shown() -> None:
    secret = "x" * 40
    keys = {"jwt_jwks_url": None, "jwt_secret": secret}
    shown = dict(effective(Settings.model_validate(SAFE | keys)))

    assert shown["GRAPH_JWT_SECRET"] == "(set)"  # noqa: S105  it hides one
    assert secret not in str(shown)


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

    assert "GRAPH_INTROSPECTION=False" in done.stdout
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
