"""The codes by which a client tells errors apart. They are part of the API.

    ErrorCode        `extensions.code` of an error, and `code` of an error of a mutation
    ProblemCode      `code` of an invalid value
    ReasonCode       `code` of a reason for which a change is not allowed
    FileProblemCode  codes that only an import of a file has, beside those of `ProblemCode`

Each member has its description, which the schema shows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class _Code(StrEnum):
    """A code, and what it means."""

    description: str

    def __new__(cls, code: str, description: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.description = description
        return member


class ErrorCode(_Code):
    # The HTTP request
    BAD_REQUEST = "BAD_REQUEST", "The HTTP request holds no GraphQL request."
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED", "Neither GET nor POST, or a mutation by GET."
    HOST_NOT_ALLOWED = "HOST_NOT_ALLOWED", "The Host header names another host."
    INVALID_TOKEN = "INVALID_TOKEN", "The token of the Authorization header is not valid."
    UNAUTHENTICATED = "UNAUTHENTICATED", "Fields of the operation need a sign-in."
    FORBIDDEN = "FORBIDDEN", "Fields of the operation need permissions that the viewer lacks."
    ORIGIN_NOT_ALLOWED = "ORIGIN_NOT_ALLOWED", "The Origin header names another site."
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE", "The Accept header admits no served media type."
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE", "The body is not JSON in UTF-8."
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE", "The body or the variables have too many bytes."
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT", "The body did not arrive in time."
    CSRF_PREVENTED = "CSRF_PREVENTED", "A page of another site may have caused the GET request."
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE", "The batch holds too many requests."
    # The document
    PERSISTED_QUERY_NOT_SUPPORTED = (
        "PERSISTED_QUERY_NOT_SUPPORTED",
        "Documents cannot be named by a hash on this server.",
    )
    PERSISTED_QUERY_NOT_FOUND = (
        "PERSISTED_QUERY_NOT_FOUND",
        "There is no document of this hash or id: send its text once.",
    )
    PERSISTED_QUERY_HASH_MISMATCH = (
        "PERSISTED_QUERY_HASH_MISMATCH",
        "The hash is not that of the text.",
    )
    DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED", "The document is not in the manifest."
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED", "The document is not GraphQL."
    GRAPHQL_VALIDATION_FAILED = (
        "GRAPHQL_VALIDATION_FAILED",
        "The document does not fit the schema.",
    )
    OPERATION_RESOLUTION_FAILURE = (
        "OPERATION_RESOLUTION_FAILURE",
        "No operation has this name, or there are several and none was named.",
    )
    BAD_USER_INPUT = "BAD_USER_INPUT", "A variable or an argument does not fit its type."
    OPERATION_TOO_LARGE = "OPERATION_TOO_LARGE", "A limit of documents or operations is exceeded."
    ANSWER_TOO_LARGE = "ANSWER_TOO_LARGE", "The answer would have too many bytes."
    COST_LIMIT_EXCEEDED = "COST_LIMIT_EXCEEDED", "The operation costs more than is allowed."
    RATE_LIMITED = "RATE_LIMITED", "The client has used up its allowance: wait as Retry-After says."
    TOO_MANY_SUBSCRIPTIONS = (
        "TOO_MANY_SUBSCRIPTIONS",
        "A connection, a client or the server holds as many subscriptions as it may.",
    )
    # The arguments
    INVALID_ID = "INVALID_ID", "The text is not an id of this API."
    INVALID_CURSOR = "INVALID_CURSOR", "The cursor is malformed, or of another list or order."
    CURSOR_EXPIRED = "CURSOR_EXPIRED", "Events after the cursor are not replayed any more."
    CURSOR_UNKNOWN = "CURSOR_UNKNOWN", "The cursor is beyond the last event."
    NOT_FOLLOWED = "NOT_FOLLOWED", "A live query reads rows whose changes are not logged."
    INVALID_PAGE = "INVALID_PAGE", "Page arguments contradict each other, or exceed a limit."
    INVALID_FILTER = "INVALID_FILTER", "A condition is null, or the filter exceeds a limit."
    INVALID_ORDER = "INVALID_ORDER", "There are too many sorts, or a rank without a search."
    INVALID_GROUPS = (
        "INVALID_GROUPS",
        "A key is repeated or unknown, or there is no such time zone.",
    )
    INVALID_TEXT = (
        "INVALID_TEXT",
        "The text cannot be stored: it has U+0000 or an unpaired surrogate.",
    )
    INVALID_KEY = (
        "INVALID_KEY",
        "The idempotency key is malformed, or does not apply to one mutation.",
    )
    INVALID_CONSISTENCY_TOKEN = (
        "INVALID_CONSISTENCY_TOKEN",
        "The consistency token is none that this API has given.",
    )
    # The errors of mutations, each with a type
    VALIDATION_FAILED = "VALIDATION_FAILED", "`ValidationFailed`: values are invalid."
    NOT_FOUND = "NOT_FOUND", "`NotFound`: the object to change does not exist."
    CONFLICT = "CONFLICT", "`Conflict`: the object has been changed since it was read."
    INSUFFICIENT_STOCK = (
        "INSUFFICIENT_STOCK",
        "`InsufficientStock`: items do not have enough stock.",
    )
    NOT_ALLOWED = "NOT_ALLOWED", "`NotAllowed`: the state of the object does not allow the change."
    IDEMPOTENCY_MISMATCH = (
        "IDEMPOTENCY_MISMATCH",
        "`IdempotencyMismatch`: the idempotency key was used for a different request.",
    )
    # The server
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE", "The database cannot be reached: try again later."
    SIGN_IN_UNAVAILABLE = "SIGN_IN_UNAVAILABLE", "The keys of the token's issuer are out of reach."
    TIMEOUT = "TIMEOUT", "The operation took longer than is allowed: request less."
    TRY_AGAIN = "TRY_AGAIN", "Other operations changed the same rows. Nothing was changed."
    OUTCOME_UNKNOWN = (
        "OUTCOME_UNKNOWN",
        "The change may have been made: repeat with the same key, or read the data.",
    )
    TOO_EXPENSIVE = "TOO_EXPENSIVE", "Too many expensive operations are running: request less."
    TOO_MUCH_STORAGE = "TOO_MUCH_STORAGE", "The operation needs too much temporary storage."
    OVERLOADED = "OVERLOADED", "Too many operations are waiting: try again in a moment."
    INTERNAL_SERVER_ERROR = (
        "INTERNAL_SERVER_ERROR",
        "A defect; the server's log has its cause under the `errorId`.",
    )


class ProblemCode(_Code):
    REQUIRED = "REQUIRED", "The value is missing, or null."
    NOT_TRUE = "NOT_TRUE", "The value is false, and has a meaning only if it is true."
    BLANK = "BLANK", "The text shows nothing: it has only blanks and invisible characters."
    INVISIBLE = "INVISIBLE", "The text has an invisible character, such as U+200B."
    TOO_LONG = "TOO_LONG", "The text is too long."
    NOT_AN_EMAIL = "NOT_AN_EMAIL", "The text is not an email address."
    TAKEN = "TAKEN", "Another customer has this user name or email address."
    OUT_OF_RANGE = (
        "OUT_OF_RANGE",
        "The number, the price or the length of the list is out of range.",
    )
    TOO_PRECISE = "TOO_PRECISE", "The price has more than two decimal places."
    INVALID_ID = "INVALID_ID", "The text is not an id of the required type."
    NOT_FOUND = "NOT_FOUND", "No object has this id."
    REPEATED = "REPEATED", "The line is repeated."
    INSUFFICIENT_STOCK = (
        "INSUFFICIENT_STOCK",
        "The items of this row do not have enough stock after the rows before it.",
    )
    NOT_ALLOWED = "NOT_ALLOWED", "The state of the store does not allow this row."


class ReasonCode(_Code):
    IS_PLACED = "IS_PLACED", "The order is PLACED."
    IS_PAID = "IS_PAID", "The order is PAID."
    IS_SHIPPED = "IS_SHIPPED", "The order is SHIPPED."
    IS_DELIVERED = "IS_DELIVERED", "The order is DELIVERED."
    IS_CANCELLED = "IS_CANCELLED", "The order is CANCELLED."
    NOT_PERMITTED = "NOT_PERMITTED", "The viewer has no permission for the action."
    HAS_ORDERS = "HAS_ORDERS", "The customer has orders."
    HAS_LINES = "HAS_LINES", "Order lines refer to the order or the item."
    NOTHING_LEFT = "NOTHING_LEFT", "The line has fewer pieces left."
    LESS_THAN_CANCELLED = "LESS_THAN_CANCELLED", "The line has more cancelled pieces."
    NOT_COUNTED = "NOT_COUNTED", "The item's stock is not tracked."
    OUT_OF_STOCK = "OUT_OF_STOCK", "The item does not have enough stock."
    ROLLED_BACK = "ROLLED_BACK", "Another mutation of the `@atomic` operation was refused."


class FileProblemCode(_Code):
    UNKNOWN = "UNKNOWN", "There is no such field."
    INVALID = "INVALID", "Not a value of its type, or not a record."
    AMBIGUOUS = "AMBIGUOUS", "Several rows have this key."
