"""A valid token makes a viewer, and any other is refused."""

from __future__ import annotations

import base64
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from hmac import digest
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from graph.errors import InvalidSetting, InvalidToken
from graph.server.authentication import Authenticator
from graph.settings import Settings
from tests.server.provider import AUDIENCE, ISSUER, claims, new_key, running_provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.viewer import Viewer
    from tests.server.provider import Provider

ROLES = {
    "anonymous": frozenset[str](),
    "customer": frozenset({"own"}),
    "clerk": frozenset({"store:read", "orders:write"}),
    "manager": frozenset({"store:read", "orders:write", "costs:read"}),
}
SECRET = "correct horse battery staple, twice"  # noqa: S105  of nothing


def made(**changed: Any) -> Authenticator:
    common = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    return Authenticator(Settings.model_validate(common | changed), ROLES)


@pytest.fixture
def shared() -> Authenticator:
    return made(jwt_secret=SECRET)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@asynccontextmanager
async def trusting(provider: Provider, **changed: Any) -> AsyncIterator[Authenticator]:
    authenticator = made(jwt_jwks_url=provider.url, **changed)
    async with authenticator.running():
        yield authenticator


def scope_with(*authorizations: str | bytes) -> dict[str, Any]:
    values = [each.encode() if isinstance(each, str) else each for each in authorizations]
    headers = [(b"accept", b"*/*"), *((b"authorization", value) for value in values)]
    return {"headers": headers}


async def viewer_of(authenticator: Authenticator, token: str) -> Viewer:
    scope = scope_with(f"Bearer {token}")
    return authenticator.known(scope) or await authenticator.identify(scope)


async def refusal(authenticator: Authenticator, token: str | bytes) -> str:
    scheme: Any = b"Bearer " if isinstance(token, bytes) else "Bearer "
    with pytest.raises(InvalidToken) as refused:
        await authenticator.identify(scope_with(scheme + token))
    assert authenticator.known(scope_with(scheme + token)) is None
    return str(refused.value).removeprefix("The bearer token is not valid: ")


def signed(secret: str = SECRET, algorithm: str = "HS256", /, **changed: Any) -> str:
    key = OctKey.import_key(secret)
    return jwt.encode({"alg": algorithm}, claims(**changed), key, [algorithm])


def signed_as_it_is(header: Any, payload: Any, secret: str = SECRET) -> str:
    """A token that no library would make, with a valid signature of HS256."""
    body = f"{part(header)}.{part(payload)}"
    return f"{body}.{part(digest(secret.encode(), body.encode(), sha256))}"


def part(content: Any) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


# Viewers


def test_without_a_token_the_role_is_that_of_the_profile_or_the_setting() -> None:
    for changed, role in (
        ({}, "manager"),
        ({"profile": "production"}, "anonymous"),
        ({"profile": "production", "anonymous_role": "clerk"}, "clerk"),
    ):
        viewer = made(jwt_secret=SECRET, **changed).known(scope_with())
        assert viewer is not None
        assert (viewer.subject, viewer.role, viewer.may) == (None, role, ROLES[role])


async def test_a_token_makes_a_viewer_of_its_issuer(shared: Authenticator) -> None:
    expires = int(time.time()) + 600

    viewer = await viewer_of(shared, signed(role="clerk", customer_id=7, exp=expires))

    assert viewer.subject == f"{ISSUER} ann"
    assert viewer.role == "clerk"
    assert viewer.may == ROLES["clerk"]
    assert viewer.own == 7
    assert viewer.expires_at == datetime.fromtimestamp(expires, UTC)


@pytest.mark.parametrize(
    ("claim", "role"),
    [
        ({}, "customer"),
        ({"role": "unknown"}, "customer"),
        ({"role": 7}, "customer"),
        ({"role": {"clerk": True}}, "customer"),
        ({"role": ["clerk", "manager", "customer"]}, "manager"),
        ({"role": ["manager", None]}, "manager"),
        ({"role": "anonymous"}, "anonymous"),
    ],
)
async def test_the_most_powerful_known_role_counts(
    shared: Authenticator, claim: dict[str, Any], role: str
) -> None:
    assert (await viewer_of(shared, signed(**claim))).role == role


