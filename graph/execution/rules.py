"""What a document must hold to, beside the rules of the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, ValidationRule

if TYPE_CHECKING:
    from graphql import FieldNode


class IdempotentMutations(ValidationRule):
    """`@idempotent` stands at a mutation: elsewhere it would do nothing."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        found = [each for each in node.directives or () if each.name.value == "idempotent"]
        if found and self.context.get_parent_type() is not self.context.schema.mutation_type:
            message = "Directive '@idempotent' may only be used on fields of 'Mutation'."
            self.report_error(GraphQLError(message, found))
