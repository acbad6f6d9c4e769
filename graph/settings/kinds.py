"""The kinds of values that settings have, each with its check."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    SecretStr,
)
from pydantic_settings import NoDecode

from graph import addresses

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MIN_SECRET_BYTES = 32


def _split_by_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _with_driver(url: object) -> object:
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    return addresses.database_url(text) if isinstance(text, str) else text


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < _MIN_SECRET_BYTES:
        raise ValueError(f"must have {_MIN_SECRET_BYTES} bytes at least")
    return secret


def _check_role_pair(pair: str) -> str:
    if not all(pair.partition("=")):
        raise ValueError(f"'{pair}' must have the form value=role")
    return pair


def _check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"'{name}' is not the name of a header")
    return name


# PostgreSQL's timeouts are whole milliseconds, and 0 disables them.
Seconds: TypeAlias = Annotated[float, Field(ge=0.001, le=86_400)]
DatabaseUrl: TypeAlias = Annotated[SecretStr, BeforeValidator(_with_driver)]
KeysUrl: TypeAlias = Annotated[str, AfterValidator(addresses.keys_url)]
Secret: TypeAlias = Annotated[SecretStr, AfterValidator(_long_enough)]

# Several values, separated by commas.
_Listed = (NoDecode, BeforeValidator(_split_by_commas))
Names: TypeAlias = Annotated[tuple[str, ...], *_Listed]
DatabaseUrls: TypeAlias = Annotated[tuple[DatabaseUrl, ...], *_Listed]
Networks: TypeAlias = Annotated[tuple[IPvAnyNetwork, ...], *_Listed]
Origins: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(addresses.origin)], ...], *_Listed
]
HeaderNames: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_check_header_name)], ...], *_Listed
]
RolePairs: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_check_role_pair)], ...], *_Listed
]
