"""The errors that a client or an operator can act on. Any other exception is a defect.

    GraphError
     ├─ RequestError              the request cannot be executed                 code
     │   ├─ BadRequest            the HTTP request holds no GraphQL request      BAD_REQUEST
     │   ├─ MethodNotAllowed      neither GET nor POST, or a mutation by GET     METHOD_NOT_ALLOWED
     │   ├─ HostNotAllowed        the Host header names another host             HOST_NOT_ALLOWED
     │   ├─ OriginNotAllowed      pages of this origin may not call the API      ORIGIN_NOT_ALLOWED
     │   ├─ InvalidToken          the bearer token or API key is not valid       INVALID_TOKEN
     │   ├─ NotAcceptable         the Accept header admits no served media type  NOT_ACCEPTABLE
     │   ├─ UnsupportedMediaType  the body is not JSON                       UNSUPPORTED_MEDIA_TYPE
     │   ├─ UnsupportedEncoding   the body is compressed                     UNSUPPORTED_MEDIA_TYPE
     │   ├─ BodyTooLarge          the body exceeds the limit in bytes            PAYLOAD_TOO_LARGE
     │   ├─ BodyTooSlow           the body did not arrive in time                REQUEST_TIMEOUT
     │   ├─ VariablesTooLarge     the variables exceed their limit in bytes      PAYLOAD_TOO_LARGE
     │   ├─ NoPreflight           another site may have caused the GET           CSRF_PREVENTED
     │   ├─ BatchTooLarge         the batch holds too many requests              BATCH_TOO_LARGE
     │   ├─ PersistedQuery...     NotSupported, NotFound, or (hash) Mismatch
     │   ├─ NotTrusted            the document is not in the manifest           DOCUMENT_NOT_TRUSTED
     │   ├─ InvalidId             the text is not an id of this schema           INVALID_ID
     │   ├─ InvalidCursor         the cursor is malformed, or of another sort    INVALID_CURSOR
     │   ├─ CursorExpired         events after it are not replayed any more      CURSOR_EXPIRED
     │   ├─ CursorUnknown         it is beyond the last event                    CURSOR_UNKNOWN
     │   ├─ NotFollowed           a live query of rows without events            NOT_FOLLOWED
     │   ├─ StreamNotAccepted     a subscription, by a transport for one answer  NOT_ACCEPTABLE
     │   ├─ InvalidPage           page sizes contradict, or exceed the maximum   INVALID_PAGE
     │   ├─ AnswerTooLarge        the answer exceeds its limit in bytes          ANSWER_TOO_LARGE
     │   ├─ TooCostly             the operation exceeds the cost limit          COST_LIMIT_EXCEEDED
     │   │  └─ ScansTooCostly     its lists look at too many rows
     │   ├─ RateLimited           the client's token bucket is too empty            RATE_LIMITED
     │   ├─ TooManySubscriptions  no more of them may be open            TOO_MANY_SUBSCRIPTIONS
     │   ├─ NotPermitted          fields need a sign-in (or more)  UNAUTHENTICATED, FORBIDDEN
     │   ├─ InvalidFilter         a null operand; too large, or too deep         INVALID_FILTER
     │   ├─ InvalidOrder          too many sorts; a rank without a search        INVALID_ORDER
     │   ├─ InvalidGroups         a repeated or unknown key or time zone         INVALID_GROUPS
     │   │   └─ TooManyBuckets    with the empty ones, in this store            INVALID_GROUPS
     │   ├─ TooLarge              a limit of documents or operations is exceeded OPERATION_TOO_LARGE
     │   ├─ InvalidText           PostgreSQL cannot store the text               INVALID_TEXT
     │   ├─ InvalidConsistencyToken                         INVALID_CONSISTENCY_TOKEN
     │   └─ InvalidKey            a malformed or inapplicable idempotency key    INVALID_KEY
     ├─ DomainError               a rule of the store forbids it; nothing was changed
     │   ├─ ValidationFailed      values are invalid; all of them are listed     VALIDATION_FAILED
     │   ├─ NotFound              the row to change does not exist               NOT_FOUND
     │   ├─ Conflict              the row has changed since it was read          CONFLICT
     │   ├─ InsufficientStock     items do not have enough stock                 INSUFFICIENT_STOCK
     │   ├─ NotAllowed            the state of the row does not permit it        NOT_ALLOWED
     │   └─ IdempotencyMismatch   the key was used for a different request   IDEMPOTENCY_MISMATCH
     ├─ Unavailable               the database cannot be reached; retry later    SERVICE_UNAVAILABLE
     │   ├─ Interrupted           the connection was lost; a read runs once more
     │   ├─ ReadOnly              the server is a standby; nothing was changed
     │   ├─ WrongRevision         the server does not work on the database's revision
     │   ├─ TimedOut              the operation exceeded its time                TIMEOUT
     │   ├─ TryAgain              concurrent changes; nothing was changed        TRY_AGAIN
     │   ├─ OutcomeUnknown        the change may or may not have been made       OUTCOME_UNKNOWN
     │   ├─ ProviderUnavailable   the keys of a token cannot be loaded           SIGN_IN_UNAVAILABLE
     │   ├─ TooMuchStorage        the operation exceeded its temporary storage   TOO_MUCH_STORAGE
     │   └─ Overloaded            too many operations are waiting                OVERLOADED
     │       └─ TooExpensive      it was slow, and too many slow ones are running  TOO_EXPENSIVE
     └─ StartupError              one line on stderr, and exit code 1
         ├─ InvalidSetting        an environment variable or option is invalid
         ├─ InvalidSchema         a type or field of the store that cannot be served
         ├─ InvalidSchemaFile     no schema to compare with; the exit code is 2
         ├─ AddressUnavailable    the server cannot listen on host and port
         ├─ WorkerFailed          a process of the server could not start
         ├─ DatabaseUnreachable   no connection to GRAPH_DATABASE_URL
         ├─ DatabaseUnsuitable    graph cannot run on this database
         ├─ CommandFailed         PostgreSQL refuses what a command wants
         ├─ PendingMigrations     the database schema is older or newer than the code
         ├─ TransferFailed        a file cannot be imported, or rows cannot be exported
         ├─ DataDirUnusable       GRAPH_DATA_DIR cannot hold a PostgreSQL cluster
         └─ StoreNotEmpty         the seed refuses to mix with existing rows

Each class builds its message from facts: what was required and what was got. All codes are members
of the enums in `codes`, which are part of the API. Some come from the GraphQL language itself
(`execution/` raises them): GRAPHQL_PARSE_FAILED, GRAPHQL_VALIDATION_FAILED,
OPERATION_RESOLUTION_FAILURE, and BAD_USER_INPUT for variables. Any other exception is masked as
INTERNAL_SERVER_ERROR with an error id.
"""

