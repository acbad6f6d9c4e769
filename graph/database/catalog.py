"""What the store tells the engine of itself; `graph.store` fills it in when it is imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.orm import DeclarativeBase

    from graph.errors import DomainError


def _no_domain_error(_error: Any) -> None:
    return None


@dataclass(slots=True)
class Catalog:
    """One per process, as SQLAlchemy's registry is."""

    models: type[DeclarativeBase] | None = None
    # The package of the store's migrations.
    migrations: str = ""
    # By entity: the columns in which a search looks.
    searched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # The refusal that a violated constraint stands for.
    domain_error_of: Callable[[Any], DomainError | None] = _no_domain_error


catalog = Catalog()
