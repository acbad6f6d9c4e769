"""Errors of requests: nothing was executed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from graph.errors.codes import ErrorCode
from graph.errors.root import GraphError, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence


class RequestError(GraphError):
    """A request that was rejected before any of it was executed."""

    code: ClassVar[ErrorCode] = ErrorCode.BAD_REQUEST
    # The status of the HTTP response.
    status = 400


class BadRequest(RequestError):
    pass


class MethodNotAllowed(RequestError):
    code = ErrorCode.METHOD_NOT_ALLOWED
    status = 405


class HostNotAllowed(RequestError):
    code = ErrorCode.HOST_NOT_ALLOWED
    status = 421

    def __init__(self, got: str) -> None:
        super().__init__(
            f"This server does not answer for the host '{shortened(got)}'."
            " Its operator can allow it with GRAPH_ALLOWED_HOSTS."
        )


class OriginNotAllowed(RequestError):
    code = ErrorCode.ORIGIN_NOT_ALLOWED
    status = 403

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"Pages of the origin '{shortened(origin)}' may not call this API."
            " Its operator can allow them with GRAPH_CORS_ORIGINS."
        )


class InvalidToken(RequestError):
    """`reason` begins in lower case and quotes nothing of the token."""

    code = ErrorCode.INVALID_TOKEN
    status = 401

    def __init__(self, reason: str) -> None:
        super().__init__(f"The bearer token is not valid: {reason}.")


class NotAcceptable(RequestError):
    code = ErrorCode.NOT_ACCEPTABLE
    status = 406

    def __init__(self, offered: Sequence[str]) -> None:
        *others, last = offered
        super().__init__(
            f"Responses are {', '.join(others)} or {last}; the Accept header admits none of these."
        )


class UnsupportedMediaType(RequestError):
    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
    status = 415

    def __init__(self, got: str) -> None:
        content_type = f"'{shortened(got)}'" if got else "no Content-Type"
        super().__init__(f"A request body must be application/json in UTF-8; got {content_type}.")


class UnsupportedEncoding(RequestError):
    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
    status = 415

    def __init__(self, got: str) -> None:
        super().__init__(
            f"A request body must not be compressed; got the Content-Encoding '{shortened(got)}'."
        )


class BodyTooLarge(RequestError):
    code = ErrorCode.PAYLOAD_TOO_LARGE
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body is larger than {limit_bytes} bytes.")


class BodyTooSlow(RequestError):
    code = ErrorCode.REQUEST_TIMEOUT
    status = 408

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The request body did not arrive within {seconds:g} s.")


class VariablesTooLarge(RequestError):
    code = ErrorCode.PAYLOAD_TOO_LARGE
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The variables are larger than {limit_bytes} bytes of JSON.")


class NoPreflight(RequestError):
    code = ErrorCode.CSRF_PREVENTED

    def __init__(self, header: str) -> None:
        super().__init__(
            "A page of another site could have caused this GET request. Use POST, or send the"
            f" header '{header}' with any value. The operator of this API can allow the pages of an"
            " origin with GRAPH_CORS_ORIGINS."
        )


class BatchTooLarge(RequestError):
    code = ErrorCode.BATCH_TOO_LARGE

    def __init__(self, most: int) -> None:
        limit = f"A batch holds at most {most} requests." if most else "Batches are disabled."
        super().__init__(f"{limit} Send the requests one by one.")


class PersistedQueryNotSupported(RequestError):
    code = ErrorCode.PERSISTED_QUERY_NOT_SUPPORTED

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")  # Apollo's clients compare the message


class PersistedQueryNotFound(RequestError):
    code = ErrorCode.PERSISTED_QUERY_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")  # Apollo's clients compare the message


class PersistedQueryMismatch(RequestError):
    code = ErrorCode.PERSISTED_QUERY_HASH_MISMATCH

    def __init__(self) -> None:
        super().__init__("The 'sha256Hash' is not the SHA-256 of the 'query'.")


class NotTrusted(RequestError):
    code = ErrorCode.DOCUMENT_NOT_TRUSTED

    def __init__(self) -> None:
        super().__init__(
            "Only documents in the manifest may be executed; send a 'documentId' from it."
        )


class InvalidId(RequestError):
    code = ErrorCode.INVALID_ID

    def __init__(self, got: str, *, expected: str = "", found: str = "") -> None:
        """`expected` and `found` are entities, if the id is one of another entity."""
        another = f"is the id of another type: {found}, not {expected}."
        super().__init__(f"'{shortened(got)}' {another if found else 'is not an id of this API.'}")


class InvalidCursor(RequestError):
    code = ErrorCode.INVALID_CURSOR

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(f"'{argument}' {reason}")


class CursorExpired(RequestError):
    """Of a subscription: events that follow the cursor may have been deleted."""

    code = ErrorCode.CURSOR_EXPIRED

    def __init__(self) -> None:
        super().__init__(
            "'after' is too old: the events that follow it are not replayed any more."
            " Read the data again, then subscribe without a cursor."
        )


class CursorUnknown(RequestError):
    code = ErrorCode.CURSOR_UNKNOWN

    def __init__(self) -> None:
        super().__init__(
            "'after' is beyond the last event: the store was restored or reset."
            " Read the data again, then subscribe without a cursor."
        )


class NotFollowed(RequestError):
    """A live query reads what has no events: it would not be told of changes."""

    code = ErrorCode.NOT_FOLLOWED

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"A live query cannot follow {', '.join(names)}: changes there are not logged."
        )


class InvalidPage(RequestError):
    code = ErrorCode.INVALID_PAGE


class TooLarge(RequestError):
    code = ErrorCode.OPERATION_TOO_LARGE


class StreamNotAccepted(RequestError):
    """A subscription by a transport that takes one answer."""

    code = ErrorCode.NOT_ACCEPTABLE
    status = 406

    def __init__(self) -> None:
        super().__init__(
            "A subscription has many results. Use a WebSocket with the subprotocol"
            " graphql-transport-ws, or accept text/event-stream."
        )


class AnswerTooLarge(RequestError):
    """The answer was made, but is not sent; a mutation with such an answer changes nothing."""

    code = ErrorCode.ANSWER_TOO_LARGE

    def __init__(self, most_bytes: int) -> None:
        super().__init__(
            f"The answer is larger than {most_bytes:,} bytes."
            " Request smaller pages, or fewer fields."
        )


class TooCostly(RequestError):
    code = ErrorCode.COST_LIMIT_EXCEEDED
    what = "The operation"
    hint = "Ask for smaller pages above them, or for fewer fields below."

    def __init__(self, requested: int, most: int, most_expensive: list[tuple[str, int]]) -> None:
        named = ", ".join(f"{path} ({cost:,})" for path, cost in most_expensive)
        super().__init__(
            f"{self.what} may cost {requested:,}; the limit is {most:,}. The most expensive"
            f" fields are {named}. {self.hint}"
        )
        fields = [{"path": path, "cost": cost} for path, cost in most_expensive]
        self.extensions = {"cost": {"requested": requested, "limit": most, "fields": fields}}


class ScansTooCostly(TooCostly):
    what = "The rows that its lists look at for filters, sorts, counts and groups"
    hint = "Filter by columns with an index, or select fewer sorts, counts and groups."


class RateLimited(RequestError):
    code = ErrorCode.RATE_LIMITED
    status = 429

    def __init__(self, cost: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"The operation may cost {cost:,}, more than is left of your rate limit."
            f" Try again in {retry_after_seconds} s, or request less."
        )
        self.retry_after_seconds = retry_after_seconds


class TooManySubscriptions(RequestError):
    code = ErrorCode.TOO_MANY_SUBSCRIPTIONS
    status = 429
    retry_after_seconds = 10

    def __init__(self, limit: str) -> None:
        super().__init__(f"{limit} End others, or try again later.")


class NotPermitted(RequestError):
    """The viewer lacks permissions: `needed` are those of which one would do, by path."""

    remedy = ""

    def __init__(self, needed: dict[str, list[str]]) -> None:
        named = "; ".join(f"'{path}' needs {' or '.join(any_)}" for path, any_ in needed.items())
        super().__init__(f"{self.remedy} {named}.")
        fields = [{"path": path, "permissions": any_} for path, any_ in needed.items()]
        self.extensions = {"fields": fields}


class Unauthenticated(NotPermitted):
    code = ErrorCode.UNAUTHENTICATED
    status = 401
    remedy = "Sign in first:"


class Forbidden(NotPermitted):
    code = ErrorCode.FORBIDDEN
    status = 403
    remedy = "The sign-in does not permit this:"


class InvalidFilter(RequestError):
    code = ErrorCode.INVALID_FILTER


class InvalidOrder(RequestError):
    code = ErrorCode.INVALID_ORDER


class InvalidGroups(RequestError):
    code = ErrorCode.INVALID_GROUPS


class TooManyBuckets(InvalidGroups):
    """Only the statement knows how many there are: its error has the mark in its text."""

    MARK = " buckets of time"

    def __init__(self, buckets: int, groups: int) -> None:
        super().__init__(
            f"With 'emptyBuckets' there are more than {buckets:,} buckets, or {groups:,} groups."
            " Choose a larger unit, or bound the time more narrowly by 'where'."
        )


class InvalidText(RequestError):
    code = ErrorCode.INVALID_TEXT

    def __init__(self, argument: str) -> None:
        super().__init__(f"'{argument}' must not contain U+0000 or an unpaired surrogate.")


class InvalidConsistencyToken(RequestError):
    code = ErrorCode.INVALID_CONSISTENCY_TOKEN

    def __init__(self) -> None:
        super().__init__(
            "The consistency token must be one that this API has given, such as '1-0/16B3748'."
        )


class InvalidKey(RequestError):
    code = ErrorCode.INVALID_KEY
