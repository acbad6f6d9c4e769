"""An operation becomes an answer: read the document, select, resolve, say what went wrong.

Every query is one read session: one connection, one snapshot.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import execute, get_variable_values
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types.base import StrawberryObjectDefinition

from graph.execution.documents import Documents
from graph.execution.failures import Refused, failure, refusal, unavailability
from graph.execution.select import select
from graph.loading.loaders import Loaders
from graph.schema.context import Context
from graph.schema.types import NOUNS

if TYPE_CHECKING:
    import strawberry
    from graphql import ExecutionResult, OperationDefinitionNode
    from graphql.execution.values import VariableValues

    from graph.database.engine import Database
    from graph.execution.documents import Document
    from graph.execution.select import Plan
    from graph.viewer import Viewer

_MAX_VARIABLE_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends (GraphQL over HTTP, section 5.1)."""

    query: str
    variables: dict[str, Any]
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response map (specification, section 7.1), and the HTTP status it deserves."""

    body: dict[str, Any]
    status: int = 200

    @property
    def executed(self) -> bool:
        return "data" in self.body


class Execution:
    """Runs operations of one schema on one database; lives as long as the application."""

    def __init__(self, schema: strawberry.Schema, database: Database) -> None:
        self._schema = schema._schema  # noqa: SLF001  Strawberry has no other way to it
        self._database = database
        self._documents = Documents(self._schema)
        # The schema's own types: one that was extended may have others than graph.schema.
        self._types = {noun: _type_of(schema, noun) for noun in NOUNS}

    async def answer(self, request: Request, viewer: Viewer) -> Answer:
        """Execute a request. Never raises for what a client sent."""
        try:
            document = self._documents.read(request.query)
            plan = self._plan(document, request)
        except Refused as refused:
            errors = [refusal(error, refused.code) for error in refused.errors]
            return Answer({"errors": errors}, status=400)
        return _answer(await self._resolve(request, document, plan, viewer))

    def is_query(self, request: Request) -> bool:
        """Whether a request only reads. True of what cannot be read: it will be refused."""
        try:
            operation = self._documents.read(request.query).operation(request.operation_name)
        except Refused:
            return True
        return operation.operation.value == "query"

    def _plan(self, document: Document, request: Request) -> Plan:
        operation = document.operation(request.operation_name)
        variables = self._coerced(operation, request.variables)
        plan = select(self._schema, document, operation, variables)
        if plan.errors:
            raise Refused(plan.errors, code="BAD_USER_INPUT")
        return plan

    def _coerced(self, operation: OperationDefinitionNode, given: dict[str, Any]) -> VariableValues:
        outcome = get_variable_values(
            self._schema, operation.variable_definitions or (), given, _MAX_VARIABLE_ERRORS
        )
        if isinstance(outcome, list):
            raise Refused(outcome, code="BAD_USER_INPUT")
        return outcome

    async def _resolve(
        self, request: Request, document: Document, plan: Plan, viewer: Viewer
    ) -> ExecutionResult:
        session = self._database.read()
        loaders = Loaders(session, plan.fields.values(), plan.values, self._types)
        try:
            result = execute(
                self._schema,
                document.node,
                context_value=Context(viewer, loaders, plan.fields),
                variable_values=request.variables,
                operation_name=request.operation_name,
                executor_class=StrawberryGraphQLCoreExecutionContext,
                is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            )
            return await result if inspect.isawaitable(result) else result
        finally:
            await loaders.close()
            await session.close()


def _type_of(schema: strawberry.Schema, noun: str) -> type:
    definition = schema.get_type_by_name(noun)
    return definition.origin if isinstance(definition, StrawberryObjectDefinition) else NOUNS[noun]


def _answer(result: ExecutionResult) -> Answer:
    errors = result.errors or []
    # One snapshot and one connection: when the store was lost on the way, all of the answer is.
    if reason := unavailability(errors):
        error = {"message": str(reason), "extensions": {"code": reason.code}}
        return Answer({"errors": [error]}, status=reason.status)
    body: dict[str, Any] = {"data": result.data}
    if errors:
        body["errors"] = [failure(error) for error in errors]
    return Answer(body)