async def test_claims_are_where_the_settings_say() -> None:
    authenticator = made(
        jwt_secret=SECRET,
        jwt_role_claim="realm_access.roles",
        jwt_roles="shop-staff=clerk,shop-admin=manager",
        jwt_own_claim="https://shop.example/customer",
        jwt_default_role="anonymous",
    )
    named: dict[str, Any] = {
        "realm_access": {"roles": ["shop-staff", "offline"]},
        "https://shop.example/customer": "9",
    }

    clerk = await viewer_of(authenticator, signed(**named))
    by_name = await viewer_of(authenticator, signed(realm_access={"roles": ["manager"]}))

    assert (clerk.role, clerk.own) == ("clerk", 9)
    assert by_name.role == "anonymous"  # the values have names of their own


async def test_a_service_has_the_scopes_of_its_token_and_no_others(shared: Authenticator) -> None:
    token = signed(role="service", scope="openid orders:write costs:read store:manage")

    viewer = await viewer_of(shared, token)

    assert viewer.role == "service"
    assert viewer.may == frozenset({"orders:write", "costs:read"})
    assert (await viewer_of(shared, signed(role="clerk", scope="costs:read"))).may == ROLES["clerk"]


@pytest.mark.parametrize(
    "value", [True, 1.5, [1], {"id": 1}, 2**63, "9" * 30, "9" * 19, "abc", "", "-1", "\uff11"]
)
async def test_a_malformed_row_key_is_refused(shared: Authenticator, value: Any) -> None:
    assert "'customer_id'" in await refusal(shared, signed(customer_id=value))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"anonymous_role": "boss"}, "GRAPH_ANONYMOUS_ROLE"),
        ({"jwt_default_role": "boss"}, "GRAPH_JWT_DEFAULT_ROLE"),
        ({"jwt_roles": "admin=boss"}, "GRAPH_JWT_ROLES"),
    ],
)
def test_a_setting_must_name_a_role(changed: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{named} is invalid: the role 'boss'"):
        made(jwt_secret=SECRET, **changed)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"jwt_secret": "x" * 31}, "32 bytes"),
        ({"jwt_secret": SECRET, "jwt_jwks_url": "https://a.example/keys"}, "not both"),
        ({}, "belong together"),
        ({"jwt_issuer": None, "jwt_secret": SECRET}, "belong together"),
        ({"jwt_audience": None, "jwt_secret": SECRET}, "belong together"),
        ({"jwt_jwks_url": "http://login.example/keys"}, "https://"),
        ({"jwt_jwks_url": "ftp://localhost/keys"}, "https://"),
        ({"jwt_jwks_url": "https://"}, "https://"),
        ({"jwt_jwks_url": "http://localhost@evil.example/"}, "https://"),
        ({"jwt_secret": SECRET, "jwt_roles": "admin"}, "value=role"),
        (
            {"jwt_issuer": "graph-development", "jwt_secret": SECRET, "profile": "production"},
            "must not be graph-development in production",
        ),
    ],
)
def test_settings_that_verify_nothing_are_refused(changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        made(**changed)


# The header


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", "Bearer a b", "Bearer a,Bearer b"],
)
async def test_a_header_that_is_no_bearer_token_is_refused(
    shared: Authenticator, authorization: str
) -> None:
    assert shared.known(scope_with(authorization)) is None
    with pytest.raises(InvalidToken):
        await shared.identify(scope_with(authorization))


async def test_two_valid_headers_are_refused(shared: Authenticator) -> None:
    value = f"Bearer {signed()}"
    await shared.identify(scope_with(value))

    assert shared.known(scope_with(value, value)) is None
    with pytest.raises(InvalidToken):
        await shared.identify(scope_with(value, value))


async def test_the_scheme_has_no_case(shared: Authenticator) -> None:
    assert (await shared.identify(scope_with(f"bEARER {signed()}"))).subject


async def test_a_token_has_8_kilobytes_at_most(shared: Authenticator) -> None:
    padding = "x" * 4_000
    assert (await viewer_of(shared, signed(padding=padding))).subject
    assert "longer than 8192 bytes" in await refusal(shared, signed(padding=padding * 2))


