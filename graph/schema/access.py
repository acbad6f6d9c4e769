"""What fields need, declared in the schema by the directives of federated graphs.

`@authenticated` marks the types whose rows nobody sees without a sign-in, and `@requiresScopes` the
fields that need a permission. Both follow from the rules in the catalog. `graph.execution` refuses
what a viewer may not read; the directives tell people, gateways and generators.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import strawberry
from strawberry.schema_directive import Location

from graph.database.catalog import catalog
from graph.database.worlds import needs_of
from graph.errors import InvalidSchema
from graph.schema.fields import Meaning, meaning_of
from graph.schema.resolvers import needed_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from graph.schema.node import Node


@strawberry.schema_directive(
    locations=[Location.OBJECT],
    description="Objects of the type do not exist for viewers who have not signed in.",
)
class Authenticated:
    pass


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description="A viewer needs all scopes of one of these lists, each a permission.",
)
class RequiresScopes:
    scopes: list[list[str]]


def declare_access(entities: Sequence[type[Node]], mutation: type | None) -> None:
    """Add the directives to the types of a store.

    Raises:
        InvalidSchema: the store has rules, and a mutation is not among them.
    """
    for type_ in entities:
        definition: Any = type_.__strawberry_definition__  # type: ignore[attr-defined]
        rules = catalog.rows.get(type_.__name__, ())
        known = definition.directives or ()
        # A type may belong to several schemas of one process.
        is_declared = any(isinstance(each, Authenticated) for each in known)
        if rules and all(rule.permissions for rule in rules) and not is_declared:
            definition.directives = [*known, Authenticated()]
        for field in definition.fields:
            is_column = meaning_of(field) is Meaning.COLUMN
            columns = {field.python_name} if is_column else needed_columns(field) or ()
            _require(field, [needs_of(type_.__name__, name) for name in sorted(columns)])
    if mutation is not None and catalog.changes:
        for field in mutation.__strawberry_definition__.fields:  # type: ignore[attr-defined]
            if field.python_name not in catalog.changes:
                raise InvalidSchema(
                    "Mutation", field.python_name, "has no permission that allows it"
                )
            _require(field, [catalog.changes[field.python_name]])


def _require(field: Any, needs: Iterable[Iterable[str]]) -> None:
    """Require one permission of each of these sets that is not empty."""
    sets = {frozenset(permissions) for permissions in needs if permissions}
    ways = {tuple(sorted({*way})) for way in product(*sets)} if sets else ()
    scopes = [list(way) for way in sorted(ways)]
    declared = any(isinstance(each, RequiresScopes) for each in field.directives)
    if scopes and not declared:
        field.directives = [*field.directives, RequiresScopes(scopes=scopes)]
