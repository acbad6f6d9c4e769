"""Everything that can go wrong and that somebody can do something about.

    GraphError
     ├─ RequestError              the client sent what cannot be answered       code
     │   ├─ BadRequest            the HTTP request holds no GraphQL request      BAD_REQUEST
     │   ├─ MethodNotAllowed      neither GET nor POST, or a mutation by GET     METHOD_NOT_ALLOWED
     │   ├─ HostNotAllowed        a Host that is not one of the server's         HOST_NOT_ALLOWED
     │   ├─ NotAcceptable         a media type that answers do not come in       NOT_ACCEPTABLE
     │   ├─ UnsupportedMediaType  a body that is not JSON                    UNSUPPORTED_MEDIA_TYPE
     │   ├─ BodyTooLarge          more bytes than the server reads               PAYLOAD_TOO_LARGE
     │   ├─ BodyTooSlow           a body that takes longer than that             REQUEST_TIMEOUT
     │   ├─ VariablesTooLarge     more bytes of variables than that              PAYLOAD_TOO_LARGE
     │   ├─ NoPreflight           a GET that another site may have caused        CSRF_PREVENTED
     │   ├─ BatchTooLarge         more requests in one than the server takes     BATCH_TOO_LARGE
     │   ├─ PersistedQuery...     a document's name: NotSupported, NotFound, Mismatch
     │   ├─ NotTrusted            a document that is not of the manifest        DOCUMENT_NOT_TRUSTED
     │   ├─ InvalidId             not an id of this schema                       INVALID_ID
     │   ├─ InvalidCursor         mangled, or made under another sort            INVALID_CURSOR
     │   ├─ InvalidPage           page sizes that contradict or exceed           INVALID_PAGE
     │   ├─ TooCostly             more than an operation may cost               COST_LIMIT_EXCEEDED
     │   ├─ RateLimited           more at this time than a client may               RATE_LIMITED
     │   ├─ InvalidFilter         a null operand; too much, or too deep          INVALID_FILTER
     │   ├─ InvalidOrder          too many sorts; a rank without a search        INVALID_ORDER
     │   ├─ InvalidGroups         keys twice or unknown; no such time zone       INVALID_GROUPS
     │   ├─ TooLarge              over a limit of documents or of operations     OPERATION_TOO_LARGE
     │   ├─ InvalidText           text that PostgreSQL cannot hold               INVALID_TEXT
     │   └─ InvalidKey            an idempotency key that is none, or of no use  INVALID_KEY
     ├─ DomainError                   the store's rules say no; nothing was changed
     │   ├─ ValidationFailed      values that cannot be, all of them at once     VALIDATION_FAILED
     │   ├─ NotFound              what was to be changed does not exist          NOT_FOUND
     │   ├─ Conflict              somebody else has changed it meanwhile         CONFLICT
     │   ├─ InsufficientStock     fewer pieces are there than are wanted         INSUFFICIENT_STOCK
     │   ├─ NotAllowed            not in the state that things are in            NOT_ALLOWED
     │   └─ IdempotencyMismatch   the key was used for another request   IDEMPOTENCY_MISMATCH
     ├─ Unavailable               the store cannot be reached: try again later   SERVICE_UNAVAILABLE
     │   ├─ TimedOut              the store took too long: ask for less          TIMEOUT
     │   ├─ TryAgain              others were in the way; nothing was changed    TRY_AGAIN
     │   ├─ OutcomeUnknown        the store was lost while it committed          OUTCOME_UNKNOWN
     │   └─ Overloaded            more wait than the server lets wait            OVERLOADED
     └─ StartupError              one line on stderr, and exit code 1
         ├─ InvalidSetting        an environment variable or option
         ├─ AddressUnavailable    host and port cannot be listened on
         ├─ DatabaseUnreachable   no connection to GRAPH_DATABASE_URL
         ├─ DatabaseUnsuitable    a database that graph cannot run on
         ├─ PendingMigrations     the schema is older or newer than the code
         ├─ TransferFailed        a file cannot be imported, or rows not exported
         ├─ DataDirUnusable       GRAPH_DATA_DIR cannot hold a PostgreSQL cluster
         └─ StoreNotEmpty         seeding would mix with rows that are there

A class builds its message from facts: what was required, and what was got. The codes are part of
the API. Three more come from the GraphQL language itself (`execution/` names them):
GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED and BAD_USER_INPUT for variables; whatever is not
foreseen is masked as INTERNAL_SERVER_ERROR with an error id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class GraphError(Exception):
    """The root: its text is meant to be read by whoever caused it."""


class RequestError(GraphError):
    code = "BAD_REQUEST"
    # What the HTTP answer says when nothing was executed.
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
        super().__init__(f"Answers come as {offered}; the Accept header admits none of these.")


class UnsupportedMediaType(RequestError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415

    def __init__(self, got: str) -> None:
        found = f"'{_shortened(got)}'" if got else "without a Content-Type"
        super().__init__(f"A request body must be application/json in UTF-8, not {found}.")


class BodyTooLarge(RequestError):
    code = "PAYLOAD_TOO_LARGE"
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body is larger than {limit_bytes} bytes.")


class BodyTooSlow(RequestError):
    code = "REQUEST_TIMEOUT"
    status = 408

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The request body was not there within {seconds:g} s.")


class VariablesTooLarge(RequestError):
    code = "PAYLOAD_TOO_LARGE"
    status = 413

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The variables are larger than {limit_bytes} bytes of JSON.")


class NoPreflight(RequestError):
    code = "CSRF_PREVENTED"

    def __init__(self, header: str) -> None:
        super().__init__(
            "A page of another site could have caused this request. Send it by POST, or with"
            f" the header '{header}' (any value)."
        )


class BatchTooLarge(RequestError):
    code = "BATCH_TOO_LARGE"

    def __init__(self, most: int) -> None:
        limit = f"A batch holds at most {most} requests." if most else "Batches are switched off."
        super().__init__(f"{limit} Send the requests one by one.")


class PersistedQueryNotSupported(RequestError):
    code = "PERSISTED_QUERY_NOT_SUPPORTED"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported")  # the word that clients look for


class PersistedQueryNotFound(RequestError):
    code = "PERSISTED_QUERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotFound")  # the word that clients look for


class PersistedQueryMismatch(RequestError):
    code = "PERSISTED_QUERY_HASH_MISMATCH"

    def __init__(self) -> None:
        super().__init__("The 'sha256Hash' is not the SHA-256 of the 'query'.")


class NotTrusted(RequestError):
    code = "DOCUMENT_NOT_TRUSTED"

    def __init__(self) -> None:
        super().__init__("Only documents of the manifest may run; send their 'documentId'.")


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
            f"The operation may cost {cost:,}, more than you have left."
            f" Try again in {retry_after_seconds} s, or ask for less."
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
        super().__init__(f"'{argument}' holds U+0000 or half of a surrogate pair.")


class InvalidKey(RequestError):
    code = "INVALID_KEY"


@dataclass(frozen=True, slots=True)
class Problem:
    """One value that cannot be; `path` leads to it through the mutation's arguments."""

    path: tuple[str, ...]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not allowed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Shortage:
    item_id: int
    requested: int
    available: int


