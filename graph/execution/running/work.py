"""An operation with its variables, ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import GraphQLError
    from graphql.execution.values import VariableValues

    from graph.execution.documents.operation import Operation
    from graph.execution.documents.subscriptions import Source
    from graph.execution.planning.access import Access
    from graph.execution.planning.compile import Compiled
    from graph.execution.planning.cost import Price
    from graph.execution.planning.history import History
    from graph.execution.planning.mutation import CompiledMutation
    from graph.execution.planning.plan import Plan
    from graph.selection import Value


@dataclass(slots=True)
class Work:
    """One request's operation.

    `values` are those of its arguments, by index. A query is `compiled`, as far as it can be, and
    so is a `mutation`; a query whose answer comes in parts has a `plan`.
    """

    operation: Operation
    variables: VariableValues
    values: Sequence[Value]
    price: Price
    access: Access
    compiled: Compiled | None = None
    mutation: CompiledMutation | None = None
    plan: Plan | None = None
    has_parts: bool = False
    # Of a subscription, whose query this is.
    source: Source | None = None
    # The subscription, whose source this is.
    subscription: Operation | None = None

    @property
    def history(self) -> History:
        """Of the compiled shape; of all shapes of the operation where nothing is compiled."""
        return self.compiled.history if self.compiled else self.operation.history

    @property
    def sent(self) -> Operation:
        """The operation as its client sent it."""
        return self.subscription or self.operation

    @property
    def is_statement(self) -> bool:
        """Whether one statement answers all of it, without Python resolvers."""
        compiled = self.compiled
        return compiled is not None and not (compiled.uncompiled or compiled.resolvers)

    @property
    def errors(self) -> Sequence[GraphQLError]:
        """The errors that are known before it runs."""
        return self.compiled.errors(self.values) if self.compiled else ()
