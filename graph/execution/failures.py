"""Errors as clients see them: a message, locations, a path and a stable code. Nothing more."""

from __future__ import annotations

import logging
import re
import secrets
from asyncio import CancelledError, current_task
from typing import TYPE_CHECKING, Any, Self

from graphql import GraphQLError

from graph.errors import ErrorCode, GraphError, TooManyBuckets, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

# graphql-core quotes invalid values in full, in each of up to 100 errors.
_MAX_MESSAGE_CHARS = 500


# A text in quotes, or a value that Python and JSON write differently.
_VALUES = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b(?:None|True|False)\b""")
_JSON_WORDS = {"None": "null", "True": "true", "False": "false"}


class RequestRejected(Exception):
    """The request errors of a request (specification, section 7.1.2): nothing was executed."""

    def __init__(self, errors: Sequence[GraphQLError], code: ErrorCode) -> None:
        super().__init__(errors[0].message)
        self.errors = errors
        self.code = code

    @property
    def remembered(self) -> RequestRejected:
        """The same with short messages, and without the document that the errors refer to."""
        errors = [_detached(error) for error in self.errors]
        return RequestRejected(errors, self.code)

    @classmethod
    def because(cls, message: str, *, code: ErrorCode) -> Self:
        return cls([GraphQLError(message)], code)


def defect_of(error: CancelledError) -> Exception:
    """The defect of a resolver that raises CancelledError while nobody has cancelled its task.

    It may have awaited what somebody else has cancelled. To all around it, it would look like a
    client that has left, and one that waits would get no answer.

    Raises:
        CancelledError: the task was cancelled.
    """
    task = current_task()
    if task is None or task.cancelling():
        raise error
    defect = RuntimeError("a resolver raised CancelledError, though nobody has cancelled it")
    defect.__cause__ = error
    return defect


def refusal(error: GraphQLError, code: ErrorCode) -> dict[str, Any]:
    """A request error as JSON, with its original error's code and extensions, else with `code`."""
    original = error.original_error
    message = error.message if isinstance(original, GraphError) else in_json_words(error.message)
    more = getattr(original, "extensions", None) or {}
    return _formatted(error, getattr(original, "code", code), _short(message), **more)


def in_json_words(message: str) -> str:
    """A message of graphql-core, which writes values as Python does: `None` becomes `null`.

    Texts in quotes stay as they are: they are the client's own.
    """
    return _VALUES.sub(lambda found: _JSON_WORDS.get(found[0], found[0]), message)


def failure(error: GraphQLError) -> dict[str, Any]:
    """A field error as JSON. An error that is not a GraphError is masked, and logged by its id."""
    original = error.original_error
    if isinstance(original, GraphError) and hasattr(original, "code"):
        return _formatted(error, original.code, str(original))
    error_id = secrets.token_hex(8)
    logger.error(
        "error %s at %s: %s", error_id, error.path, error.message, exc_info=original or error
    )
    return _formatted(error, ErrorCode.INTERNAL_SERVER_ERROR, "internal error", errorId=error_id)


def _short(message: str) -> str:
    is_short = len(message) <= _MAX_MESSAGE_CHARS
    return message if is_short else f"{message[:_MAX_MESSAGE_CHARS]}…"


def _detached(error: GraphQLError) -> GraphQLError:
    detached = GraphQLError(
        _short(error.message), path=error.path, original_error=error.original_error
    )
    detached.locations = error.locations
    return detached


def unavailability(errors: Sequence[GraphQLError]) -> Unavailable | None:
    """The first error that means that the database was unavailable, if there is one."""
    originals = (error.original_error for error in errors)
    return next((error for error in originals if isinstance(error, Unavailable)), None)


def rejection(errors: Sequence[GraphQLError]) -> RequestRejected | None:
    """The rejection of an operation of which a statement has found that it asks for too much."""
    originals = (error.original_error for error in errors)
    found = next((error for error in originals if isinstance(error, TooManyBuckets)), None)
    return None if found is None else RequestRejected.because(str(found), code=found.code)


def _formatted(error: GraphQLError, code: str, message: str, **extensions: Any) -> dict[str, Any]:
    formatted: dict[str, Any] = {"message": message}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path is not None:
        formatted["path"] = error.path
    formatted["extensions"] = {"code": code, **extensions}
    return formatted
