"""Tokens to try roles out: what `graph token` prints, and GraphiQL's picker of roles.

The issuer is graph itself, in development only. GraphiQL offers roles on a loopback address only,
to pages of this server and not through a proxy: anybody else could take a role without the key.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute, Route

from graph.addresses import LOOPBACK
from graph.errors import BadRequest, OriginNotAllowed, RequestError
from graph.server.cors import is_same_origin
from graph.server.requests import check_body_format, headers_of, json_of, read_body
from graph.server.responses import JsonResponse, error_response
from graph.settings import DEVELOPMENT_ISSUER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from graph.settings import Settings

AUDIENCE = "graph"
ROLE_CLAIM = "role"
OWN_CLAIM = "own"

_SECONDS = 12 * 3_600
_MAX_BODY_BYTES = 1_024
_MAX_OWN = 2**63 - 1
_OF_PROXIES = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"}


def demo_token(secret: str, role: str, own: int | None, *, seconds: int) -> str:
    """A token of graph's own issuer; `own` is the key of the row that the viewer is."""
    # Where nobody asks for a token, nothing of JOSE is loaded.
    from graph.server.tokens import issued  # noqa: PLC0415

    now = int(time.time())
    claims = {
        "iss": DEVELOPMENT_ISSUER,
        "aud": AUDIENCE,
        "sub": role if own is None else f"{role} {own}",
        "iat": now,
        "exp": now + seconds,
        ROLE_CLAIM: role,
    }
    return issued(secret, claims if own is None else claims | {OWN_CLAIM: own})


def demo_routes(settings: Settings, roles: Mapping[str, frozenset[str]]) -> list[BaseRoute]:
    """`/graphiql/roles`, which may be none, and `/graphiql/tokens` where there are some."""
    is_ours = settings.jwt_issuer == DEVELOPMENT_ISSUER and settings.jwt_secret is not None
    hosts = settings.served_hosts
    # With a public name, a proxy or a tunnel leads here: those who come do not have the key.
    is_local = settings.host in LOOPBACK and hosts is not None and hosts <= LOOPBACK
    offered = tuple(roles) if is_ours and is_local else ()

    async def list_roles(request: Request) -> JsonResponse:
        return JsonResponse({"roles": () if _is_forwarded(request) else offered})

    async def make_token(request: Request) -> JsonResponse:
        assert settings.jwt_secret is not None  # noqa: S101  else no role is offered
        try:
            role, own = await _read(request, offered)
        except RequestError as error:
            return error_response(error)
        secret = settings.jwt_secret.get_secret_value()
        return JsonResponse({"token": demo_token(secret, role, own, seconds=_SECONDS)})

    routes: list[BaseRoute] = [Route("/graphiql/roles", list_roles)]
    if offered:
        routes.append(Route("/graphiql/tokens", make_token, methods=["POST"]))
    return routes


async def _read(request: Request, offered: tuple[str, ...]) -> tuple[str, int | None]:
    """The role and the row that a page asks for.

    Raises:
        RequestError: it came through a proxy, or from a page of another origin, or asks for
            something else.
    """
    if _is_forwarded(request):
        raise BadRequest("Roles can be tried out on this machine only, not through a proxy.")
    headers = headers_of(request.scope)
    origin = headers.text(b"origin")
    if origin and not is_same_origin(request.scope, origin):
        raise OriginNotAllowed(origin)
    check_body_format(headers)
    body = await read_body(headers, request.receive, max_bytes=_MAX_BODY_BYTES)
    content = json_of(body, "The request body")
    role, own = (content.get("role"), content.get("own")) if isinstance(content, dict) else ("", 0)
    if role not in offered:
        raise BadRequest(f"'role' must be one of {', '.join(offered)}.")
    if own is not None and not (type(own) is int and 0 < own <= _MAX_OWN):
        raise BadRequest("'own' must be the key of a row, or null.")
    return role, own


def _is_forwarded(request: Request) -> bool:
    """Whether a proxy sent it, for somebody elsewhere; it may have rewritten Host."""
    return not _OF_PROXIES.isdisjoint(headers_of(request.scope))
