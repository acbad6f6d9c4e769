"""Which media type an answer comes in (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from graph.errors import NotAcceptable

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HTML = "text/html"
# Of answers in parts.
MULTIPART = "multipart/mixed"
EVENTS = "text/event-stream"

_STREAMS = (MULTIPART, EVENTS)
# Parameters by which clients ask for formats of parts that are of other times, or not for queries.
_OTHER_FORMATS = ("deferspec=", "subscriptionspec=")

# Clients send few different headers, and short ones: a browser's has a hundred characters.
_MAX_KEPT = 128
_MAX_KEPT_CHARS = 256


class Accepted(NamedTuple):
    """The media type of an answer as a whole, and of one in parts: None, it must not be in parts.

    Who takes nothing but parts gets a whole answer as the only one.
    """

    whole: str
    parts: str | None


def negotiated(accept: str, *, html: bool) -> Accepted:
    """The media types that the client likes best; JSON where it does not care.

    An answer comes in parts only for who names their media type: by `*/*` nobody means them.

    Raises:
        NotAcceptable: it accepts none of those on offer.
    """
    choose = _chosen_before if len(accept) <= _MAX_KEPT_CHARS else _enum_lookup
    return choose(accept, html)


def _enum_lookup(accept: str, html: bool) -> Accepted:  # noqa: FBT001  it is a part of the key
    offered = (JSON, GRAPHQL_RESPONSE, HTML) if html else (JSON, GRAPHQL_RESPONSE)
    ranges = [_parsed(text) for text in accept.split(",") if text.strip()]
    if not ranges:
        return Accepted(JSON, None)
    # The earlier of two equals wins, as clients list what they like best first.
    best = max(offered, key=lambda media_type: _liking(media_type, ranges))
    named = {name for name, _ in ranges}
    streams = [name for name in _STREAMS if name in named and _liking(name, ranges) > (0, 0, 0)]
    parts = max(streams, key=lambda name: _liking(name, ranges), default=None)
    if _liking(best, ranges) > (0, 0, 0):
        return Accepted(best, parts)
    if parts is None:
        raise NotAcceptable(" or ".join((*offered, *_STREAMS)))
    return Accepted(parts, parts)


_chosen_before = lru_cache(_MAX_KEPT)(_enum_lookup)


def _parsed(media_range: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in media_range.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = min(max(0.0, float(parameter[2:])), 1.0)  # and NaN is 0
            except ValueError:
                quality = 0.0
        elif parameter.startswith(_OTHER_FORMATS):
            name = f"{name};{parameter}"
        elif parameter.startswith("charset=") and parameter.replace('"', "") != "charset=utf-8":
            quality = 0.0
    return name, quality


def _liking(media_type: str, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """(quality, how exactly it is named, how early): the most exact range counts."""
    best = (0, 0.0, 0)
    for position, (name, quality) in enumerate(ranges):
        exactness = _exactness(media_type, name)
        if exactness > best[0]:
            best = (exactness, quality, -position)
    exactness, quality, earliness = best
    if exactness == 0 or quality == 0.0:
        return (0, 0, 0)
    return (quality, exactness, earliness)


def _exactness(media_type: str, media_range: str) -> int:
    if media_range == media_type:
        return 3
    if media_range == media_type.split("/", maxsplit=1)[0] + "/*":
        return 2
    return 1 if media_range == "*/*" else 0
