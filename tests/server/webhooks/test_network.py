"""Webhooks reach the internet, and nothing else unless a setting allows it."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from graph.server.webhooks import sending
from graph.server.webhooks.attempts import DeliveryFailed
from graph.server.webhooks.network import is_public
from graph.server.webhooks.sending import Sender, checked_url
from graph.server.webhooks.signing import new_secret
from tests.server.webhooks.receiver import status

if TYPE_CHECKING:
    from tests.server.webhooks.receiver import Receiver


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        *((each, False) for each in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1")),
        *((each, False) for each in ("169.254.169.254", "100.64.0.1", "0.0.0.0")),  # noqa: S104
        *((each, False) for each in ("224.0.0.1", "255.255.255.255", "240.0.0.1")),
        *((each, False) for each in ("::1", "::", "fe80::1", "fd00::1", "ff02::1")),
        *((each, False) for each in ("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::")),
        *((each, False) for each in ("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe")),
        # Site-local, IPv4-compatible, IPv4-translated, local-use NAT64, Teredo, 6to4, discard-only.
        *((each, False) for each in ("fec0::1", "::7f00:1", "::ffff:0:7f00:1", "100::1")),
        *((each, False) for each in ("64:ff9b:1::7f00:1", "2001:0:1:1::80ff:fffe", "2002:a00:1::")),
        ("64:ff9b::5db8:d822", True),
    ],
)
def test_addresses_that_are_not_of_the_internet_are_known(address: str, expected: bool) -> None:
    assert is_public(ip_address(address)) == expected


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_not_reached_by_any_name(receiver: Receiver, host: str) -> None:
    for networks in ((), (ip_network("10.0.0.0/8"),)):
        sender = Sender(networks)
        async with sender.running():
            with pytest.raises(DeliveryFailed, match="no address that webhooks may use"):
                await sender.send(f"http://{host}:{receiver.port}/", [new_secret()], "1", b"{}")
    assert receiver.got == []


async def test_the_address_of_the_connection_is_the_one_that_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that leads to a public address at first, and then to this machine."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    looked_up = 0

    async def look_up(*_: Any, **__: Any) -> Any:
        nonlocal looked_up
        looked_up += 1
        return [(2, 1, 6, "", (next(answers), 80))]

    connected: list[str] = []

    async def connect(_: Any, host: str, *__: Any) -> Any:
        connected.append(host)
        raise TimeoutError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up, raising=False)
    monkeypatch.setattr("httpcore.AnyIOBackend.connect_tcp", connect)
    sender = Sender(())
    async with sender.running():
        with pytest.raises(DeliveryFailed):
            await sender.send("https://rebinding.example/", [new_secret()], "1", b"{}")
        with pytest.raises(DeliveryFailed, match="no address that webhooks may use"):
            await sender.send("https://rebinding.example/", [new_secret()], "1", b"{}")
    assert (connected, looked_up) == (["93.184.216.34"], 2)


async def test_responses_are_bounded_and_redirects_are_not_followed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 3)
    sender = Sender([ip_network("127.0.0.0/8")])
    async with sender.running():

        async def problem(answer: bytes, delay: float = 0) -> str:
            receiver.answer, receiver.delay_seconds = (lambda _: answer), delay
            try:
                await sender.send(receiver.url, [new_secret()], "1", b"{}")
            except DeliveryFailed as error:
                return f"{error}"
            return ""

        assert await problem(status(200, b"x" * 100)) == ""
        elsewhere = status(302, location=f"http://127.0.0.1:{receiver.port}/elsewhere")
        assert await problem(elsewhere) == "status 302"
        assert {got.path for got in receiver.got} == {"/hooks"}
        assert await problem(status(200, b"x" * 10_000_000)) == ""
        assert "no response within" in await problem(status(200), delay=30)
        assert await problem(b"garbage\r\n\r\n") != ""
        assert await problem(b"HTTP/1.1 200 X\r\n" + b"a: b\r\n" * 100_000) != ""


async def test_cookies_of_receivers_are_not_kept(receiver: Receiver) -> None:
    receiver.answer = lambda got: (
        b"HTTP/1.1 204 X\r\nset-cookie: c%d=%b\r\n\r\n" % (got.event, b"x" * 4_000)
    )
    sender = Sender([ip_network("127.0.0.0/8")])
    async with sender.running():
        for number in range(40):
            await sender.send(receiver.url, [new_secret()], f"{number}", b"{}")
    assert [got for got in receiver.got if "cookie" in got.headers] == []


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_a_response_without_end_ends_in_time(
    receiver: Receiver, endless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.5)
    receiver.answer = lambda _: endless * (1 if b"200" in endless else 200_000)
    sender = Sender([ip_network("127.0.0.0/8")])
    async with sender.running(), asyncio.timeout(60):
        with pytest.raises(DeliveryFailed, match="no response within"):
            await sender.send(receiver.url, [new_secret()], "1", b"{}")


async def test_a_compressed_response_is_not_unpacked(receiver: Receiver) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    receiver.answer = lambda _: (
        (b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb))
        + bomb
    )
    sender = Sender([ip_network("127.0.0.0/8")])
    tracemalloc.start()
    try:
        async with sender.running():
            await sender.send(receiver.url, [new_secret()], "1", b"{}")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("url", "allows_http", "why"),
    [
        ("https://shop.example/hooks?x=1", False, None),
        ("http://10.0.0.1/hooks", True, None),
        ("http://shop.example", False, "https://"),
        ("ftp://shop.example", True, "https://"),
        ("https://user:secret@shop.example", False, "no password"),
        ("https://shop.example/#part", False, "no fragment"),
        ("https://", False, "URL such as"),
        ("https://shop.example:99999", False, "URL such as"),
        ("https://shop.example/\n", False, "URL such as"),
        ("shop.example", False, "URL such as"),
        ("https://" + "a" * 3_000, False, "URL such as"),
    ],
)
def test_urls_are_checked(url: str, allows_http: bool, why: str | None) -> None:
    if why is None:
        assert checked_url(url, allows_http=allows_http) == url
        return
    with pytest.raises(ValueError, match=why):
        checked_url(url, allows_http=allows_http)
