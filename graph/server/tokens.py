"""Bearer tokens of an identity provider: JWT (RFC 7519), verified by RFC 8725's rules.

The algorithms are fixed. A shared secret verifies HS256 and nothing else; the keys of a JWKS verify
RS256, ES256 and Ed25519, each with keys of its own type. So no token can choose how it is verified.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from graph.errors import InvalidToken
from graph.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from graph.settings import Settings

    Key: TypeAlias = OctKey | RSAKey | ECKey | OKPKey

# RFC 9068 and OpenID Connect; a token without a type is a JWT.
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_MAX_SUBJECT_CHARS = 255
# What `datetime` can hold.
_LATEST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_KEY_BITS = 63
_DECIMAL = re.compile(r"[0-9]{1,19}", re.ASCII)
_SERVICE = "service"


def fully_specified(algorithm: str) -> str:
    """Providers still use the old name EdDSA (RFC 8037). It means Ed25519 here, never Ed448."""
    return "Ed25519" if algorithm == "EdDSA" else algorithm


class Keys(Protocol):
    """The keys of a token's issuer."""

    @property
    def algorithms(self) -> tuple[str, ...]: ...

    async def find(self, algorithm: str, kid: str | None) -> Key:
        """The key for a token with this header.

        Raises:
            InvalidToken: the issuer has no such key.
            ProviderUnavailable: the issuer's keys cannot be loaded.
        """


class SharedSecret:
    """One secret that the issuer and this server share."""

    algorithms = ("HS256",)

    def __init__(self, secret: str) -> None:
        self._key = OctKey.import_key(secret)

    async def find(self, algorithm: str, kid: str | None) -> OctKey:
        del algorithm, kid  # there is one of each
        return self._key


class _Registry(JWSRegistry):
    max_header_length = 4_096
    max_payload_length = 8_192

    def get_alg(self, name: str) -> Any:  # joserfc does not export its class
        return super().get_alg(fully_specified(name))

    def check_header(self, header: dict[str, Any]) -> None:
        super().check_header(header)
        # An extension changes the meaning of a token, and none is understood here.
        if "crit" in header or "b64" in header:
            raise InvalidToken("it has critical extensions")
        if str(header.get("typ", "jwt")).lower() not in _TYPES:
            raise InvalidToken("it is not an access token")


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """How the claims of a token make a viewer.

    `roles` are the permissions of each role, the least powerful first. `names` are the roles by
    value of the role claim. Without a known value the role is the default one.
    """

    issuer: str
    audience: str
    leeway_seconds: float
    role_claim: str
    names: Mapping[str, str]
    default_role: str
    own_claim: str
    roles: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, settings: Settings, roles: Mapping[str, frozenset[str]]) -> ClaimRules:
        names = dict(pair.split("=", 1) for pair in settings.jwt_roles)
        return cls(
            issuer=settings.jwt_issuer or "",
            audience=settings.jwt_audience or "",
            leeway_seconds=settings.jwt_leeway_seconds,
            role_claim=settings.jwt_role_claim,
            names=names or {name: name for name in (*roles, _SERVICE)},
            default_role=settings.jwt_default_role,
            own_claim=settings.jwt_own_claim,
            roles=roles,
        )

    def viewer(self, claims: Mapping[str, Any], now: float) -> Viewer:
        """The viewer of a token whose signature is valid.

        Raises:
            InvalidToken: a required claim is missing or malformed, or does not admit the token.
        """
        self._check_issuer(claims)
        expires = self._check_times(claims, now)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARS:
            raise InvalidToken(f"'sub' must be a text of 1 to {_MAX_SUBJECT_CHARS} characters")
        if not subject.isprintable():
            raise InvalidToken("'sub' must be printable")
        role = self._role(claims)
        return Viewer(
            subject=f"{self.issuer} {subject}",
            role=role,
            may=self._scopes(claims) if role == _SERVICE else self.roles[role],
            own=_row_key(_member(claims, self.own_claim), self.own_claim),
            expires_at=datetime.fromtimestamp(min(expires, _LATEST), UTC),
        )

    def _check_issuer(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self.issuer:
            raise InvalidToken("'iss' is not the issuer that this API trusts")
        audience = claims.get("aud")
        if self.audience not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidToken("'aud' does not name this API")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> float:
        """Check `exp`, `nbf` and `iat`; return when the token expires."""
        expires = _seconds(claims, "exp")
        if expires is None:
            raise InvalidToken("'exp' is missing")
        if expires + self.leeway_seconds <= now:
            raise InvalidToken("it has expired")
        for name in ("nbf", "iat"):
            if (_seconds(claims, name) or 0) > now + self.leeway_seconds:
                raise InvalidToken(f"'{name}' is in the future")
        return expires

    def _role(self, claims: Mapping[str, Any]) -> str:
        """The most powerful role among the values of the claim: the last one in the table."""
        granted = {self.names.get(name) for name in _texts(_member(claims, self.role_claim))}
        known = (name for name in (_SERVICE, *reversed(tuple(self.roles))) if name in granted)
        return next(known, self.default_role)

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """The permissions of a service: the scopes of its token that this API knows."""
        known = frozenset[str]().union(*self.roles.values())
        named = {scope for text in _texts(claims.get("scope")) for scope in text.split()}
        return known & named


class Tokens:
    """Verifies tokens of one issuer."""

    def __init__(self, keys: Keys, rules: ClaimRules) -> None:
        self._keys = keys
        self._rules = rules
        self._registry = _Registry(algorithms=keys.algorithms, strict_check_header=False)

    async def viewer(self, token: str) -> Viewer:
        """The viewer of a token.

        Raises:
            InvalidToken: it is malformed, forged, expired, or for another API.
            ProviderUnavailable: the keys of the issuer cannot be loaded.
        """
        try:
            header = jws.extract_compact(token.encode(), registry=self._registry).headers()
            self._registry.check_header(header)
            algorithm = self._registry.get_alg(header["alg"]).name
            key = await self._keys.find(algorithm, header.get("kid"))
            claims = jwt.decode(token, key, registry=self._registry).claims
        except (
            JoseError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
        ) as error:
            raise InvalidToken(_problem(error)) from None
        return self._rules.viewer(claims, time.time())


def issued(secret: str, claims: dict[str, Any]) -> str:
    """A token with these claims, signed with a shared secret."""
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret), ["HS256"])


def _problem(error: Exception) -> str:
    """A reason that quotes nothing of the token or of the key."""
    name = getattr(error, "error", "")
    return {
        "bad_signature": "its signature is wrong",
        "unsupported_algorithm": "its algorithm is not one that this API accepts",
    }.get(name, "it is malformed")


def _member(claims: Mapping[str, Any], name: str) -> Any:
    """The claim with this name, or at this path (`realm_access.roles`)."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _texts(value: Any) -> Iterable[str]:
    values = value if isinstance(value, list) else [value]
    return (each for each in values if isinstance(each, str))


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(f"'{name}' must be a number of seconds")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise InvalidToken(f"'{name}' must be a number of seconds")
    return seconds


def _row_key(value: Any, claim: str) -> int | None:
    """The key of the viewer's row, of 64 bits; it may be a text, as some providers keep it."""
    if value is None:
        return None
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = int(value)
    if type(value) is not int or value.bit_length() > _KEY_BITS:
        raise InvalidToken(f"'{claim}' must be the key of a row, a number of 64 bits")
    return value
