"""The idempotency keys of requests: whose they are, and for what."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson
from graphql import GraphQLError

from graph.database.writes.idempotency import Key
from graph.errors import InvalidKey
from graph.execution.failures import RequestRejected

if TYPE_CHECKING:
    from graph.errors import RequestError
    from graph.viewer import Viewer

_MAX_KEY_CHARS = 200


def kept_under(given: str | None, content: bytes, client: str, viewer: Viewer) -> Key:
    """A client's idempotency key, with a hash of the request's content.

    Raises:
        RequestRejected: the key is malformed.
    """
    if not given or len(given) > _MAX_KEY_CHARS or not given.isprintable():
        raise refused(
            InvalidKey(
                f"An idempotency key must have from 1 to {_MAX_KEY_CHARS} printable characters."
            )
        )
    return Key(_owner(client, viewer), given, hashlib.sha256(content).digest())


def _owner(client: str, viewer: Viewer) -> str:
    """Whose a key is: an address, or a viewer with its permissions.

    A subject with fewer of them must not get the stored answer to one with more.
    """
    if viewer.subject is None:
        return client
    may = None if viewer.may is None else sorted(viewer.may)
    owner = orjson.dumps([viewer.subject, viewer.role, may, str(viewer.own)])
    return hashlib.sha256(owner).hexdigest()


def refused(error: RequestError) -> RequestRejected:
    """The rejection of a request because of its keys."""
    return RequestRejected([GraphQLError(str(error), original_error=error)], code=error.code)