async def test_where_no_issuer_is_set_every_token_is_refused() -> None:
    authenticator = Authenticator(Settings(), ROLES)

    assert "accepts API keys only" in await refusal(authenticator, signed())


# Claims


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"iss": None}, "'iss'"),
        ({"iss": "https://login.example"}, "'iss'"),
        ({"iss": [ISSUER]}, "'iss'"),
        ({"aud": None}, "'aud'"),
        ({"aud": "https://other.example"}, "'aud'"),
        ({"aud": []}, "'aud'"),
        ({"aud": {AUDIENCE: 1}}, "'aud'"),
        ({"aud": f"{AUDIENCE} x"}, "'aud'"),
        ({"exp": None}, "'exp' is missing"),
        ({"exp": "9999999999"}, "'exp' must be a number"),
        ({"exp": True}, "'exp' must be a number"),
        ({"exp": float("inf")}, "'exp' must be a number"),
        ({"exp": float("nan")}, "'exp' must be a number"),
        ({"exp": 10**400}, "'exp' must be a number"),
        ({"exp": 0}, "expired"),
        ({"nbf": 9_999_999_999}, "'nbf' is in the future"),
        ({"iat": 9_999_999_999}, "'iat' is in the future"),
        ({"nbf": "x"}, "'nbf' must be a number"),
        ({"nbf": -(10**400)}, "'nbf' must be a number"),
        ({"sub": None}, "'sub'"),
        ({"sub": ""}, "'sub'"),
        ({"sub": 7}, "'sub'"),
        ({"sub": "x" * 256}, "'sub'"),
        ({"sub": "a\nb"}, "'sub' must be printable"),
        ({"sub": "a\0"}, "'sub' must be printable"),
    ],
)
async def test_a_token_without_the_required_claims_is_refused(
    shared: Authenticator, changed: dict[str, Any], problem: str
) -> None:
    assert problem in await refusal(shared, signed(**changed))


async def test_a_text_that_is_no_unicode_is_refused(shared: Authenticator) -> None:
    payload = json.dumps(claims(sub="\ud800")).encode()

    assert "printable" in await refusal(shared, signed_as_it_is({"alg": "HS256"}, payload))


async def test_one_of_several_audiences_is_enough(shared: Authenticator) -> None:
    assert (await viewer_of(shared, signed(aud=["https://other.example", AUDIENCE]))).subject


async def test_a_subject_may_have_255_characters(shared: Authenticator) -> None:
    assert (await viewer_of(shared, signed(sub="é" * 255))).subject == f"{ISSUER} {'é' * 255}"


async def test_an_expiry_beyond_the_calendar_is_its_end(shared: Authenticator) -> None:
    viewer = await viewer_of(shared, signed(exp=10**30))

    assert viewer.expires_at is not None
    assert viewer.expires_at.year == 9999


async def test_clocks_may_differ_by_the_leeway(shared: Authenticator) -> None:
    now = int(time.time())
    for name, sign in (("exp", -1), ("nbf", 1), ("iat", 1)):
        within: dict[str, Any] = {name: now + 25 * sign}
        beyond: dict[str, Any] = {name: now + 35 * sign}
        assert (await viewer_of(shared, signed(**within))).subject
        await refusal(shared, signed(**beyond))
    strict = made(jwt_secret=SECRET, jwt_leeway_seconds=0)
    await refusal(strict, signed(exp=now - 1))


