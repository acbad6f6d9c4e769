"""Validation rules beyond those of the specification."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from graphql import (
    SKIP,
    GraphQLError,
    GraphQLStreamDirective,
    ValidationRule,
    ValuesOfCorrectTypeRule,
    get_nullable_type,
    is_introspection_type,
    is_list_type,
)
from graphql.utilities import validate_input_literal

from graph.errors import TooLarge

if TYPE_CHECKING:
    from graphql import FieldNode, GraphQLInputType, ValidationContext, ValueNode, VisitorAction


# Enough to query a few types by name; GraphiQL uses none.
_MAX_INTROSPECTION_ALIASES = 10
# In characters.
_LONG_LITERAL = 500


class ShortValueErrors(ValuesOfCorrectTypeRule):
    """graphql-core's rule, which prints a literal as a whole in each of its errors.

    So a long literal has one error only.
    """

    def is_valid_value_node(
        self, node: ValueNode, input_type: GraphQLInputType | None
    ) -> VisitorAction:
        if input_type is None or node.loc is None or node.loc.end - node.loc.start < _LONG_LITERAL:
            return super().is_valid_value_node(node, input_type)
        with suppress(_Reported):
            hide_suggestions = self.context.hide_suggestions
            validate_input_literal(node, input_type, self._report, None, None, hide_suggestions)
        return SKIP

    def _report(self, error: GraphQLError, _path: list[str | int]) -> None:
        self.report_error(error)
        raise _Reported


class _Reported(Exception):
    """The first error of a literal was reported."""


class StreamedLists(ValidationRule):
    """`@stream` stands at a list (graphql-core's rule fails on `__typename` of a union)."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        field, parent = self.context.get_field_def(), self.context.get_parent_type()
        if field is None or parent is None or is_list_type(get_nullable_type(field.type)):
            return
        name = GraphQLStreamDirective.name
        if found := [each for each in node.directives or () if each.name.value == name]:
            message = (
                f"Stream directive cannot be used on non-list field '{node.name.value}'"
                f" on type '{parent.name}'."
            )
            self.report_error(GraphQLError(message, found))


class IdempotentMutations(ValidationRule):
    """`@idempotent` may only be used on fields of Mutation: elsewhere it would have no effect."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        uses = [each for each in node.directives or () if each.name.value == "idempotent"]
        if uses and self.context.get_parent_type() is not self.context.schema.mutation_type:
            message = "Directive '@idempotent' may only be used on fields of 'Mutation'."
            self.report_error(GraphQLError(message, uses))


class FewIntrospectionAliases(ValidationRule):
    """Limits aliases in introspection: with them a short document repeats the whole schema."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._left = _MAX_INTROSPECTION_ALIASES

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent = self.context.get_parent_type()
        inside = parent is not None and is_introspection_type(parent)
        if node.alias and (inside or node.name.value in {"__schema", "__type"}):
            self._left -= 1
            if self._left == -1:
                most = _MAX_INTROSPECTION_ALIASES
                error = TooLarge(f"The document has more than {most} aliases in introspection.")
                self.report_error(GraphQLError(str(error), node, original_error=error))