class DomainError(GraphError):
    """What a mutation answers instead of its success: a member of its union, by the same name."""

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
            f"The {entity} is at version {current}, not {expected}: somebody else has changed it."
        )
        self.entity = entity
        self.key = key


class InsufficientStock(DomainError):
    code = "INSUFFICIENT_STOCK"

    def __init__(self, lines: Sequence[Shortage]) -> None:
        which = "one item" if len(lines) == 1 else f"{len(lines)} items"
        super().__init__(f"Of {which} fewer pieces are in stock than are wanted.")
        self.lines = lines


class NotAllowed(DomainError):
    code = "NOT_ALLOWED"

    def __init__(self, *reasons: Reason) -> None:
        super().__init__(" ".join(reason.message for reason in reasons))
        self.reasons = reasons


class IdempotencyMismatch(DomainError):
    code = "IDEMPOTENCY_MISMATCH"

    def __init__(self) -> None:
        super().__init__("This idempotency key was used before, for another request.")


class Unavailable(GraphError):
    code = "SERVICE_UNAVAILABLE"
    status = 503

    def __init__(self, message: str = "The store cannot be reached. Try again later.") -> None:
        super().__init__(message)


class TimedOut(Unavailable):
    code = "TIMEOUT"

    def __init__(self) -> None:
        super().__init__("The store took longer than an operation may take. Ask for less at once.")


class TryAgain(Unavailable):
    code = "TRY_AGAIN"

    def __init__(self, reason: str = "Others were changing the same things all the time.") -> None:
        super().__init__(f"{reason} Nothing was changed; try again.")


class OutcomeUnknown(Unavailable):
    code = "OUTCOME_UNKNOWN"

    def __init__(self) -> None:
        super().__init__(
            "The store was lost while it committed: the change was made, or it was not."
            " Ask again with the same idempotency key, or look."
        )


class Overloaded(Unavailable):
    code = "OVERLOADED"
    retry_after_seconds = 1

    def __init__(self) -> None:
        super().__init__("Too many operations wait already. Try again in a moment.")


class StartupError(GraphError):
    """A command cannot begin. Its text says what is wrong and what to do about it."""


class InvalidSetting(StartupError):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} is wrong: {problem}.")


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
    """A migration cannot go on; what it has done so far stays, and the next run goes on from there."""


class TransferFailed(StartupError):
    pass


class DataDirUnusable(StartupError):
    pass


class StoreNotEmpty(StartupError):
    def __init__(self, customers: int) -> None:
        super().__init__(
            f"the store is not empty ({customers:,} customers); nothing was changed."
            " To replace everything in it: graph seed --reset"
        )


def _shortened(text: str, most: int = 64) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
