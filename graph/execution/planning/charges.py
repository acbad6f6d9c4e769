"""Records the cost of each selected field while an operation is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import GraphQLError, is_leaf_type

from graph.errors import TooLarge
from graph.execution.planning.cost import Charge
from graph.execution.planning.scans import Scan
from graph.schema.caching import NOT_KEPT, hint_of
from graph.schema.costs import ROW, SEARCH, assumed_size_of, weight_of
from graph.schema.fields import Meaning

if TYPE_CHECKING:
    from graph.execution.planning.plan import Plan, SelectedField
    from graph.schema.context import FieldPath
    from graph.selection import Connection

# A few fragments that spread each other twice can write out to billions of fields; one that is
# deferred many times asks for its own as often, and each of them is looked at. So many take about
# 80 ms to become a statement.
MAX_FIELDS = 1_000
# How often each field of the introspection costs: it lists types, and their fields.
_INTROSPECTED = 100
# What a deferred fragment costs for each object, beside what is in it.
_SENT_ALONE = 10


class Charges:
    """Adds charges and cache hints to a plan; lives as long as the plan is made."""

    def __init__(self, plan: Plan) -> None:
        self.fields = 0
        self._plan = plan
        # By path: a factor, and the argument indexes of the pages that multiply a field's cost.
        self._sizes: dict[FieldPath, tuple[int, tuple[int, ...]]] = {(): (1, ())}
        self._pages: dict[FieldPath, int] = {}

    def count(self, fields: int) -> None:
        """Count selected fields.

        Raises:
            GraphQLError: the operation selects too many; its original error is TooLarge.
        """
        self.fields += fields
        if self.fields > MAX_FIELDS:
            message = f"The operation selects more than {MAX_FIELDS:,} fields, fragments included."
            error = TooLarge(message)
            raise GraphQLError(str(error), original_error=error)

    def add(self, selected: SelectedField) -> None:
        """Record the field's cost and cache hint, and the page that multiplies the costs below it.

        The values of the field's own arguments follow next.
        """
        times, above = self._sizes[selected.above.path if selected.above else ()]
        below, meaning, argument_index = above, selected.meaning, len(self._plan.values)
        declared = selected.definition.extensions.get("strawberry-definition")
        if selected.details[0].node.name.value in {"__schema", "__type"}:
            times = _INTROSPECTED
        if meaning in {Meaning.NODE_LIST, Meaning.EDGE_LIST}:
            assert selected.above is not None  # noqa: S101  they are parts of a connection
            below = (*above, self._pages[selected.above.path])
        elif meaning in {Meaning.CONNECTION, Meaning.SEARCH}:
            self._pages[selected.path] = argument_index
        elif meaning in {Meaning.NODES, Meaning.GROUPS}:
            below = (*above, argument_index)
        keys = selected.keys
        if weight := weight_of(declared):
            self._plan.charges.append(Charge(keys, weight * times, above, is_object=False))
        if selected.above is None or hint_of(declared):
            self._plan.hints.append(hint_of(declared) or NOT_KEPT)
        if meaning is None:
            times *= assumed_size_of(declared)
        self._sizes[selected.path] = (times, below)
        if not is_leaf_type(selected.type):
            self._plan.charges.append(Charge(keys, times, below, is_object=True))

    def add_parts(self, path: FieldPath, parts: int) -> None:
        """Record the cost of sending a fragment of each object here in its own part."""
        if parts:
            self.count(parts)
            times, argument_indexes = self._sizes[path]
            keys = tuple(key for _, key in path)
            charge = Charge(keys, parts * times * _SENT_ALONE, argument_indexes, is_object=False)
            self._plan.charges_of_parts.append(charge)

    def add_scan(self, selected: SelectedField, connection: Connection) -> None:
        """Record the rows that a list may look at beside those that it returns."""
        times, argument_indexes = self._sizes[selected.above.path if selected.above else ()]
        self._plan.scans.append(Scan(selected.keys, times, argument_indexes, connection))

    def add_rows(self, selected: SelectedField, argument_index: int) -> None:
        """Record the cost of each row that a mutation is given."""
        charge = Charge(selected.keys, ROW.weight, (argument_index,), is_object=False)
        self._plan.charges.append(charge)

    def add_searches(self, selected: SelectedField, searches: int) -> None:
        if searches:
            times, argument_indexes = self._sizes[selected.above.path if selected.above else ()]
            cost = searches * SEARCH.weight * times
            self._plan.charges.append(
                Charge(selected.keys, cost, argument_indexes, is_object=False)
            )
