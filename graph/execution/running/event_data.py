"""The data of an event for a webhook: the answer to a query for the event, as a role sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from graphql import (
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    get_named_type,
    is_leaf_type,
    parse,
)

from graph.errors import InvalidSetting, RequestError
from graph.execution.documents.document import Documents, problems_of
from graph.execution.running.request import Request
from graph.execution.schema_view import view_for
from graph.relay import to_global_id
from graph.schema.schema import text_of

if TYPE_CHECKING:
    from graph.execution.running.execute import Execution
    from graph.schema.schema import Schema
    from graph.viewer import Viewer

_OPTION = "--query"
_DOCUMENT = "query Event($id: ID!) {{ node(id: $id) {{ ... on {entity} {{ {fields} }} }} }}"


class EventDataFailed(Exception):
    """The query of a webhook has errors: it must be mended, or run again later."""


def default_query(schema: Schema, entity: str, permissions: frozenset[str]) -> str:
    """A query for all plain fields of an event that a role may see.

    Raises:
        InvalidSetting: the role sees no events.
    """
    type_ = build_schema(view_for(text_of(schema), permissions)).type_map.get(entity)
    if not isinstance(type_, GraphQLObjectType):
        raise InvalidSetting("--as", "the role sees no events")
    names = [
        name
        for name, field in type_.fields.items()
        if is_leaf_type(get_named_type(field.type))
        and not any(isinstance(each.type, GraphQLNonNull) for each in field.args.values())
    ]
    return _DOCUMENT.format(entity=entity, fields=" ".join(names))


def check_query(schema: Schema, text: str) -> None:
    """Check that a document is one query that takes the event's id.

    Raises:
        InvalidSetting: it is not.
    """
    problems = problems_of(Documents(schema._schema), {_OPTION: text})  # noqa: SLF001  as Execution
    if problems:
        raise InvalidSetting(_OPTION, problems[0].removeprefix(f"{_OPTION}: "))
    operations = [
        node for node in parse(text).definitions if isinstance(node, OperationDefinitionNode)
    ]
    if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
        raise InvalidSetting(_OPTION, "the document must have one operation, a query")
    variables = [each.variable.name.value for each in operations[0].variable_definitions or ()]
    if variables != ["id"]:
        raise InvalidSetting(_OPTION, "the query must have one variable, $id: ID!, of the event")


async def event_data(
    execution: Execution, query: str, entity: str, number: int, viewer: Viewer
) -> dict[str, Any] | None:
    """The answer's data for an event; None if the viewer sees nothing of it.

    Raises:
        EventDataFailed: the answer has errors. The message is for whoever operates the server.
    """
    request = Request(query, {"id": to_global_id(entity, number)}, only_query=True)
    try:
        answer = orjson.loads((await execution.answer(request, viewer)).body)
    except RequestError as error:
        raise EventDataFailed(f"{error.code}: {error}") from error
    if errors := answer.get("errors"):
        code = errors[0].get("extensions", {}).get("code", "")
        raise EventDataFailed(f"{code}: {errors[0]['message']}")
    data: dict[str, Any] = answer["data"]
    return None if all(value is None for value in data.values()) else data
