"""The plan of an operation: its selected fields, their arguments and costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.database import relationships
from graph.database.catalog import catalog
from graph.execution.planning.arguments import storable
from graph.execution.planning.variables import SETTLED, argument_reader, paths_of_variables
from graph.schema.fields import Meaning
from graph.schema.node import ENTITIES
from graph.selection import Attribute, Measure, Through

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from graphql import FieldNode, GraphQLError, GraphQLField, GraphQLObjectType
    from graphql.execution.collect_fields import FieldDetails
    from graphql.execution.values import VariableValues

    from graph.execution.planning.cost import Charge
    from graph.execution.planning.scans import Scan
    from graph.execution.planning.variables import Path
    from graph.loading.prefetch import KeyPath
    from graph.schema.caching import CacheControl
    from graph.schema.context import FieldPath
    from graph.selection import DataField, Root, Term, Value

# Computes an argument's value from other variables: see `Plan.recipes`.
Recipe: TypeAlias = "Callable[[VariableValues], Value]"


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of an operation; it may only run if `errors` is empty.

    `root` are its root fields, in order, and `nodes` their nodes in the document. `fields` are all
    fields that need rows, by path; `selected` is the number of all fields. `values` are the values
    of arguments. `recipes` compute them from other variables, for every request whose variables
    include and skip the same fields; None stands for a value that no variable changes. `charges`
    are the costs of fields, `charges_of_parts` those of parts, and `scans` the lists that look at
    other rows than they return. `deferred` are the fields that may come later than their parents,
    `streamed` the lists with their numbers of initial elements. `resolvers` are the fields with
    Python resolvers, by the indexes of their arguments.
    """

    root: list[Root] = field(default_factory=list)
    nodes: dict[str, list[FieldNode]] = field(default_factory=dict)
    fields: dict[FieldPath, DataField] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    selected: int = 0
    recipes: list[Recipe | None] = field(default_factory=list)
    errors: list[GraphQLError] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    charges_of_parts: list[Charge] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    hints: list[CacheControl] = field(default_factory=list)
    resolvers: dict[int, SelectedField] = field(default_factory=dict)
    deferred: set[KeyPath] = field(default_factory=set)
    streamed: dict[KeyPath, int] = field(default_factory=dict)

    @property
    def has_parts(self) -> bool:
        """Whether the answer can come in parts."""
        return bool(self.deferred or self.streamed)

    def below(self, keys: Collection[str]) -> dict[FieldPath, DataField]:
        """Those of `fields` that are below these root fields."""
        return {path: selected for path, selected in self.fields.items() if path[0][1] in keys}

    @property
    def cache_control(self) -> bytes:
        """The Cache-Control header of the answer, by the strictest hint of its fields.

        None forbids caching.
        """
        age = min((hint.max_age for hint in self.hints), default=0)
        scope = "public" if all(hint.is_public for hint in self.hints) else "private"
        return f"{scope}, max-age={age}".encode() if age else b"private, no-cache"


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field that is selected at one path of the answer."""

    response_key: str
    path: FieldPath
    name: str  # in Python: the column's, the relationship's
    parent: GraphQLObjectType
    definition: GraphQLField
    details: list[FieldDetails]
    above: SelectedField | None
    type: Any  # without lists and non-nulls
    meaning: Meaning | None

    @property
    def keys(self) -> KeyPath:
        return tuple(key for _, key in self.path)

    @property
    def entity(self) -> str:
        """The entity that the field concerns, if its type does not determine it."""
        entity: str = self.definition.extensions["strawberry-definition"].metadata["entity"]
        return entity

    @property
    def more(self) -> Any:
        """The extra information in the field's declaration."""
        return self.definition.extensions["strawberry-definition"].metadata["more"]

    def reader(self) -> Callable[[VariableValues], dict[str, Any]]:
        """The reader of the field's arguments.

        It normalizes texts and refuses those PostgreSQL cannot store.
        """
        read = argument_reader(self.definition, self.details[0].node, storable)
        if not self.is_of_log:
            return read
        return lambda variables: {
            **read(variables),
            SETTLED: variables.coerced.get(SETTLED),
        }

    @property
    def is_of_log(self) -> bool:
        """Whether it is the list of all events, which ends at the last settled one."""
        is_list = self.meaning is Meaning.CONNECTION and self.parent.name not in ENTITIES
        return is_list and catalog.log is not None and self.entity == catalog.log.entity

    @property
    def is_fixed(self) -> bool:
        """Whether the arguments are independent of the variables."""
        return not self.is_of_log and not self.variables

    @property
    def variables(self) -> list[Path]:
        """The paths of the variables in the arguments."""
        return [
            path
            for argument in self.details[0].node.arguments or ()
            for path in paths_of_variables(argument.value, (argument.name.value,))
        ]


def measure_of(selected: SelectedField) -> Measure:
    """The aggregate of `sum { total }`: the function of the outer field over the inner column."""
    assert selected.above is not None  # noqa: S101  aggregates are never at the root
    if selected.parent.name.endswith("Group"):
        return Measure("groups")
    if selected.parent.name.endswith("Aggregates"):
        return Measure("count")
    return Measure(selected.above.name, selected.name)


def group_key_of(selected: SelectedField) -> Term:
    """The group key of `customer { town }`: a column, across the relationships above it."""
    term: Term = Attribute(selected.name)
    above = selected.above
    while above is not None and above.parent.name.endswith("GroupKey"):
        term = Through(relationships.relationship(above.entity, above.name), term)
        above = above.above
    return term
