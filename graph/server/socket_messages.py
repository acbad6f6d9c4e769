"""The messages of graphql-transport-ws, checked and encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Message

SUBPROTOCOL = "graphql-transport-ws"

INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013
BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
INITIALISATION_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_INITIALISATIONS = 4429

# A close frame holds 125 bytes, two of them for the code.
_MAX_REASON_BYTES = 123
_MAX_ID_CHARS = 1_000
# The type of each message of a client, and whether it belongs to an operation.
_TYPES = {
    "connection_init": False,
    "ping": False,
    "pong": False,
    "subscribe": True,
    "complete": True,
}
_MEMBERS = {"query": str, "operationName": str, "variables": dict, "extensions": dict}
_NAMES = {str: "a string", dict: "an object"}


class Closed(Exception):
    """The socket is to be closed: with this code, for this reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")


def parsed(message: Message) -> dict[str, Any]:
    """The message of a client.

    Raises:
        Closed: it is malformed.
    """
    text = message.get("text")
    if text is None:
        raise Closed(BAD_REQUEST, "A message must be text")
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Closed(BAD_REQUEST, "A message must be JSON") from None
    if not isinstance(content, dict):
        raise Closed(BAD_REQUEST, "A message must be a JSON object")
    type_ = content.get("type")
    has_id = _TYPES.get(type_) if isinstance(type_, str) else None
    if has_id is None:
        raise Closed(BAD_REQUEST, f"The type must be one of {', '.join(_TYPES)}")
    if has_id:
        _check_id(content.get("id"))
    payload = content.get("payload")
    if type_ == "subscribe":
        _check_request(payload)
    elif not has_id and not isinstance(payload, dict | None):
        raise Closed(BAD_REQUEST, "The payload must be an object")
    return content


def authorization_in(payload: dict[str, Any] | None) -> bytes | None:
    """The value of Authorization in the payload of `connection_init`, or in its `headers`.

    Raises:
        Closed: it is no string.
    """
    payload = payload or {}
    headers = payload.get("headers")
    for members in (payload, headers if isinstance(headers, dict) else {}):
        for name, value in members.items():
            if name.lower() == "authorization" and value is not None:
                if not isinstance(value, str):
                    raise Closed(FORBIDDEN, "Authorization must be a string")
                return value.encode()
    return None


def next_message(id_: str, result: bytes) -> Message:
    return _message(id_, b"next", result)


def error_message(id_: str, errors: Sequence[dict[str, Any]]) -> Message:
    return _message(id_, b"error", orjson.dumps(errors))


def complete_message(id_: str) -> Message:
    return _text(b'{"id":%b,"type":"complete"}' % orjson.dumps(id_))


def plain_message(type_: str, payload: dict[str, Any] | None) -> Message:
    """A message that belongs to no operation; without a payload the member is absent."""
    return _text(orjson.dumps({"type": type_} | ({"payload": payload} if payload else {})))


def _message(id_: str, type_: bytes, payload: bytes) -> Message:
    return _text(b'{"id":%b,"type":"%b","payload":%b}' % (orjson.dumps(id_), type_, payload))


def _text(text: bytes) -> Message:
    return {"type": "websocket.send", "text": text.decode()}


def _check_id(id_: Any) -> None:
    if not isinstance(id_, str) or not 0 < len(id_) <= _MAX_ID_CHARS:
        raise Closed(BAD_REQUEST, f"The id must be a string of 1 to {_MAX_ID_CHARS} characters")


def _check_request(payload: Any) -> None:
    if not isinstance(payload, dict):
        raise Closed(BAD_REQUEST, "The payload must be an object")
    for name, type_ in _MEMBERS.items():
        if not isinstance(payload.get(name), type_ | None):
            raise Closed(BAD_REQUEST, f"'{name}' must be {_NAMES[type_]}")
    # A document may be named instead of sent.
    if payload.get("query") is None and not ("documentId" in payload or payload.get("extensions")):
        raise Closed(BAD_REQUEST, "'query' must be a string")
