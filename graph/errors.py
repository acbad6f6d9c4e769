"""The errors that a client or an operator can act on. Any other exception is a defect.

    GraphError
     ├─ RequestError              the request cannot be executed                 code
     │   ├─ BadRequest            the HTTP request holds no GraphQL request      BAD_REQUEST
     │   ├─ MethodNotAllowed      neither GET nor POST, or a mutation by GET     METHOD_NOT_ALLOWED
     │   ├─ HostNotAllowed        the Host header names another host             HOST_NOT_ALLOWED
     │   ├─ NotAcceptable         the Accept header admits no served media type  NOT_ACCEPTABLE
     │   ├─ UnsupportedMediaType  the body is not JSON                       UNSUPPORTED_MEDIA_TYPE
     │   ├─ BodyTooLarge          the body exceeds the limit in bytes            PAYLOAD_TOO_LARGE
     │   ├─ BodyTooSlow           the body did not arrive in time                REQUEST_TIMEOUT
     │   ├─ VariablesTooLarge     the variables exceed their limit in bytes      PAYLOAD_TOO_LARGE
     │   ├─ NoPreflight           another site may have caused the GET           CSRF_PREVENTED
     │   ├─ BatchTooLarge         the batch holds too many requests              BATCH_TOO_LARGE
     │   ├─ PersistedQuery...     NotSupported, NotFound, or (hash) Mismatch
     │   ├─ NotTrusted            the document is not in the manifest           DOCUMENT_NOT_TRUSTED
     │   ├─ InvalidId             the text is not an id of this schema           INVALID_ID
     │   ├─ InvalidCursor         the cursor is malformed, or of another sort    INVALID_CURSOR
     │   ├─ InvalidPage           page sizes contradict, or exceed the maximum   INVALID_PAGE
     │   ├─ TooCostly             the operation exceeds the cost limit          COST_LIMIT_EXCEEDED
     │   ├─ RateLimited           the client's token bucket is too empty            RATE_LIMITED
     │   ├─ InvalidFilter         a null operand; too large, or too deep         INVALID_FILTER
     │   ├─ InvalidOrder          too many sorts; a rank without a search        INVALID_ORDER
     │   ├─ InvalidGroups         a repeated or unknown key or time zone         INVALID_GROUPS
     │   ├─ TooLarge              a limit of documents or operations is exceeded OPERATION_TOO_LARGE
     │   ├─ InvalidText           PostgreSQL cannot store the text               INVALID_TEXT
     │   └─ InvalidKey            a malformed or inapplicable idempotency key    INVALID_KEY
     ├─ DomainError               a rule of the store forbids it; nothing was changed
     │   ├─ ValidationFailed      values are invalid; all of them are listed     VALIDATION_FAILED
     │   ├─ NotFound              the row to change does not exist               NOT_FOUND
     │   ├─ Conflict              the row has changed since it was read          CONFLICT
     │   ├─ InsufficientStock     items do not have enough stock                 INSUFFICIENT_STOCK
     │   ├─ NotAllowed            the state of the row does not permit it        NOT_ALLOWED
     │   └─ IdempotencyMismatch   the key was used for a different request   IDEMPOTENCY_MISMATCH
     ├─ Unavailable               the database cannot be reached; retry later    SERVICE_UNAVAILABLE
     │   ├─ TimedOut              the operation exceeded its time                TIMEOUT
     │   ├─ TryAgain              concurrent changes; nothing was changed        TRY_AGAIN
     │   ├─ OutcomeUnknown        the connection was lost during the commit      OUTCOME_UNKNOWN
     │   └─ Overloaded            too many operations are waiting                OVERLOADED
     └─ StartupError              one line on stderr, and exit code 1
         ├─ InvalidSetting        an environment variable or option is invalid
         ├─ InvalidSchema         a type or field of the store that cannot be served
         ├─ AddressUnavailable    the server cannot listen on host and port
         ├─ DatabaseUnreachable   no connection to GRAPH_DATABASE_URL
         ├─ DatabaseUnsuitable    graph cannot run on this database
         ├─ PendingMigrations     the database schema is older or newer than the code
         ├─ TransferFailed        a file cannot be imported, or rows cannot be exported
         ├─ DataDirUnusable       GRAPH_DATA_DIR cannot hold a PostgreSQL cluster
         └─ StoreNotEmpty         the seed refuses to mix with existing rows

Each class builds its message from facts: what was required and what was got. The codes are part of
the API. Three more codes come from the GraphQL language itself (`execution/` names them):
GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED and BAD_USER_INPUT for variables. Any other
exception is masked as INTERNAL_SERVER_ERROR with an error id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class GraphError(Exception):
    """The root of the tree. `str(error)` is the message for the client or the operator."""


class RequestError(GraphError):
    """A request that was rejected before any of it was executed."""

    code = "BAD_REQUEST"
    # The status of the HTTP response.
    status = 400


class BadRequest(RequestError):
    pass


class MethodNotAllowed(RequestError):
    code = "METHOD_NOT_ALLOWED"
    status = 405


class HostNotAllowed(RequestError):
    code = "HOST_NOT_ALLOWED"
    status = 421

    def __init__(self, got: str) -> None:
        super().__init__(
            f"This server does not answer for the host '{_shortened(got)}'."
            " Its operator can allow it with GRAPH_ALLOWED_HOSTS."
        )


class NotAcceptable(RequestError):
    code = "NOT_ACCEPTABLE"
    status = 406

    def __init__(self, offered: str) -> None:
        super().__init__(f"Responses are {offered}; the Accept header admits none of these.")


class UnsupportedMediaType(RequestError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415

    def __init__(self, got: str) -> None:
        content_type = f"'{_shortened(got)}'" if got else "no Content-Type"
        super().__init__(f"A request body must be application/json in UTF-8; got {content_type}.")


class BodyTooLarge(RequestError):
    code = "PAYLOAD_TOO_LARGE"
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body is larger than {limit_bytes} bytes.")


class BodyTooSlow(RequestError):
    code = "REQUEST_TIMEOUT"
    status = 408

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The request body did not arrive within {seconds:g} s.")


class VariablesTooLarge(RequestError):
    code = "PAYLOAD_TOO_LARGE"
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The variables are larger than {limit_bytes} bytes of JSON.")


class NoPreflight(RequestError):
    code = "CSRF_PREVENTED"

    def __init__(self, header: str) -> None:
        super().__init__(
            "A page of another site could have caused this GET request. Use POST, or send the"
            f" header '{header}' with any value."
        )


class BatchTooLarge(RequestError):
    code = "BATCH_TOO_LARGE"

    def __init__(self, most: int) -> None:
        limit = f"A batch holds at most {most} requests." if most else "Batches are disabled."
        super().__init__(f"{limit} Send the requests one by one.")


class PersistedQueryNotSupported(RequestError):
    code = "PERSISTED_QUERY_NOT_SUPPORTED"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")  # Apollo's clients compare the message


class PersistedQueryNotFound(RequestError):
    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")  # Apollo's clients compare the message


class PersistedQueryMismatch(RequestError):
    code = "PERSISTED_QUERY_HASH_MISMATCH"

    def __init__(self) -> None:
        super().__init__("The 'sha256Hash' is not the SHA-256 of the 'query'.")


class NotTrusted(RequestError):
    code = "DOCUMENT_NOT_TRUSTED"

    def __init__(self) -> None:
        super().__init__(
            "Only documents in the manifest may be executed; send a 'documentId' from it."
        )


class InvalidId(RequestError):
    code = "INVALID_ID"

    def __init__(self, got: str) -> None:
        super().__init__(f"'{_shortened(got)}' is not an id of this API.")


class InvalidCursor(RequestError):
    code = "INVALID_CURSOR"

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(f"'{argument}' {reason}")


class InvalidPage(RequestError):
    code = "INVALID_PAGE"


class TooLarge(RequestError):
    code = "OPERATION_TOO_LARGE"


class TooCostly(RequestError):
    code = "COST_LIMIT_EXCEEDED"

    def __init__(self, requested: int, most: int, most_expensive: list[tuple[str, int]]) -> None:
        named = ", ".join(f"{path} ({cost:,})" for path, cost in most_expensive)
        super().__init__(
            f"The operation may cost {requested:,}; the limit is {most:,}. The most expensive"
            f" fields are {named}. Ask for smaller pages above them, or for fewer fields below."
        )
        fields = [{"path": path, "cost": cost} for path, cost in most_expensive]
        self.extensions = {"cost": {"requested": requested, "limit": most, "fields": fields}}


class RateLimited(RequestError):
    code = "RATE_LIMITED"
    status = 429

    def __init__(self, cost: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"The operation may cost {cost:,}, more than is left of your rate limit."
            f" Try again in {retry_after_seconds} s, or request less."
        )
        self.retry_after_seconds = retry_after_seconds


class InvalidFilter(RequestError):
    code = "INVALID_FILTER"


class InvalidOrder(RequestError):
    code = "INVALID_ORDER"


class InvalidGroups(RequestError):
    code = "INVALID_GROUPS"


class InvalidText(RequestError):
    code = "INVALID_TEXT"

    def __init__(self, argument: str) -> None:
        super().__init__(f"'{argument}' must not contain U+0000 or an unpaired surrogate.")


class InvalidKey(RequestError):
    code = "INVALID_KEY"


@dataclass(frozen=True, slots=True)
class Problem:
    """One invalid value; `path` leads to it from the mutation's arguments."""

    path: tuple[str, ...]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for which a change is not allowed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Shortage:
    """An item with less stock than was requested, both in pieces."""

    item_id: int
    requested: int
    available: int


