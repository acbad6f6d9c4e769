"""The schema coordinates (its RFC) that an operation names: its fields and arguments.

A field of an interface is the interface's, as it is written. What variables hold is not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, get_named_type

if TYPE_CHECKING:
    from graphql import (
        FragmentDefinitionNode,
        GraphQLSchema,
        OperationDefinitionNode,
        SelectionSetNode,
    )


def coordinates_of(
    schema: GraphQLSchema,
    node: OperationDefinitionNode,
    fragments: dict[str, FragmentDefinitionNode],
) -> tuple[str, ...]:
    """Such as `Query.customers` and `Query.customers(first:)`, each once, for a valid operation.

    Each fragment is walked once. Introspection has no coordinates.
    """
    found: dict[str, None] = {}
    spread: set[str] = set()
    ahead: list[tuple[Any, SelectionSetNode]] = [
        (schema.get_root_type(node.operation), node.selection_set)
    ]
    while ahead:
        parent, selected = ahead.pop()
        for selection in selected.selections:
            if isinstance(selection, FieldNode):
                field = getattr(parent, "fields", {}).get(selection.name.value)
                if field is None:
                    continue
                coordinate = f"{parent.name}.{selection.name.value}"
                found[coordinate] = None
                for argument in selection.arguments or ():
                    found[f"{coordinate}({argument.name.value}:)"] = None
                if selection.selection_set is not None:
                    ahead.append((get_named_type(field.type), selection.selection_set))
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                type_ = schema.get_type(condition.name.value) if condition else parent
                ahead.append((type_, selection.selection_set))
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                spread.add(selection.name.value)
                fragment = fragments[selection.name.value]
                type_ = schema.get_type(fragment.type_condition.name.value)
                ahead.append((type_, fragment.selection_set))
    return tuple(found)


def all_coordinates(schema: GraphQLSchema) -> list[str]:
    """Those of all fields and arguments that operations can name, in the order of the alphabet."""
    found = []
    for type_ in schema.type_map.values():
        if type_.name.startswith("__") or not hasattr(type_, "fields"):
            continue
        for name, field in type_.fields.items():
            if hasattr(field, "args"):  # those of inputs have none
                coordinate = f"{type_.name}.{name}"
                found += [coordinate, *(f"{coordinate}({argument}:)" for argument in field.args)]
    return sorted(found)