from graph.errors.availability import (
    Interrupted,
    OutcomeUnknown,
    Overloaded,
    ProviderUnavailable,
    ReadOnly,
    TimedOut,
    TooExpensive,
    TooMuchStorage,
    TryAgain,
    Unavailable,
    Unconfirmed,
    WrongRevision,
    reason_of,
)
from graph.errors.codes import (
    ErrorCode,
    FileProblemCode,
    ProblemCode,
    ReasonCode,
)
from graph.errors.domain import (
    Conflict,
    DomainError,
    IdempotencyMismatch,
    InsufficientStock,
    NotAllowed,
    NotFound,
    Problem,
    Reason,
    Shortage,
    ValidationFailed,
)
from graph.errors.requests import (
    AnswerTooLarge,
    BadRequest,
    BatchTooLarge,
    BodyTooLarge,
    BodyTooSlow,
    CursorExpired,
    CursorUnknown,
    Forbidden,
    HostNotAllowed,
    InvalidConsistencyToken,
    InvalidCursor,
    InvalidFilter,
    InvalidGroups,
    InvalidId,
    InvalidKey,
    InvalidOrder,
    InvalidPage,
    InvalidText,
    InvalidToken,
    MethodNotAllowed,
    NoPreflight,
    NotAcceptable,
    NotFollowed,
    NotPermitted,
    NotTrusted,
    OriginNotAllowed,
    PersistedQueryMismatch,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
    RateLimited,
    RequestError,
    ScansTooCostly,
    StreamNotAccepted,
    TooCostly,
    TooLarge,
    TooManyBuckets,
    TooManySubscriptions,
    Unauthenticated,
    UnsupportedEncoding,
    UnsupportedMediaType,
    VariablesTooLarge,
)
from graph.errors.root import (
    GraphError,
)
from graph.errors.startup import (
    AddressUnavailable,
    CommandFailed,
    DatabaseUnreachable,
    DatabaseUnsuitable,
    DataDirUnusable,
    InvalidSchema,
    InvalidSchemaFile,
    InvalidSetting,
    MigrationRefused,
    PendingMigrations,
    StartupError,
    StoreNotEmpty,
    TransferFailed,
    WorkerFailed,
)

__all__ = [
    "AddressUnavailable",
    "AnswerTooLarge",
    "BadRequest",
    "BatchTooLarge",
    "BodyTooLarge",
    "BodyTooSlow",
    "CommandFailed",
    "Conflict",
    "CursorExpired",
    "CursorUnknown",
    "DataDirUnusable",
    "DatabaseUnreachable",
    "DatabaseUnsuitable",
    "DomainError",
    "ErrorCode",
    "FileProblemCode",
    "Forbidden",
    "GraphError",
    "HostNotAllowed",
    "IdempotencyMismatch",
    "InsufficientStock",
    "Interrupted",
    "InvalidConsistencyToken",
    "InvalidCursor",
    "InvalidFilter",
    "InvalidGroups",
    "InvalidId",
    "InvalidKey",
    "InvalidOrder",
    "InvalidPage",
    "InvalidSchema",
    "InvalidSchemaFile",
    "InvalidSetting",
    "InvalidText",
    "InvalidToken",
    "MethodNotAllowed",
    "MigrationRefused",
    "NoPreflight",
    "NotAcceptable",
    "NotAllowed",
    "NotFollowed",
    "NotFound",
    "NotPermitted",
    "NotTrusted",
    "OriginNotAllowed",
    "OutcomeUnknown",
    "Overloaded",
    "PendingMigrations",
    "PersistedQueryMismatch",
    "PersistedQueryNotFound",
    "PersistedQueryNotSupported",
    "Problem",
    "ProblemCode",
    "ProviderUnavailable",
    "RateLimited",
    "ReadOnly",
    "Reason",
    "ReasonCode",
    "RequestError",
    "ScansTooCostly",
    "Shortage",
    "StartupError",
    "StoreNotEmpty",
    "StreamNotAccepted",
    "TimedOut",
    "TooCostly",
    "TooExpensive",
    "TooLarge",
    "TooManyBuckets",
    "TooManySubscriptions",
    "TooMuchStorage",
    "TransferFailed",
    "TryAgain",
    "Unauthenticated",
    "Unavailable",
    "Unconfirmed",
    "UnsupportedEncoding",
    "UnsupportedMediaType",
    "ValidationFailed",
    "VariablesTooLarge",
    "WorkerFailed",
    "WrongRevision",
    "reason_of",
]
