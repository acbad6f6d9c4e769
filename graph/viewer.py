"""The viewer: the subject on whose behalf an operation runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Viewer:
    """One per request.

    `subject` is unique among all issuers of tokens; None without a sign-in. `may` are the viewer's
    permissions; None is all of them. `own` is the key of the row that is the viewer: a customer's.
    `expires_at` is when the sign-in ends.
    """

    subject: str | None = None
    role: str = "anonymous"
    may: frozenset[str] | None = frozenset()
    own: Any = None
    expires_at: datetime | None = None

    def has(self, permissions: frozenset[str]) -> bool:
        """Whether the viewer has one of these permissions."""
        return self.may is None or not self.may.isdisjoint(permissions)


ANONYMOUS = Viewer()
# The server itself, such as its exports; and the commands of whoever operates it.
SYSTEM = Viewer(role="system", may=None)
