"""Fields that a document defers or streams (`@defer`, `@stream`): they may come in a later part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import (
    GraphQLError,
    GraphQLStreamDirective,
    get_directive_values,
    get_nullable_type,
    is_list_type,
)
from graphql.execution.incremental.build_execution_plan import get_filtered_defer_usage_set

if TYPE_CHECKING:
    from graphql.execution.collect_fields import DeferUsage
    from graphql.execution.values import VariableValues
    from graphql.pyutils import RefSet

    from graph.execution.planning.plan import SelectedField


def is_deferred(selected: SelectedField) -> bool:
    """Whether a field may come later than its parent."""
    usages = _usages(selected)
    return usages is not None and (selected.above is None or usages != _usages(selected.above))


def initial_count(selected: SelectedField, variables: VariableValues) -> int | None:
    """The `initialCount` of a streamed list; None for any other field.

    Raises:
        GraphQLError: it is negative.
    """
    node = selected.details[0].node
    if not node.directives or not is_list_type(get_nullable_type(selected.definition.type)):
        return None
    stream = get_directive_values(GraphQLStreamDirective, node, variables)
    if not stream or not stream["if"]:
        return None
    count: int | None = stream["initialCount"]
    if count is None or count < 0:
        raise GraphQLError("The argument 'initialCount' of '@stream' must be 0 or more.")
    return count


def _usages(selected: SelectedField) -> RefSet[DeferUsage] | None:
    """The deferred fragments that all select the field.

    None if it is also selected outside of them.
    """
    if selected.details[0].defer_usage is None:
        return None
    return get_filtered_defer_usage_set(selected.details) or None
