"""The environment becomes settings, or an error of one sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from graph.errors import InvalidSetting
from graph.settings import SECRETS, LogLevel, Settings, read_settings, unknown_names

URL = "postgresql+asyncpg://graph:hunter2@db.example:6543/store"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("GRAPH_"):
            monkeypatch.delenv(name)


def test_nothing_has_to_be_set() -> None:
    settings = read_settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.database_url is None
    assert settings.data_dir == Path(".graph")
    assert settings.cors_origins == ()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_PORT", "")
    monkeypatch.setenv("GRAPH_DATABASE_URL", "")

    assert read_settings() == Settings()


def test_an_option_wins_over_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_PORT", "9000")
    monkeypatch.setenv("GRAPH_HOST", "0.0.0.0")  # noqa: S104  nothing is bound

    settings = read_settings(port=9001, host=None)

    assert (settings.host, settings.port) == ("0.0.0.0", 9001)  # noqa: S104


@pytest.mark.parametrize(
    "url",
    [
        "postgres://graph:hunter2@db.example:6543/store",
        "postgresql://graph:hunter2@db.example:6543/store",
        URL,
    ],
)
def test_a_url_may_leave_the_driver_to_graph(url: str) -> None:
    settings = Settings.model_validate({"database_url": url})

    assert settings.database_url
    assert settings.database_url.get_secret_value() == URL


def test_sslmode_becomes_the_drivers_ssl() -> None:
    settings = Settings.model_validate({"database_url": "postgres://h/d?a=1&sslmode=require"})

    assert settings.database_url
    assert settings.database_url.get_secret_value().endswith("://h/d?a=1&ssl=require")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, "db.example:6543/store"),
        ("postgresql://db.example/store", "db.example:5432/store"),
        ("postgresql://graph@/store?host=/run/postgresql", "/run/postgresql:5432/store"),
        ("postgresql:///store", "localhost:5432/store"),
        (None, "embedded"),
    ],
)
def test_an_address_does_not_contain_the_password(url: str | None, address: str) -> None:
    assert Settings.model_validate({"database_url": url}).database_address == address


def test_settings_can_be_printed() -> None:
    assert "hunter2" not in repr(Settings.model_validate({"database_url": URL}))


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("GRAPH_DATABASE_URL", "mysql://root:hunter2@h/d", "must start with postgresql://"),
        ("GRAPH_DATABASE_URL", "hunter2", "must start with postgresql://"),
        ("GRAPH_DATABASE_URL", "postgresql://u:hunter2@h:port/d", "user:password@host:port"),
        ("GRAPH_DATABASE_URL", "postgresql://u:hunter2@h:65536/d", "user:password@host:port"),
        ("GRAPH_DATABASE_URL", "postgresql://u:hunter2@[::1/d", "user:password@host:port"),
        ("GRAPH_DATABASE_URL", "postgresql://u:hunter2/x@h/d", "%-escaped"),
        ("GRAPH_DATABASE_URL", "postgresql://u:1/hunter2@h/d", "%-escaped"),
        ("GRAPH_DATABASE_URL", "postgresql://u:1?hunter2@h/d", "%-escaped"),
        ("GRAPH_DATABASE_URL", "postgresql://u:1#hunter2@h/d", "%-escaped"),
        ("GRAPH_PORT", "http", "valid integer"),
        ("GRAPH_PORT", "65536", "less than or equal to 65535"),
        ("GRAPH_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("GRAPH_POOL_SIZE", "0", "greater than or equal to 1"),
        ("GRAPH_MAX_BODY_BYTES", "1", "greater than or equal to 1024"),
        ("GRAPH_STATEMENT_TIMEOUT_SECONDS", "0", "greater than or equal to 0.001"),
        ("GRAPH_STATEMENT_TIMEOUT_SECONDS", "0.0004", "greater than or equal to 0.001"),
        ("GRAPH_POOL_TIMEOUT_SECONDS", "inf", "less than or equal to 86400"),
        ("GRAPH_CONNECT_TIMEOUT_SECONDS", "nan", "less than or equal to"),
        ("GRAPH_CORS_ORIGINS", "shop.example", "'shop.example' must have the form https://"),
        ("GRAPH_CORS_ORIGINS", "https://a.example,https://b.example/", "'https://b.example/'"),
        ("GRAPH_CORS_EXPOSED_HEADERS", "ETag,X Trace", "'X Trace' is not the name of a header"),
    ],
)
def test_an_invalid_variable_is_named_and_a_secret_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSetting) as wrong:
        read_settings()

    message = str(wrong.value)
    assert message.startswith(f"{name} is invalid: ")
    assert problem in message
    assert "\n" not in message
    assert "Value error" not in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("*", ("*",)),
        ("https://a.example", ("https://a.example",)),
        (
            " http://localhost:3000 , https://b.example,",
            ("http://localhost:3000", "https://b.example"),
        ),
        ("capacitor://localhost", ("capacitor://localhost",)),
        # As browsers write them.
        ("HTTPS://Shop.Example:443,http://a:80", ("https://shop.example", "http://a")),
        ("https://a:8443,http://b:443", ("https://a:8443", "http://b:443")),
        (" , ", ()),
    ],
)
def test_origins_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, origins: tuple[str, ...]
) -> None:
    monkeypatch.setenv("GRAPH_CORS_ORIGINS", value)

    assert read_settings().cors_origins == origins


def test_credentials_are_for_origins_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_CORS_ORIGINS", "*")
    monkeypatch.setenv("GRAPH_CORS_CREDENTIALS", "true")

    with pytest.raises(InvalidSetting, match="GRAPH_CORS_CREDENTIALS needs origins by name"):
        read_settings()


@pytest.mark.parametrize(
    "given",
    [
        {},
        {
            "host": "::1",
            "port": 0,
            "log_level": LogLevel.DEBUG,
            "database_url": URL,
            "data_dir": "/some/where else",
            "statement_timeout_seconds": 0.25,
            "jwt_issuer": "https://login.example/",
            "jwt_audience": "shop",
            "jwt_secret": "s" * 32,
            "jwt_roles": ("admin=manager", "staff=clerk"),
            "cors_origins": ("https://a.example", "https://b.example"),
        },
    ],
)
def test_a_worker_reads_the_same_settings_from_its_environment(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    settings = Settings.model_validate(given)

    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    assert read_settings() == settings


def test_production_tells_strangers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_PROFILE", "production")
    settings = read_settings()
    monkeypatch.setenv("GRAPH_GRAPHIQL", "true")
    asked_for = read_settings()

    assert (settings.introspection, settings.suggestions, settings.graphiql) == (False,) * 3
    assert settings.cost_capacity == 200_000
    assert asked_for.graphiql
    assert not asked_for.introspection


@pytest.mark.parametrize(
    ("old_name", "new_name"),
    [
        ("GRAPH_DEAR_COST", "GRAPH_EXPENSIVE_COST"),
        ("GRAPH_MAX_DEAR_IN_FLIGHT", "GRAPH_MAX_EXPENSIVE"),
        ("GRAPH_MAX_EXPENSIVE_IN_FLIGHT", "GRAPH_MAX_EXPENSIVE"),
        ("GRAPH_COST_METER", "GRAPH_TOKEN_BUCKETS"),
        ("graph_cost_meter", "GRAPH_TOKEN_BUCKETS"),
    ],
)
def test_an_old_name_is_refused_and_the_new_one_named(
    monkeypatch: pytest.MonkeyPatch, old_name: str, new_name: str
) -> None:
    monkeypatch.setenv(old_name, "")
    read_settings()
    monkeypatch.setenv(old_name, "7")

    with pytest.raises(InvalidSetting) as refused:
        read_settings()

    assert str(refused.value) == (
        f"{old_name} is invalid: it has been renamed, set {new_name} instead."
    )
    assert new_name.removeprefix("GRAPH_").lower() in Settings.model_fields


def test_a_profile_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPH_PROFILE", "staging")

    with pytest.raises(InvalidSetting, match="GRAPH_PROFILE is invalid"):
        read_settings()


def test_another_process_gets_all_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "GRAPH_PROFILE": "production",
        "GRAPH_TRUSTED_PROXIES": "10.0.0.0/8,192.168.0.0/16",
        "GRAPH_CORS_ORIGINS": "https://a.example,https://b.example",
        "GRAPH_MAX_BATCH": "3",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    assert read_settings() == settings
    assert settings.environment().items() >= given.items()


# Secrets in files


def test_a_secret_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{URL}\n")
    monkeypatch.setenv("GRAPH_DATABASE_URL_FILE", str(tmp_path / "url"))

    settings = read_settings()

    assert settings.database_url == SecretStr(URL)
    assert list(unknown_names()) == []


def test_every_secret_can_be_in_a_file() -> None:
    def is_secret(annotation: object) -> bool:
        return "SecretStr" in repr(annotation)

    secrets = {name for name, field in Settings.model_fields.items() if is_secret(field.annotation)}

    assert set(SECRETS) == secrets


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "must hold one value, and no more"),
        (b"x" * 70_000, "must hold one value, and no more"),
        (b"\xff", "cannot be read: it is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("GRAPH_JWT_SECRET_FILE", str(file))

    with pytest.raises(InvalidSetting, match=f"GRAPH_JWT_SECRET_FILE is invalid: .*{reason}"):
        read_settings()


def test_a_secret_in_the_environment_and_in_a_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(URL)
    monkeypatch.setenv("GRAPH_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("GRAPH_DATABASE_URL", URL)

    with pytest.raises(InvalidSetting, match="GRAPH_DATABASE_URL is set as well") as refused:
        read_settings()

    assert "hunter2" not in str(refused.value)
