"""The keys of a provider: which of them verify a token, and how they stay current."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

from graph.errors import ProviderUnavailable
from graph.server import jwks
from graph.server.jwks import JWKSet
from tests.server.provider import ALGORITHMS, claims, new_key
from tests.server.test_authentication import (
    SECRET,
    part,
    provider,
    refusal,
    scope_with,
    shared,
    trusting,
    viewer_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.server.authentication import Authenticator
    from tests.server.provider import Provider

__all__ = ["provider", "shared"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_is_verified_by_the_key_that_it_names(
    provider: Provider, algorithm: str
) -> None:
    provider.keys = {name: new_key(name, name) for name in ALGORITHMS}
    async with trusting(provider) as authenticator:
        assert (await viewer_of(authenticator, provider.token(algorithm, algorithm))).subject

        for other in set(ALGORITHMS) - {algorithm}:
            # It names a key of another type.
            header = {"alg": algorithm, "kid": other}
            wrong = jwt.encode(header, claims(), provider.keys[algorithm], [algorithm])
            assert "no key" in await refusal(authenticator, wrong)


@pytest.mark.parametrize("named", [None, "Ed25519", "EdDSA"])
async def test_the_old_name_of_ed25519_is_accepted(provider: Provider, named: str | None) -> None:
    key = OKPKey.generate_key("Ed25519", {"kid": "1"})
    published = key.as_dict(private=False) | ({"alg": named} if named else {})
    provider.body = json.dumps({"keys": [published]}).encode()
    token = _eddsa(key)
    async with trusting(provider) as authenticator:
        assert (await viewer_of(authenticator, token)).subject
        forged = _eddsa(OKPKey.generate_key("Ed25519", {"kid": "1"}))
        assert "signature" in await refusal(authenticator, forged)


async def test_eddsa_is_accepted_with_keys_of_ed25519_only(
    provider: Provider, shared: Authenticator
) -> None:
    key = OKPKey.generate_key("Ed448", {"kid": "1"})
    published = [key.as_dict(private=False) | {"alg": "EdDSA"}]
    published.append(new_key("ES256", "2").as_dict(private=False))
    provider.body = json.dumps({"keys": published}).encode()
    async with trusting(provider) as authenticator:
        assert "no key" in await refusal(authenticator, _eddsa(key))

    # A shared secret has one algorithm.
    assert "algorithm" in await refusal(shared, _eddsa(key))


def _eddsa(key: OKPKey) -> str:
    with warnings.catch_warnings(action="ignore", category=SecurityWarning):
        return jwt.encode({"alg": "EdDSA", "kid": "1"}, claims(), key, ["EdDSA"])


async def test_a_key_needs_no_name_where_it_is_the_only_one(provider: Provider) -> None:
    async with trusting(provider) as authenticator:
        unnamed = jwt.encode({"alg": "ES256"}, claims(), provider.keys["1"], ["ES256"])
        assert (await viewer_of(authenticator, unnamed)).subject

    provider.keys["2"] = new_key("ES256", "2")
    async with trusting(provider) as authenticator:
        await viewer_of(authenticator, provider.token())
        assert "does not name its key" in await refusal(authenticator, unnamed)


# A modulus of 1,024 bits.
WEAK_KEY = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": part(b"\xc1" * 128)}


async def test_keys_that_cannot_verify_are_passed_over(provider: Provider) -> None:
    good = provider.keys["1"].as_dict(private=False)
    provider.body = json.dumps(
        {
            "keys": [
                {"kty": "AKP", "kid": "pq"},
                {"kty": "oct", "kid": "secret", "k": part(SECRET.encode())},
                {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "?", "y": 7},
                new_key("ES256", "other").as_dict(private=False) | {"use": "enc"},
                WEAK_KEY,
                None,
                good,
            ]
        }
    ).encode()
    async with trusting(provider) as authenticator:
        unnamed = jwt.encode({"alg": "ES256"}, claims(), provider.keys["1"], ["ES256"])
        assert (await viewer_of(authenticator, unnamed)).subject  # a set of one key


async def test_a_rotated_key_is_found_at_once_and_the_old_one_forgotten(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trusting(provider) as authenticator:
        old = provider.token()
        await viewer_of(authenticator, old)
        provider.rotate(kid="2")
        assert authenticator.known(scope_with(f"Bearer {old}")) is not None

        monkeypatch.setattr(jwks, "_UNKNOWN_KEY_SECONDS", 0.0)
        assert (await viewer_of(authenticator, provider.token("2"))).subject

        assert authenticator.known(scope_with(f"Bearer {old}")) is None
        assert "no key" in await refusal(authenticator, old)


async def test_keys_are_renewed_in_the_background(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "_RENEW_SECONDS", 0.05)
    async with trusting(provider) as authenticator:
        token = provider.token()
        await viewer_of(authenticator, token)
        provider.rotate(kid="2")

        await until(lambda: authenticator.known(scope_with(f"Bearer {token}")) is None)


async def test_an_equal_set_forgets_nobody(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "_RENEW_SECONDS", 0.02)
    async with trusting(provider) as authenticator:
        token = provider.token()
        await viewer_of(authenticator, token)
        before = provider.requests

        await until(lambda: provider.requests > before + 3)

        assert authenticator.known(scope_with(f"Bearer {token}")) is not None


async def test_a_flood_of_unknown_keys_causes_one_request(provider: Provider) -> None:
    async with trusting(provider) as authenticator:
        await viewer_of(authenticator, provider.token())
        before = provider.requests
        tokens = []
        for number in range(50):
            header = {"alg": "ES256", "kid": f"unknown {number}"}
            tokens.append(jwt.encode(header, claims(), provider.keys["1"], ["ES256"]))

        await asyncio.gather(*(refusal(authenticator, token) for token in tokens))

    assert provider.requests - before <= 1


async def test_the_last_keys_stay_while_the_provider_is_down(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jwks, "_UNKNOWN_KEY_SECONDS", 0.0)
    caplog.set_level(logging.WARNING, logger="graph")
    async with trusting(provider) as authenticator:
        await viewer_of(authenticator, provider.token())
        provider.status = 500
        unknown = jwt.encode({"alg": "ES256", "kid": "2"}, claims(), provider.keys["1"], ["ES256"])

        for _ in range(3):
            with pytest.raises(ProviderUnavailable):
                await viewer_of(authenticator, unknown)
        assert (await viewer_of(authenticator, provider.token(sub="bob"))).subject

    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "the keys at GRAPH_JWT_JWKS_URL cannot be loaded: the status is 500"
    ]


@pytest.mark.parametrize(
    "broken",
    [
        {"status": 404},
        {"status": 302, "headers": {"location": "/keys?moved"}},
        {"body": b"<html>"},
        {"body": b"[]"},
        {"body": b'{"keys": {}}'},
        {"body": b'{"keys": []}'},
        {"body": b'{"keys": [' + b" " * 262_144 + b"]}"},
        {"headers": {"content-encoding": "gzip"}, "body": b"\x1f\x8b not gzip"},
        {"delay_seconds": 2},
    ],
)
async def test_without_keys_a_token_is_neither_valid_nor_invalid(
    provider: Provider, broken: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "delay_seconds" in broken:  # the others have the time that a busy machine needs
        monkeypatch.setattr(jwks, "_TIMEOUT_SECONDS", 1.0)
    token = provider.token()
    for name, value in broken.items():
        setattr(provider, name, value)
    async with trusting(provider) as authenticator:
        with pytest.raises(ProviderUnavailable):
            await viewer_of(authenticator, token)
        with pytest.raises(ProviderUnavailable):  # at once, without another request
            await viewer_of(authenticator, token)
    assert provider.requests == 1


async def test_a_provider_that_comes_up_later_is_found(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks, "_RETRY_SECONDS", 0.05)
    provider.status = 503
    keys = JWKSet(provider.url)
    async with keys.kept_current():
        await until(lambda: provider.requests > 0)
        provider.status = 200

        async def is_found() -> bool:
            try:
                return await keys.find("ES256", "1") is not None
            except ProviderUnavailable:
                return False

        deadline = time.monotonic() + 60
        while not await is_found():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


async def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
