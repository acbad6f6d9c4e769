"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewer:
    """The one on whose behalf an operation runs. Nobody can sign in yet: all are anonymous."""

    id: str | None = None
    role: str = "anonymous"


ANONYMOUS = Viewer()