class DomainError(GraphError):
    """A rule that forbids a change. The mutation's union has a member type of the same name."""

    code = "REFUSED"

    @property
    def message(self) -> str:
        return str(self)


class ValidationFailed(DomainError):
    code = "VALIDATION_FAILED"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems[:3]))
        self.problems = problems


class NotFound(DomainError):
    code = "NOT_FOUND"

    def __init__(self, entity: str, id_: str) -> None:
        super().__init__(f"There is no {entity} with the id '{_shortened(id_)}'.")
        self.id = id_


class Conflict(DomainError):
    code = "CONFLICT"

    def __init__(self, entity: str, key: int, *, expected: int, current: int) -> None:
        super().__init__(
            f"The {entity} is at version {current}, not {expected}:"
            " it has been changed since it was read."
        )
        self.entity = entity
        self.key = key


class InsufficientStock(DomainError):
    code = "INSUFFICIENT_STOCK"

    def __init__(self, lines: Sequence[Shortage]) -> None:
        items = "One item does" if len(lines) == 1 else f"{len(lines)} items do"
        super().__init__(f"{items} not have enough stock.")
        self.lines = lines


class NotAllowed(DomainError):
    code = "NOT_ALLOWED"

    def __init__(self, *reasons: Reason) -> None:
        super().__init__(" ".join(reason.message for reason in reasons))
        self.reasons = reasons


