"""What `graph doctor` says: the settings that hold, and what is dangerous about them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from graph.settings import DocumentsMode, Profile, TokenBucketMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.settings import Settings

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_ENCRYPTED = {"require", "verify-ca", "verify-full"}
_DEAR = 100_000


def effective(settings: Settings) -> list[tuple[str, str]]:
    """Every variable and its value, secrets left out."""
    given = settings.environment() | {"GRAPH_DATABASE_URL": settings.database_address}
    return sorted(given.items())


def dangers(settings: Settings) -> Iterator[str]:
    """What a stranger could make use of, and what to set instead."""
    open_to_all = settings.host not in _LOOPBACK
    if settings.profile is Profile.DEVELOPMENT:
        if open_to_all:
            yield "GRAPH_PROFILE is development, and others can reach GRAPH_HOST: production"
        return
    yield from _told_or_given_away(settings)
    yield from _believed_too_easily(settings)


def dangers_of_workers(settings: Settings, workers: int) -> Iterator[str]:
    """What each worker has for itself, where it should be one for all."""
    counts_alone = (
        settings.cost_capacity is not None and settings.token_buckets is TokenBucketMode.MEMORY
    )
    if workers > 1 and counts_alone:
        yield (
            f"each of {workers} workers has its own buckets, so a client has {workers} times"
            " GRAPH_COST_CAPACITY: GRAPH_TOKEN_BUCKETS=database"
        )


def _told_or_given_away(settings: Settings) -> Iterator[str]:
    if settings.introspection or settings.suggestions:
        yield "GRAPH_INTROSPECTION or GRAPH_SUGGESTIONS tell strangers the schema: false"
    if settings.graphiql:
        yield "GRAPH_GRAPHIQL serves an explorer to strangers: false"
    if settings.cost_capacity is None:
        yield "without GRAPH_COST_CAPACITY one client can ask for as much as it likes: 200000"
    if settings.max_cost > _DEAR:
        yield f"GRAPH_MAX_COST lets one operation cost {settings.max_cost:,}: 20000"
    if settings.documents is not DocumentsMode.TRUSTED_ONLY:
        yield "any document may run: GRAPH_DOCUMENTS=trusted-only, if all clients are yours"


def _believed_too_easily(settings: Settings) -> Iterator[str]:
    if "*" in settings.cors_origins:
        yield "GRAPH_CORS_ORIGINS lets every page ask: name the origins"
    if any(network.num_addresses > 2**32 // 2 for network in settings.trusted_proxies):
        yield "GRAPH_TRUSTED_PROXIES believes everybody's X-Forwarded-For: name the proxies"
    if settings.database_url is None:
        yield "GRAPH_DATABASE_URL is not set: the store is in GRAPH_DATA_DIR, for this machine only"
    elif _is_in_the_open(settings.database_url.get_secret_value()):
        yield "GRAPH_DATABASE_URL goes over a network without encryption: ?ssl=verify-full"


def _is_in_the_open(url: str) -> bool:
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    host = parts.hostname or options.get("host", [""])[0]
    is_local = not host or host in _LOOPBACK or host.startswith("/")
    return not is_local and options.get("ssl", [""])[0] not in _ENCRYPTED
