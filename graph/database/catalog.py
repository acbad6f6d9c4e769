"""The engine's knowledge of stores. Each store adds to it when it is imported.

A process serves one store; tests have several. The names of their entities are disjoint, so an
entity's name identifies its store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import DeclarativeBase

    from graph.database.events import EventLog
    from graph.database.kinds import ScalarKind
    from graph.errors import DomainError


def _no_domain_error(_error: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class DeclaredColumn:
    """The declaration of a column by its field.

    `references` is the entity whose global ids it has.
    """

    kind: ScalarKind
    is_nullable: bool
    references: str | None = None


@dataclass(frozen=True, slots=True)
class RowRule:
    """The rows of an entity that exist for viewers with all of these permissions.

    The condition is over the model's columns; None is every row.
    """

    permissions: frozenset[str]
    condition: ColumnElement[bool] | None = None


@dataclass(slots=True)
class Catalog:
    """One per process, as SQLAlchemy's registry is."""

    # The declarative bases of all stores' models; and that of the store which is served.
    bases: list[type[DeclarativeBase]] = field(default_factory=list)
    models: type[DeclarativeBase] | None = None
    # The package of the store's migrations.
    migrations: str = ""
    # By entity: the columns in which a search looks.
    searched: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # By union of the schema: the entities whose rows one search can find.
    unions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # By entity and column: filled in when a schema is built.
    columns: dict[tuple[str, str], DeclaredColumn] = field(default_factory=dict)
    # By entity: what makes its rows exist for a viewer, any of these. All exist without a rule.
    rows: dict[str, tuple[RowRule, ...]] = field(default_factory=dict)
    # By entity and column: the permissions of which a viewer needs one to read it.
    needs: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    # By mutation: the permissions of which a viewer needs one. Where the store has rules, every
    # mutation is listed.
    changes: dict[str, frozenset[str]] = field(default_factory=dict)
    # The permissions of which a viewer needs one to have operations explained.
    explains: frozenset[str] = frozenset()
    # The permissions that values of columns depend on, such as the actions that a status allows.
    deciding: frozenset[str] = frozenset()
    # The log of all changes, if the store has one.
    log: EventLog | None = None
    # The refusal that a violated constraint stands for.
    domain_error_of: Callable[[Any], DomainError | None] = _no_domain_error


catalog = Catalog()
