"""Negotiation of the response's media type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import NotAcceptable
from graph.server.accept import (
    EVENTS,
    GRAPHQL_RESPONSE,
    HTML,
    JSON,
    MULTIPART,
    SUBSCRIPTIONS,
    Accepted,
    _negotiate_cached,
    negotiated,
)

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
APOLLO = "application/graphql-response+json,application/json;q=0.9"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        (" , ,", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        ('application/json; charset="UTF-8"', JSON),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        (APOLLO, GRAPHQL_RESPONSE),
        ("application/graphql-response+json; charset=utf-8, application/json", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json", JSON),
        ("application/graphql-response+json;q=0.5, application/json;q=0.6", JSON),
        ("application/graphql-response+json, */*;q=0.1", GRAPHQL_RESPONSE),
        ("*/*, application/json;q=0", GRAPHQL_RESPONSE),
        ("text/html, */*;q=0.1", JSON),
        ("text/plain, application/json;q=0.001", JSON),
        ("application/json;q=7", JSON),
    ],
)
def test_an_answer_comes_as_the_client_likes_it_best(accept: str, chosen: str) -> None:
    assert negotiated(accept, html=False) == Accepted(chosen)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (FIREFOX, HTML),
        ("text/html", HTML),
        ("text/*", HTML),
        ("text/html;q=0.5, application/json", JSON),
        ("*/*", JSON),
        ("", JSON),
        (APOLLO, GRAPHQL_RESPONSE),
    ],
)
def test_a_page_is_served_to_clients_that_prefer_html(accept: str, chosen: str) -> None:
    assert negotiated(accept, html=True) == Accepted(chosen)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/plain, image/*",
        "application/xml",
        "json",
        "*",
        "*/json",
        "application/json;q=0",
        "application/json;q=x",
        "application/json;q=nan",
        "application/json;q=-1",
        "application/json; charset=latin-1",
        "*/*;q=0",
        "\xff",
    ],
)
def test_a_client_that_accepts_no_served_type_gets_the_list_of_them(accept: str) -> None:
    with pytest.raises(NotAcceptable, match=r"application/json, application/graphql-.* or text/"):
        negotiated(accept, html=False)


@given(st.text(st.sampled_from("*/;,= q01.application/json+text/html\"'\xff"), max_size=80))
def test_any_header_gets_something_on_offer_or_is_refused(accept: str) -> None:
    try:
        chosen = negotiated(accept, html=True)
    except NotAcceptable:
        return

    assert chosen.whole in {JSON, GRAPHQL_RESPONSE, HTML}
    assert chosen.parts is None


URQL = f"{GRAPHQL_RESPONSE}, application/graphql+json, {JSON}, {EVENTS}, {MULTIPART}"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (URQL, Accepted(GRAPHQL_RESPONSE, EVENTS, EVENTS)),
        (f"{MULTIPART};incrementalSpec=v0.2, {APOLLO}", Accepted(GRAPHQL_RESPONSE, MULTIPART)),
        (f"{MULTIPART};deferSpec=20220824, {APOLLO}", Accepted(GRAPHQL_RESPONSE)),
        (f"{MULTIPART};subscriptionSpec=1.0, {JSON}", Accepted(JSON, None, SUBSCRIPTIONS)),
        (
            f'{MULTIPART};boundary="graphql";subscriptionSpec="1.0", {APOLLO}',
            Accepted(GRAPHQL_RESPONSE, None, SUBSCRIPTIONS),
        ),
        (f"{MULTIPART};subscriptionSpec=2.0, {JSON}", Accepted(JSON)),
        (
            f"{MULTIPART};subscriptionSpec=1.0",
            Accepted(SUBSCRIPTIONS, None, SUBSCRIPTIONS),
        ),
        (f"{MULTIPART};deferSpec=20220824, {MULTIPART}, {JSON}", Accepted(JSON, MULTIPART)),
        (f"{MULTIPART};q=0.5, {EVENTS};q=0.6, */*", Accepted(JSON, EVENTS, EVENTS)),
        (f"{MULTIPART};q=0, {JSON}", Accepted(JSON)),
        ("multipart/*, text/*, */*", Accepted(JSON)),
        (EVENTS, Accepted(EVENTS, EVENTS, EVENTS)),
        (MULTIPART.upper(), Accepted(MULTIPART, MULTIPART)),
        (f"{MULTIPART}, {EVENTS}", Accepted(MULTIPART, MULTIPART, EVENTS)),
    ],
)
def test_an_answer_comes_in_parts_for_clients_that_name_the_type(
    accept: str, chosen: Accepted
) -> None:
    assert negotiated(accept, html=False) == chosen


def test_cached_headers_are_bounded_in_number_and_length() -> None:
    _negotiate_cached.cache_clear()
    long = "text/plain," * 30 + GRAPHQL_RESPONSE

    assert negotiated(long, html=False) == Accepted(GRAPHQL_RESPONSE)
    assert _negotiate_cached.cache_info().currsize == 0
    for nth in range(1000):
        assert negotiated(f"text/plain, {JSON};v={nth}", html=False) == Accepted(JSON)
    assert _negotiate_cached.cache_info().currsize == 128
