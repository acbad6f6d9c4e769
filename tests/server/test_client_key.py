"""Which client a request is of, behind proxies that name addresses in many ways."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from graph.server.client_key import ClientKeys
from graph.viewer import ANONYMOUS

if TYPE_CHECKING:
    from starlette.types import Scope

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def scope_of(peer: str, *forwarded: str) -> Scope:
    headers: Any = [(b"x-forwarded-for", each.encode("latin-1")) for each in forwarded]
    return {"type": "http", "client": (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # it is no proxy
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::/64"),
        ("10.0.0.1", '"[2001:db8::1]:4711"', "2001:db8::/64"),
        ("fd00::1", "2001:db8::1", "2001:db8::/64"),
        # What a client writes to the left of its own address is not believed.
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2:80", "198.51.100.1"),
        # A hop without an address hides what is before it.
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, _hidden", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, _hidden:80", "10.0.0.1"),
        ("10.0.0.1", "\xb2.1.1.1", "10.0.0.1"),
        ("10.0.0.1", "010.0.0.1", "10.0.0.1"),
        ("10.0.0.1", ", ,", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1," * 100_000 + "198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", "unknown"),
    ],
)
def test_a_client_is_the_last_address_that_is_no_proxys(
    peer: str, forwarded: str, expected: str
) -> None:
    keys = ClientKeys(PROXIES)

    assert keys.client_key(scope_of(peer, forwarded), ANONYMOUS) == expected


def test_several_header_fields_are_one_list() -> None:
    scope = scope_of("10.0.0.1", "1.1.1.1", "198.51.100.1")

    assert ClientKeys(PROXIES).client_key(scope, ANONYMOUS) == "198.51.100.1"


def test_without_trusted_proxies_no_header_is_read() -> None:
    scope = scope_of("10.0.0.1", "198.51.100.1")

    assert ClientKeys(()).client_key(scope, ANONYMOUS) == "10.0.0.1"
