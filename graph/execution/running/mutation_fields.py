"""The fields of one mutation operation, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLError, get_directive_values

from graph.database.worlds import changing_world
from graph.errors import InvalidKey
from graph.execution.running.idempotency_keys import kept_under, refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import GraphQLSchema

    from graph.database.writes import idempotency
    from graph.database.writes.at_once import ChangeAtOnce
    from graph.execution.planning.mutation import CompiledMutation, DirectMutation
    from graph.execution.planning.plan import Plan
    from graph.execution.running.concurrency import Place
    from graph.execution.running.request import Request
    from graph.execution.running.work import Work
    from graph.selection import Mutate, Resolved
    from graph.viewer import Viewer


@dataclass(slots=True)
class FieldResult:
    """The result of a field: its text, or errors; `replayed` if it is a stored answer."""

    text: bytes | None
    errors: Sequence[GraphQLError] = ()
    replayed: bool = False


@dataclass(slots=True)
class MutationRequest:
    """The common data of an operation's fields."""

    work: Work
    mutation: CompiledMutation
    request: Request
    viewer: Viewer
    place: Place

    @property
    def plan(self) -> Plan:
        """The plan of the shape; its values are those of an earlier request."""
        return self.mutation.plan

    def content_of(self, key: str) -> bytes:
        """What an idempotency key stands for: the text of a field, and all variables."""
        text = self.work.operation.text_of(self.plan, key).encode()
        variables = orjson.dumps(self.request.variables, option=orjson.OPT_SORT_KEYS)
        return text + b"\0" + variables


@dataclass(slots=True)
class MutationField:
    """One mutation of an operation. It has a `direct` way if the executor is not needed for it."""

    selected: Mutate | Resolved
    request: MutationRequest
    arguments: Mapping[str, Any]
    key: idempotency.Key | None
    direct: DirectMutation | None

    @property
    def response_key(self) -> str:
        return self.selected.response_key

    @property
    def is_dry_run(self) -> bool:
        return self.arguments.get("dryRun") is True

    def at_once(self) -> ChangeAtOnce | None:
        """The change as one statement, for a field that only changes and answers; None if not."""
        if self.direct is None or self.key is not None or self.is_dry_run:
            return None
        at_once, viewer = self.direct.declared.at_once, self.request.viewer
        if at_once is None:
            return None
        world = changing_world(viewer, self.selected.needs)
        return at_once(viewer, world, self.direct.values(self.arguments))

    def error(self, error: Exception) -> GraphQLError:
        nodes = self.request.plan.nodes[self.response_key]
        return GraphQLError(str(error), nodes=nodes, path=[self.response_key], original_error=error)


def field_of(
    schema: GraphQLSchema,
    request: MutationRequest,
    selected: Mutate | Resolved,
    *,
    compiles: bool,
) -> MutationField:
    """A field of the operation.

    Raises:
        RequestRejected: it has more than one idempotency key, or a malformed one.
    """
    name = selected.response_key
    given = _keys_of_directives(schema, request, name)
    if request.request.idempotency_key is not None:
        given.add(request.request.idempotency_key)
    if len(given) > 1:
        raise refused(InvalidKey(f"'{name}' has more than one idempotency key."))
    key = None
    if given:
        key = kept_under(
            given.pop(), request.content_of(name), request.request.client, request.viewer
        )
    direct = request.mutation.direct.get(name) if compiles else None
    arguments: Any = request.work.values[selected.argument_index]
    return MutationField(selected, request, arguments.given, key, direct)


def _keys_of_directives(schema: GraphQLSchema, request: MutationRequest, name: str) -> set[str]:
    nodes = [node for node in request.plan.nodes[name] if node.directives]
    directive = schema.get_directive("idempotent") if nodes else None
    if directive is None:
        return set()
    found = (get_directive_values(directive, node, request.work.variables) for node in nodes)
    return {values["key"] for values in found if values is not None}
