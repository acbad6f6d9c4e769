"""The report of `graph doctor`: the effective settings, and those that are dangerous."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from graph.addresses import LOOPBACK
from graph.errors import InvalidSetting
from graph.settings import DocumentsMode, Profile, TokenBucketMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from graph.settings import Settings

_ENCRYPTED = {"require", "verify-ca", "verify-full"}
_DANGEROUS_COST = 100_000
# More public addresses than any provider of proxies has: a /8 of IPv4, a /16 of IPv6.
_MOST_PROXIES_V4 = 2**24
_MOST_PROXIES_V6 = 2**112


def effective(settings: Settings) -> list[tuple[str, str]]:
    """The (variable, value) of every setting, sorted, without secrets."""
    variables = settings.environment()
    variables |= {
        f"GRAPH_{name.upper()}": "(set)" for name, value in settings if isinstance(value, SecretStr)
    }
    variables |= {
        "GRAPH_DATABASE_URL": settings.database_address,
        "GRAPH_REPLICA_URLS": ",".join(settings.replica_addresses),
    }
    return sorted(variables.items())


def dangers(settings: Settings) -> Iterator[str]:
    """One line for each dangerous setting: the danger, and the value to set instead."""
    open_to_all = settings.host not in LOOPBACK
    if settings.profile is Profile.DEVELOPMENT:
        if open_to_all:
            yield (
                "GRAPH_HOST is reachable by others under the development profile:"
                " set GRAPH_PROFILE=production"
            )
        return
    yield from _exposed(settings)
    yield from _trusted_too_much(settings)


def check_sign_in(settings: Settings) -> None:
    """Check that somebody can sign in in production, unless that is not wanted.

    Raises:
        InvalidSetting: nobody can, and the role of all clients is not set either.
    """
    is_production = settings.profile is Profile.PRODUCTION
    if is_production and settings.jwt_issuer is None and settings.anonymous_role is None:
        raise InvalidSetting(
            "GRAPH_JWT_ISSUER",
            "production needs an issuer of tokens. Where services with API keys are the only"
            " ones to sign in, set GRAPH_ANONYMOUS_ROLE=anonymous; another role there is"
            " everybody's",
        )


def dangers_of_workers(settings: Settings, workers: int) -> Iterator[str]:
    """One line for each limit that several workers would not share."""
    is_per_worker = (
        settings.cost_capacity is not None and settings.token_buckets is TokenBucketMode.MEMORY
    )
    if workers > 1 and is_per_worker:
        yield (
            f"each of {workers} workers has its own buckets, so a client has {workers} times"
            " GRAPH_COST_CAPACITY: set GRAPH_TOKEN_BUCKETS=database"
        )


def _exposed(settings: Settings) -> Iterator[str]:
    if settings.role_of_anonymous != "anonymous":
        yield (
            f"GRAPH_ANONYMOUS_ROLE makes everybody a {settings.role_of_anonymous}:"
            " set it to anonymous"
        )
    if settings.introspection or settings.suggestions:
        yield "GRAPH_INTROSPECTION or GRAPH_SUGGESTIONS reveal the schema: set them to false"
    if settings.explain:
        yield "GRAPH_EXPLAIN shows SQL and estimates from all rows to everyone: set it to false"
    if settings.graphiql:
        yield "GRAPH_GRAPHIQL serves an explorer to everyone: set it to false"
    if settings.cost_capacity is None:
        yield "without GRAPH_COST_CAPACITY clients are not rate limited: set it to 200000"
    if settings.max_cost > _DANGEROUS_COST:
        yield f"GRAPH_MAX_COST lets one operation cost {settings.max_cost:,}: set it to 20000"
    if settings.documents is not DocumentsMode.TRUSTED_ONLY:
        yield (
            "clients may execute any document:"
            " set GRAPH_DOCUMENTS=trusted-only, if all clients are yours"
        )


def _trusted_too_much(settings: Settings) -> Iterator[str]:
    if "*" in settings.cors_origins:
        yield "GRAPH_CORS_ORIGINS lets pages of every origin call the API: name the origins"
    if _covers_clients(settings.trusted_proxies):
        yield "GRAPH_TRUSTED_PROXIES trusts every client's X-Forwarded-For: name the proxies"
    if settings.database_url is None:
        yield (
            "GRAPH_DATABASE_URL is not set:"
            " the store is in GRAPH_DATA_DIR, which only this machine can use"
        )
    elif _is_unencrypted(settings.database_url.get_secret_value()):
        yield (
            "GRAPH_DATABASE_URL connects over a network without encryption: add ?ssl=verify-full"
        )


def _covers_clients(proxies: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether the networks together hold more public addresses than proxies can have.

    Private networks do not count, whatever their size: no client on the internet is in one.
    """
    v4 = collapse_addresses(each for each in proxies if isinstance(each, IPv4Network))
    v6 = collapse_addresses(each for each in proxies if isinstance(each, IPv6Network))
    return _public(v4) > _MOST_PROXIES_V4 or _public(v6) > _MOST_PROXIES_V6


def _public(networks: Iterable[IPv4Network | IPv6Network]) -> int:
    return sum(network.num_addresses for network in networks if not network.is_private)


def _is_unencrypted(url: str) -> bool:
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    host = parts.hostname or options.get("host", [""])[0]
    is_local = not host or host in LOOPBACK or host.startswith("/")
    return not is_local and options.get("ssl", [""])[0] not in _ENCRYPTED
