"""The database or the server cannot execute an operation now."""

from __future__ import annotations

from asyncio import CancelledError
from typing import ClassVar

from graph.errors.codes import ErrorCode
from graph.errors.root import GraphError


class Unavailable(GraphError):
    """A request that failed for a reason outside of it. It may succeed when it is sent again."""

    code: ClassVar[ErrorCode] = ErrorCode.SERVICE_UNAVAILABLE
    status = 503
    # Of the header Retry-After; longer where the same request may well fail again.
    retry_after_seconds: ClassVar[int] = 1

    def __init__(self, message: str = "The database cannot be reached. Try again later.") -> None:
        super().__init__(message)


class Interrupted(Unavailable):
    """A connection was lost, or a standby ended a statement: a read may run again elsewhere."""


class ReadOnly(Unavailable):
    """The server is a standby. Another one is the primary, or this one becomes it."""

    def __init__(self) -> None:
        super().__init__("The database accepts no changes at present. Try again later.")


class WrongRevision(Unavailable):
    """The database was migrated too little, or too far, for this server."""


class TimedOut(Unavailable):
    code = ErrorCode.TIMEOUT
    retry_after_seconds = 10

    def __init__(self) -> None:
        super().__init__("The operation took longer than is allowed. Request less at once.")


class TryAgain(Unavailable):
    code = ErrorCode.TRY_AGAIN

    def __init__(self, reason: str = "Other operations kept changing the same rows.") -> None:
        super().__init__(f"{reason} Nothing was changed; try again.")


class OutcomeUnknown(Unavailable):
    code = ErrorCode.OUTCOME_UNKNOWN

    def __init__(self) -> None:
        super().__init__(
            "The change may or may not have been made: the connection to the database was lost, or"
            " the time was up, during the commit. Repeat the request with the same idempotency key,"
            " or read the data."
        )


class Unconfirmed(CancelledError):
    """A commit was cancelled, but it may have been too late."""


def reason_of(error: CancelledError, reason: Exception) -> Exception:
    """The error for the client of what was cancelled, for this reason."""
    return OutcomeUnknown() if isinstance(error, Unconfirmed) else reason


class ProviderUnavailable(Unavailable):
    code = ErrorCode.SIGN_IN_UNAVAILABLE
    retry_after_seconds = 10

    def __init__(self) -> None:
        super().__init__(
            "The token cannot be verified: the keys of its issuer cannot be loaded."
            " Try again later."
        )


class Overloaded(Unavailable):
    code = ErrorCode.OVERLOADED

    def __init__(
        self, message: str = "Too many operations are waiting already. Try again in a moment."
    ) -> None:
        super().__init__(message)


class TooExpensive(Overloaded):
    code = ErrorCode.TOO_EXPENSIVE

    def __init__(self, after_seconds: float) -> None:
        super().__init__(
            f"The operation took longer than {after_seconds * 1000:.0f} ms, and the places for"
            " expensive operations are all taken. Request less, or try again in a moment."
        )


class TooMuchStorage(Unavailable):
    code = ErrorCode.TOO_MUCH_STORAGE
    retry_after_seconds = 10

    def __init__(self) -> None:
        super().__init__(
            "The operation needs more temporary storage than is allowed. Request less."
        )
