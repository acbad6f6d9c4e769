"""Finds the viewer of a request: by a bearer token (RFC 6750), or the anonymous one.

Verifying a token takes tens of microseconds, so that the viewer of a valid one is kept until it
expires. Invalid ones are not kept: there are too many of them.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from graph.errors import InvalidSetting, InvalidToken
from graph.server.api_keys import ApiKeys
from graph.server.requests import headers_of
from graph.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.types import Scope

    from graph.database.engine import Database
    from graph.server.jwks import JWKSet
    from graph.server.tokens import Tokens
    from graph.settings import Settings

_MAX_TOKEN_BYTES = 8_192
_MAX_CACHED = 10_000
_SCHEME = b"bearer "
_API_KEY = "graph_"


class Authenticator:
    """Finds viewers. One per application; caches the viewers of valid tokens."""

    def __init__(self, settings: Settings, roles: Mapping[str, frozenset[str]]) -> None:
        check_roles(settings, roles)
        role = settings.role_of_anonymous
        self._anonymous = Viewer(role=role, may=roles[role])
        # By the hash of an Authorization header: a viewer, and when its sign-in ends.
        self._known: dict[bytes, tuple[Viewer, float]] = {}
        self._jwks: JWKSet | None = None
        self._tokens = self._of_issuer(settings, roles)
        self._api_keys: ApiKeys | None = None

    @asynccontextmanager
    async def running(self, database: Database | None = None) -> AsyncIterator[None]:
        """Keep the keys of the issuer current until the block ends; API keys are the database's."""
        self._api_keys = ApiKeys(database) if database else None
        if self._jwks is None:
            yield
        else:
            async with self._jwks.kept_current():
                yield

    async def viewer(self, scope: Scope) -> Viewer:
        """The viewer of a request.

        Raises:
            InvalidToken: the header holds no valid token.
            Unavailable: the token cannot be verified at present.
        """
        return self.known(scope) or await self.identify(scope)

    def known(self, scope: Scope) -> Viewer | None:
        """The viewer of a request, if that takes no waiting."""
        authorization = headers_of(scope).get(b"authorization")
        if authorization is None:
            return self._anonymous
        found = self._known.get(sha256(authorization).digest())
        return found[0] if found is not None and found[1] > time.time() else None

    async def identify(self, scope: Scope) -> Viewer:
        """The viewer of a request whose token is not known yet.

        Raises:
            InvalidToken: the header holds no valid token.
            Unavailable: the token cannot be verified at present.
        """
        authorization = headers_of(scope).get(b"authorization", b"")
        viewer, until = await self._verified(_token_in(authorization))
        if len(self._known) >= _MAX_CACHED:
            del self._known[next(iter(self._known))]  # the oldest
        self._known[sha256(authorization).digest()] = (viewer, until)
        return viewer

    def forget(self) -> None:
        """Forget all viewers: a key may have been withdrawn."""
        self._known.clear()

    async def _verified(self, token: str) -> tuple[Viewer, float]:
        """The viewer of a token, and until when it is known (in seconds of the epoch)."""
        if self._api_keys is not None and token.startswith(_API_KEY):
            return await self._api_keys.viewer(token)
        if self._tokens is None:
            raise InvalidToken("this API accepts API keys only")
        viewer = await self._tokens.viewer(token)
        return viewer, viewer.expires_at.timestamp() if viewer.expires_at else 0.0

    def _of_issuer(self, settings: Settings, roles: Mapping[str, frozenset[str]]) -> Tokens | None:
        url, secret = settings.jwt_jwks_url, settings.jwt_secret
        if url is None and secret is None:
            return None
        # Where nobody signs in with a token, a worker does not hold 9 MiB of cryptography; without
        # the address of keys it does not hold a client of HTTP.
        from graph.server.tokens import ClaimRules, SharedSecret, Tokens  # noqa: PLC0415

        rules = ClaimRules.of(settings, roles)
        if url is not None:
            from graph.server.jwks import JWKSet  # noqa: PLC0415

            self._jwks = JWKSet(url, self.forget)
            return Tokens(self._jwks, rules)
        assert secret is not None  # noqa: S101  there is an issuer
        return Tokens(SharedSecret(secret.get_secret_value()), rules)


def check_roles(settings: Settings, roles: Mapping[str, frozenset[str]]) -> None:
    """Check that the settings name roles of this table.

    Raises:
        InvalidSetting: one of them does not.
    """
    named = [
        ("GRAPH_ANONYMOUS_ROLE", settings.role_of_anonymous, roles),
        ("GRAPH_JWT_DEFAULT_ROLE", settings.jwt_default_role, roles),
        *(
            ("GRAPH_JWT_ROLES", pair.partition("=")[2], {*roles, "service"})
            for pair in settings.jwt_roles
        ),
    ]
    for variable, role, known in named:
        if role not in known:
            raise InvalidSetting(variable, f"the role '{role}' is not one of {', '.join(known)}")


def _token_in(authorization: bytes) -> str:
    scheme, token = authorization[: len(_SCHEME)], authorization[len(_SCHEME) :].strip(b" ")
    if scheme.lower() != _SCHEME or not token:
        raise InvalidToken("the header Authorization must have the form 'Bearer TOKEN'")
    if len(token) > _MAX_TOKEN_BYTES:
        raise InvalidToken(f"it is longer than {_MAX_TOKEN_BYTES} bytes")
    return token.decode("latin-1")
