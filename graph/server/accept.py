"""Negotiation of the response's media type (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from graph.errors import NotAcceptable

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HTML = "text/html"
# Incremental delivery.
MULTIPART = "multipart/mixed"
EVENTS = "text/event-stream"

# Subscriptions over multipart, as Apollo's clients accept them.
SUBSCRIPTIONS = "multipart/mixed;subscriptionspec=1.0"

_PARTS = (MULTIPART, EVENTS)
_STREAMS = (EVENTS, SUBSCRIPTIONS)
# Parameters of older formats of incremental delivery, and of subscriptions over multipart.
_OTHER_FORMATS = ("deferspec=", "subscriptionspec=")

# Clients send few distinct headers, and short ones: a browser's has about 100 characters.
_MAX_CACHED = 128
_MAX_CACHED_CHARS = 256


class Accepted(NamedTuple):
    """The media types of a whole answer, of one in parts, and of a subscription's results.

    None: parts, or a stream of results, are not accepted. For a client that accepts nothing else, a
    whole answer has one of their types: it is sent as a single part.
    """

    whole: str
    parts: str | None = None
    stream: str | None = None


def negotiated(accept: str, *, html: bool) -> Accepted:
    """The media types that the client prefers; JSON if the header is empty.

    Parts need a client that names their media type: `*/*` does not select them.

    Raises:
        NotAcceptable: the header admits none of the served media types.
    """
    negotiate = _negotiate_cached if len(accept) <= _MAX_CACHED_CHARS else _negotiate
    return negotiate(accept, html)


def _negotiate(accept: str, html: bool) -> Accepted:  # noqa: FBT001  it is a part of the key
    offered = (JSON, GRAPHQL_RESPONSE, HTML) if html else (JSON, GRAPHQL_RESPONSE)
    ranges = [_parsed(text) for text in accept.split(",") if text.strip()]
    if not ranges:
        return Accepted(JSON)
    # The earlier of two equals wins: clients list their preference first.
    best = max(offered, key=lambda media_type: _preference(media_type, ranges))
    named = {name for name, _ in ranges}
    parts = _preferred(_PARTS, named, ranges)
    stream = _preferred(_STREAMS, named, ranges)
    if _preference(best, ranges) > (0, 0, 0):
        return Accepted(best, parts, stream)
    whole = parts or stream
    if whole is None:
        raise NotAcceptable((*offered, *_PARTS))
    return Accepted(whole, parts, stream)


_negotiate_cached = lru_cache(_MAX_CACHED)(_negotiate)


def _preferred(
    offered: tuple[str, ...], named: set[str], ranges: list[tuple[str, float]]
) -> str | None:
    """The preferred one of these media types that are named."""
    names = [name for name in offered if name in named and _preference(name, ranges) > (0, 0, 0)]
    return max(names, key=lambda name: _preference(name, ranges), default=None)


def _parsed(media_range: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in media_range.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = min(max(0.0, float(parameter[2:])), 1.0)  # NaN becomes 0
            except ValueError:
                quality = 0.0
        elif parameter.startswith(_OTHER_FORMATS):
            name = f"{name};" + parameter.replace('"', "")
        elif parameter.startswith("charset=") and parameter.replace('"', "") != "charset=utf-8":
            quality = 0.0
    return name, quality


def _preference(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """(quality, specificity, minus position) of the most specific range that matches."""
    best = (0, 0.0, 0)
    for position, (name, quality) in enumerate(ranges):
        specificity = _specificity(media_type, name)
        if specificity > best[0]:
            best = (specificity, quality, -position)
    specificity, quality, earliness = best
    if specificity == 0 or quality == 0.0:
        return (0, 0, 0)
    return (quality, specificity, earliness)


def _specificity(media_type: str, media_range: str) -> int:
    if media_range == media_type:
        return 3
    if media_range == media_type.split("/", maxsplit=1)[0] + "/*":
        return 2
    return 1 if media_range == "*/*" else 0