class IdempotencyMismatch(DomainError):
    code = "IDEMPOTENCY_MISMATCH"

    def __init__(self) -> None:
        super().__init__("This idempotency key was already used for a different request.")


class Unavailable(GraphError):
    """A request that failed for a reason outside of it. It may succeed when it is sent again."""

    code = "SERVICE_UNAVAILABLE"
    status = 503

    def __init__(self, message: str = "The database cannot be reached. Try again later.") -> None:
        super().__init__(message)


class TimedOut(Unavailable):
    code = "TIMEOUT"

    def __init__(self) -> None:
        super().__init__("The operation took longer than is allowed. Request less at once.")


class TryAgain(Unavailable):
    code = "TRY_AGAIN"

    def __init__(self, reason: str = "Other operations kept changing the same rows.") -> None:
        super().__init__(f"{reason} Nothing was changed; try again.")


class OutcomeUnknown(Unavailable):
    code = "OUTCOME_UNKNOWN"

    def __init__(self) -> None:
        super().__init__(
            "The connection to the database was lost during the commit: the change may or may not"
            " have been made. Repeat the request with the same idempotency key, or read the data."
        )


class Overloaded(Unavailable):
    code = "OVERLOADED"
    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__("Too many operations are waiting already. Try again in a moment.")


class StartupError(GraphError):
    """A command cannot start. The message names the problem and its remedy, in one line."""


class InvalidSetting(StartupError):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} is invalid: {problem}.")


class InvalidSchema(StartupError):
    def __init__(self, type_: str, field: str, reason: str) -> None:
        name = f"{type_}.{field}" if field else type_
        super().__init__(f"{name} cannot be served: {reason}.")


class AddressUnavailable(StartupError):
    def __init__(self, host: str, port: int, problem: str) -> None:
        super().__init__(
            f"cannot listen on {host}:{port}: {problem}."
            " Choose another address with --host and --port (GRAPH_HOST, GRAPH_PORT)."
        )


class DatabaseUnreachable(StartupError):
    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"cannot open the database at {where}: {problem}. Check GRAPH_DATABASE_URL."
        )


class DatabaseUnsuitable(StartupError):
    pass


class PendingMigrations(StartupError):
    def __init__(self, current: str | None, head: str) -> None:
        newer = current is not None and current > head
        what_to_do = "Run a newer version of graph." if newer else "Run: graph migrate"
        super().__init__(
            f"the database is at revision {current or 'none'}, this version of graph needs {head}."
            f" {what_to_do}"
        )


class MigrationRefused(StartupError):
    """A migration cannot go on. It keeps what it has done: the next run continues from there."""


class TransferFailed(StartupError):
    pass


class DataDirUnusable(StartupError):
    pass


class StoreNotEmpty(StartupError):
    def __init__(self, customers: int) -> None:
        super().__init__(
            f"the store is not empty ({customers:,} customers); nothing was changed."
            " To replace all rows: graph seed --reset"
        )


def _shortened(text: str, most: int = 64) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
