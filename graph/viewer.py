"""The viewer: the subject on whose behalf an operation runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewer:
    """One per request. There is no sign-in yet, so every viewer is anonymous."""

    id: str | None = None
    role: str = "anonymous"


ANONYMOUS = Viewer()
