"""The environment, read once. Every variable has the prefix `GRAPH_`; units stand in the names."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from graph.errors import InvalidSetting

_URL_SCHEME = re.compile(r"^(postgresql\+asyncpg|postgresql|postgres)://")


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ExecutionMode(StrEnum):
    COMPILED = "compiled"  # one SQL statement for an operation, resolvers for what SQL cannot say
    RESOLVERS = "resolvers"  # Strawberry's standard executor for everything


class Settings(BaseSettings):
    """All that may be set from outside; frozen, and safe to print (the URL is a secret)."""

    model_config = SettingsConfigDict(env_prefix="GRAPH_", frozen=True, env_ignore_empty=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    log_level: LogLevel = LogLevel.INFO

    # Unset means embedded: graph starts a PostgreSQL of its own in `data_dir`.
    database_url: SecretStr | None = None
    data_dir: Path = Path(".graph")
    pool_size: int = Field(default=10, ge=1, le=1000)
    pool_timeout_seconds: float = Field(default=10, gt=0)
    connect_timeout_seconds: float = Field(default=5, gt=0)
    statement_timeout_seconds: float = Field(default=10, gt=0)

    execution: ExecutionMode = ExecutionMode.COMPILED
    max_body_bytes: int = Field(default=1_048_576, ge=1024)
    # Origins whose pages may call the API, separated by commas; `*` for any. Empty means none.
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()

    @property
    def database_address(self) -> str:
        """Where the database is, without the password."""
        url = urlsplit(self.database_url.get_secret_value()) if self.database_url else None
        return f"{url.hostname or 'the socket'}:{url.port or 5432}{url.path}" if url else "embedded"

    def environment(self) -> dict[str, str]:
        """The variables that give another process these settings."""
        secret = self.database_url.get_secret_value() if self.database_url else ""
        plain = self.model_dump(mode="json", exclude={"database_url", "cors_origins"})
        return {
            **{f"GRAPH_{name.upper()}": str(value) for name, value in plain.items()},
            "GRAPH_DATABASE_URL": secret,
            "GRAPH_CORS_ORIGINS": ",".join(self.cors_origins),
        }

    @field_validator("database_url", mode="before")
    @classmethod
    def _with_the_driver_named(cls, url: object) -> object:
        """Accept `postgres://`, `postgresql://` and `postgresql+asyncpg://`; name the driver."""
        text = url.get_secret_value() if isinstance(url, SecretStr) else url
        if not isinstance(text, str):
            return text
        if not _URL_SCHEME.match(text):
            raise ValueError("must start with postgresql:// (or postgres://)")
        urlsplit(text).port  # noqa: B018  raises ValueError when the port is not a number
        return _URL_SCHEME.sub("postgresql+asyncpg://", text, count=1)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_by_commas(cls, origins: object) -> object:
        if isinstance(origins, str):
            return tuple(origin.strip() for origin in origins.split(",") if origin.strip())
        return origins


def read_settings(**overrides: Any) -> Settings:
    """The settings of this process; an override of None is no override.

    Raises:
        InvalidSetting: a variable holds what it must not; names it, without its value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidSetting(f"GRAPH_{first['loc'][0]}".upper(), first["msg"]) from None