async def test_a_known_token_ends_with_its_expiry(
    shared: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, now = signed(), time.time()
    await viewer_of(shared, token)
    scope = scope_with(f"Bearer {token}")
    assert shared.known(scope) is not None

    monkeypatch.setattr(time, "time", lambda: now + 700)

    assert shared.known(scope) is None
    assert "expired" in await refusal(shared, token)


# Signatures


async def test_a_token_of_no_algorithm_is_refused(shared: Authenticator) -> None:
    payload = part(claims())
    for name in ("none", "None", "NONE", "nOnE"):
        for signature in ("", part(b"x")):
            header = part({"alg": name})
            assert "algorithm" in await refusal(shared, f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
async def test_another_algorithm_with_the_right_secret_is_refused(
    shared: Authenticator, algorithm: str
) -> None:
    assert "algorithm" in await refusal(shared, signed(SECRET * 2, algorithm))


async def test_a_wrong_secret_is_refused(shared: Authenticator) -> None:
    assert "signature" in await refusal(shared, signed("another secret of 32 bytes or so."))


async def test_a_changed_token_is_refused(shared: Authenticator) -> None:
    header, _, signature = signed().split(".")
    forged = f"{header}.{part(claims(role='manager'))}.{signature}"

    assert "signature" in await refusal(shared, forged)


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": True},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": 7},
        {"kid": 7},
        {"kid": "x" * 5_000},
        {"alg": ["HS256"]},
        {"alg": None},
    ],
)
async def test_a_header_that_changes_the_meaning_is_refused(
    shared: Authenticator, header: dict[str, Any]
) -> None:
    await refusal(shared, signed_as_it_is({"alg": "HS256"} | header, claims()))


@pytest.mark.parametrize("type_", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_access_tokens_have_one_of_these_types(shared: Authenticator, type_: str) -> None:
    token = signed_as_it_is({"alg": "HS256", "typ": type_, "of their own": 1}, claims())

    assert (await viewer_of(shared, token)).subject


async def test_a_public_key_is_no_secret(provider: Provider) -> None:
    """The confusion of algorithms: what everybody knows as a key signs with HS256."""
    provider.rotate("RS256")
    key = provider.keys["1"]
    spki = PublicFormat.SubjectPublicKeyInfo
    public = key.public_key.public_bytes(Encoding.PEM, spki).decode()
    async with trusting(provider) as authenticator:
        for secret in (public, public.strip(), json.dumps(key.as_dict(private=False))):
            forged = signed_as_it_is({"alg": "HS256", "kid": "1"}, claims(), secret)
            assert "algorithm" in await refusal(authenticator, forged)


async def test_a_key_of_the_token_itself_is_not_used(provider: Provider) -> None:
    stranger = new_key("ES256", "1")
    header = {"alg": "ES256", "kid": "1", "jwk": stranger.as_dict(private=False)}
    async with trusting(provider) as authenticator:
        forged = jwt.encode(header, claims(), stranger, ["ES256"])

        assert "signature" in await refusal(authenticator, forged)


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=100).map(str.encode),
        st.lists(
            st.one_of(
                st.binary(max_size=60).map(part),
                st.recursive(
                    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                    lambda inner: (
                        st.lists(inner, max_size=3)
                        | st.dictionaries(st.sampled_from(["alg", "kid", "typ", "x"]), inner)
                    ),
                    max_leaves=8,
                ).map(part),
            ),
            min_size=2,
            max_size=4,
        ).map(lambda parts: ".".join(parts).encode()),
    )
)
async def test_anything_else_is_refused_and_never_a_defect(token: bytes) -> None:
    authenticator = made(jwt_secret=SECRET)
    with pytest.raises(InvalidToken):
        await authenticator.identify(scope_with(b"Bearer " + token))


async def test_a_deep_payload_is_refused(shared: Authenticator) -> None:

    token = signed_as_it_is({"alg": "HS256"}, b"[" * 5_000)

    assert "malformed" in await refusal(shared, token)


# Cost


async def test_a_known_token_costs_a_few_microseconds(shared: Authenticator) -> None:
    token = signed(role="clerk")
    await viewer_of(shared, token)
    with_token, without = scope_with(f"Bearer {token}"), scope_with()
    differences = []
    for _ in range(200):
        times = []
        for scope in (with_token, without):
            began = time.perf_counter()
            for _ in range(50):
                shared.known(scope)
            times.append((time.perf_counter() - began) / 50)
        differences.append(times[0] - times[1])

    assert median(differences) < 5e-6


async def test_known_tokens_are_bounded(
    shared: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.server.authentication._MAX_CACHED", 3)
    tokens = [signed(sub=f"subject {number}") for number in range(5)]
    for token in tokens:
        await viewer_of(shared, token)

    known = [shared.known(scope_with(f"Bearer {token}")) is not None for token in tokens]
    assert known == [False, False, True, True, True]
