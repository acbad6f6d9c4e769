"""Bodies, secrets and signatures of Standard Webhooks, version 1: HMAC-SHA256."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    return _PREFIX + b64encode(token_bytes(_SECRET_BYTES)).decode()


def body_of(type_: str, moment: datetime, data: Any) -> bytes:
    """A message: its type, when it occurred, and its data."""
    return orjson.dumps({"type": type_, "timestamp": moment, "data": data}, option=orjson.OPT_UTC_Z)


def headers(secrets: Sequence[str], message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message, signed with each secret.

    `timestamp` is that of the attempt, in seconds.
    """
    signed = f"{message}.{timestamp}.".encode() + body
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = b64decode(secret.removeprefix(_PREFIX))
    return f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}"
