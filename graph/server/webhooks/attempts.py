"""An attempt to deliver a message: the time that it may take, and its failure."""

from __future__ import annotations

# The whole attempt, with look-up, connection and TLS.
TIMEOUT_SECONDS = 10.0


class DeliveryFailed(Exception):
    """The receiver has not taken a message. `is_final` if it wants no others.

    `retry_after` are the seconds for which it wants none, by its `Retry-After`.
    """

    def __init__(self, problem: str, *, is_final: bool = False, retry_after: float = 0) -> None:
        super().__init__(problem)
        self.is_final = is_final
        self.retry_after = retry_after
