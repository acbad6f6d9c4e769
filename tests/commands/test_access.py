"""`graph key` and `graph token`: sign-in for services, and for those who try roles out."""

from __future__ import annotations

import asyncio
import stat
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.app import create_app
from graph.database import api_keys
from graph.database.embedded import running_cluster
from graph.development import development_token, issues_tokens, with_own_issuer
from graph.errors import DataDirUnusable, InvalidToken, StartupError
from graph.server.api_keys import ApiKeys
from graph.settings import Settings
from tests.command_line import complaint, graph, output_of
from tests.conftest import client_of, settings_for
from tests.rows import fill
from tests.server.test_authentication import ROLES, SECRET, made, scope_with

if TYPE_CHECKING:
    from pathlib import Path

    from graph.database.engine import Database

QUERY = {"query": "{ __typename }"}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


# API keys


def test_a_key_is_added_listed_used_and_revoked(database_url: str) -> None:
    environment = {"GRAPH_DATABASE_URL": database_url}
    key = output_of(graph("key", "add", "The warehouse", "--days", "30", **environment)).strip()
    forever = output_of(graph("key", "add", "Reports", **environment)).strip()
    listed = output_of(graph("key", "list", **environment))

    prefix, secret = key.split("_")[1:]
    first, second = listed.splitlines()
    assert first.startswith(f"{prefix}  valid until 20")
    assert first.endswith("  The warehouse")
    assert "  valid  " in second
    assert secret not in listed
    assert [asyncio.run(status_with(database_url, each)) for each in (key, forever)] == [200, 200]

    output_of(graph("key", "revoke", prefix, **environment))

    assert [asyncio.run(status_with(database_url, each)) for each in (key, forever)] == [401, 200]
    assert "  revoked 20" in output_of(graph("key", "list", **environment))
    assert "no valid key" in complaint(graph("key", "revoke", prefix, **environment))


async def status_with(database_url: str, key: str) -> int:
    async with client_of(create_app(settings_for(database_url))) as client:
        response = await client.http.post("/graphql", json=QUERY, headers=bearer(key))
    return response.status_code


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["add", ""], "NAME is invalid"),
        (["add", "a\nb"], "NAME is invalid"),
        (["add", "x" * 201], "NAME is invalid"),
        (["add", "x", "--permission", "everything"], "'everything' is not one of"),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    database_url: str, arguments: list[str], problem: str
) -> None:
    done = graph("key", *arguments, GRAPH_DATABASE_URL=database_url)

    assert problem in complaint(done)


async def test_a_key_makes_a_service_with_its_permissions(database: Database) -> None:
    key = await api_keys.add(database, "Reports", {"store:read", "costs:read"}, None)
    authenticator = made(jwt_secret=SECRET)
    async with authenticator.running(database):
        scope = scope_with(f"Bearer {key}")
        viewer = await authenticator.identify(scope)
        assert authenticator.known(scope) is viewer

    assert viewer.subject == f"api-key {key.split('_')[1]}"
    assert (viewer.role, viewer.own) == ("service", None)
    assert viewer.may == frozenset({"store:read", "costs:read"})


async def test_the_secret_is_not_in_the_database(database: Database) -> None:
    key = await api_keys.add(database, "Reports", {"store:read"}, None)

    async with database.engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM api_keys"))).one()

    assert key.split("_")[2] not in str(row)
    assert bytes.fromhex(key.split("_")[2]) not in row.secret_hash


async def test_a_revoked_key_ends_within_seconds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.server.api_keys._KEPT_SECONDS", 2)
    key = await api_keys.add(database, "Reports", (), None)
    authenticator = made(jwt_secret=SECRET)
    async with authenticator.running(database):
        scope = scope_with(f"Bearer {key}")
        await authenticator.identify(scope)
        assert await api_keys.revoke(database, key.split("_")[1])
        assert authenticator.known(scope) is not None
        await asyncio.sleep(2.1)

        assert authenticator.known(scope) is None
        with pytest.raises(InvalidToken):
            await authenticator.identify(scope)


async def test_an_expired_key_is_refused_and_so_is_one_with_another_prefix(
    database: Database,
) -> None:
    key = await api_keys.add(database, "Reports", (), None)
    old = await api_keys.add(database, "Old", (), None)
    async with database.engine.begin() as connection:
        expire = "UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE name = 'Old'"
        await connection.execute(text(expire))
    keys = ApiKeys(database)
    await keys.viewer(key)

    _, prefix, secret = key.split("_")
    for wrong in (
        old,
        f"graph_{'0' * 8}_{secret}",
        f"graph_{prefix}_{'0' * 64}",
        f"graph_{prefix}_{secret.upper()}",
        f"graph_{prefix}",
        "graph_",
    ):
        with pytest.raises(InvalidToken):
            await keys.viewer(wrong)


async def test_a_flood_of_invented_keys_is_one_statement(database: Database) -> None:
    statements: list[Any] = []
    keys = ApiKeys(database)
    load = api_keys.valid

    async def counted(database: Database) -> Any:
        statements.append(1)
        return await load(database)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_keys, "valid", counted)
        invented = [keys.viewer(f"graph_{'0' * 8}_{number:064x}") for number in range(100)]
        results = await asyncio.gather(*invented, return_exceptions=True)

    assert all(isinstance(result, InvalidToken) for result in results)
    assert len(statements) == 1


# Tokens of one's own


async def test_a_printed_token_signs_in(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    clerk = output_of(graph("token", "--role", "clerk", GRAPH_DATA_DIR=str(tmp_path))).strip()
    customer = output_of(graph("token", "--customer", "7", GRAPH_DATA_DIR=str(tmp_path))).strip()

    authenticator = made(**_trust(with_own_issuer(settings)))
    viewers = [
        await authenticator.identify(scope_with(f"Bearer {each}")) for each in (clerk, customer)
    ]

    assert [(viewer.role, viewer.own) for viewer in viewers] == [("clerk", None), ("customer", 7)]
    assert [viewer.subject for viewer in viewers] == [
        "graph-development clerk",
        "graph-development customer 7",
    ]
    assert viewers[0].may == ROLES["clerk"]


def _trust(settings: Settings) -> dict[str, Any]:
    return {name: value for name, value in settings if name.startswith("jwt_")}


def test_the_key_is_the_owner_s_alone_and_stays(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    first = with_own_issuer(settings).jwt_secret
    second = with_own_issuer(settings).jwt_secret

    assert first == second
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["token.key"]
    assert stat.S_IMODE((tmp_path / "new" / "token.key").stat().st_mode) == 0o600


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with_own_issuer(settings)
    (tmp_path / "token.key").chmod(0o640)

    with pytest.raises(DataDirUnusable, match="chmod 600"):
        with_own_issuer(settings)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 80])
def test_a_key_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token.key").write_bytes(content)
    (tmp_path / "token.key").chmod(0o600)

    with pytest.raises(DataDirUnusable, match=r"token\.key"):
        with_own_issuer(Settings(data_dir=tmp_path))


@pytest.mark.parametrize(
    "changed",
    [
        {"profile": "production"},
        {"database_url": "postgresql://db.example/store"},
        {"jwt_issuer": "a", "jwt_audience": "b", "jwt_secret": "c" * 32},
    ],
)
def test_elsewhere_graph_issues_no_tokens_and_accepts_none(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path} | changed)

    assert not issues_tokens(settings)
    with pytest.raises(StartupError, match="an identity provider does"):
        development_token(settings, "clerk", seconds=60)
    assert not (tmp_path / "token.key").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "either --customer or --role"),
        (["--role", "clerk", "--customer", "1"], "either --customer or --role"),
        (["--role", "boss"], "--role is invalid: it must be one of anonymous, customer"),
    ],
)
def test_a_token_is_for_one_role(tmp_path: Path, arguments: list[str], problem: str) -> None:
    assert problem in complaint(graph("token", *arguments, GRAPH_DATA_DIR=str(tmp_path)))


def test_a_token_for_a_customer_who_does_not_exist_has_a_warning(tmp_path: Path) -> None:
    environment = {"GRAPH_DATA_DIR": str(tmp_path), "GRAPH_LOG_LEVEL": "warning"}
    with running_cluster(tmp_path, settings={"fsync": "off"}):
        output_of(graph("token", "--customer", "3", **environment))  # there is no store yet
        output_of(graph("migrate", **environment))
        output_of(graph("seed", "--customers", "2", **environment))

        output_of(graph("token", "--customer", "2", **environment))
        output_of(graph("token", "--role", "clerk", **environment))
        absent = graph("token", "--customer", "3", **environment)

    assert absent.returncode == 0
    assert absent.stdout.count(".") == 2  # a JWT
    assert absent.stderr == (
        "Warning: there is no customer 3. The token signs in as one without data or orders.\n"
    )


def test_empty_lists_say_so_beside_the_output(database_url: str) -> None:
    for name, hint in (("key", "graph key add NAME"), ("webhook", "graph webhook add URL")):
        listed = graph(name, "list", GRAPH_DATABASE_URL=database_url)

        assert (listed.returncode, listed.stdout) == (0, "")
        (line,) = listed.stderr.splitlines()
        assert hint in line


async def test_forget_asks_and_says_what_it_did(database_url: str, database: Database) -> None:
    await fill(database, customers=1)
    environment = {"GRAPH_DATABASE_URL": database_url}
    refused = graph("forget", "1", **environment)
    assert refused.returncode == 1
    assert "graph: aborted." in refused.stderr

    done = output_of(graph("forget", "1", "--yes", **environment))
    assert done.startswith("Forgot customer 1: replaced 6 values of the row")
    absent = graph("forget", "77", "--yes", **environment)
    assert "there is no customer 77" in complaint(absent)
