"""Compiles a plan: one SQL statement for the root fields that it can answer, resolvers for others.

A root field is compiled if every field below it has a meaning in SQL, or a Python resolver that
declares the columns that it needs. The standard executor answers the others.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLError

from graph.database import relationships
from graph.database.reads import JsonQuery
from graph.execution.planning.access import Access
from graph.execution.planning.cost import PriceList
from graph.execution.planning.history import History
from graph.execution.planning.resolvers import can_be_filled, resolved_within
from graph.selection import (
    Nodes,
    Plain,
    ToOne,
    Typename,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import FieldNode

    from graph.execution.planning.plan import Plan
    from graph.execution.planning.resolvers import CompiledResolver
    from graph.selection import Ids, Payload, Value

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResponseTemplate:
    """JSON with placeholders; `fragments` are the texts before, between and after them.

    A number in `placeholders` is a column of the statement. A string is a response key that the
    executor fills.
    """

    query: JsonQuery | None
    fragments: tuple[bytes, ...]
    placeholders: tuple[int | str, ...]
    # The response keys among the placeholders.
    uncompiled: frozenset[str] = field(init=False)
    # The fragments with `%b` between them.
    _format: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = frozenset(each for each in self.placeholders if isinstance(each, str))
        object.__setattr__(self, "uncompiled", keys)
        escaped = [fragment.replace(b"%", b"%%") for fragment in self.fragments]
        object.__setattr__(self, "_format", b"%b".join(escaped))

    def body(self, columns: Sequence[bytes], uncompiled: Mapping[str, bytes]) -> bytes:
        """The JSON with the statement's columns and the texts of uncompiled fields filled in."""
        if self.uncompiled:
            columns = [
                uncompiled[each] if isinstance(each, str) else columns[each]
                for each in self.placeholders
            ]
        return self._format % (*columns,)


@dataclass(frozen=True, slots=True)
class Compiled(ResponseTemplate):
    """A compiled operation: its statement, template, and root fields left to the executor."""

    prices: PriceList
    cache_control: bytes
    access: Access
    history: History
    # The fields that Python fills in the statement's text, by the indexes of their arguments.
    resolvers: Mapping[int, CompiledResolver]
    # The lists of `nodes`, whose ids may be malformed: their nodes in the document.
    lists_of_ids: tuple[tuple[Nodes, Sequence[FieldNode]], ...] = ()
    # Kept for the executor and the loaders; its values are those of the first request.
    plan: Plan | None = None
    # Whether a resolver may load rows: in the snapshot of the statement.
    needs_loaders: bool = field(init=False)

    def __post_init__(self) -> None:
        super(Compiled, self).__post_init__()
        needs_loaders = any(resolver.call is None for resolver in self.resolvers.values())
        object.__setattr__(self, "needs_loaders", needs_loaders)

    def errors(self, values: Sequence[Value]) -> list[GraphQLError]:
        """An error for each malformed id, at its place; as the executor has them."""
        return [
            GraphQLError(
                str(problem), nodes=nodes, path=[root.response_key, index], original_error=problem
            )
            for root, nodes in self.lists_of_ids
            for index, problem in cast("Ids", values[root.argument_index]).problems
        ]


class _TemplateWriter:
    """Writes the template of an object with the columns of a statement and uncompiled fields."""

    def __init__(self) -> None:
        self.columns: list[Any] = []
        self._texts = ["{"]
        self._placeholders: list[int | str] = []

    def add(self, field: Any, column: Any | None) -> None:
        """Add a member; `column` is its column in the statement, None if the executor fills it."""
        first = self._texts == ["{"]
        self._texts[-1] += f'{"" if first else ","}"{field.response_key}":'
        if isinstance(field, Typename):
            self._texts[-1] += f'"{field.text}"'
            return
        self._placeholders.append(field.response_key if column is None else len(self.columns))
        self.columns += [] if column is None else [column]
        self._texts.append("")

    def template(self, before: str = "", after: str = "") -> ResponseTemplate:
        texts = [before + self._texts[0], *self._texts[1:]]
        texts[-1] += "}" + after
        query = JsonQuery(tuple(self.columns)) if self.columns else None
        return ResponseTemplate(
            query, tuple(text.encode() for text in texts), tuple(self._placeholders)
        )


def compile_plan(plan: Plan, *, compiles: bool = True) -> Compiled:
    """Compile all fields that can be; the query is None if no field needs one.

    Without `compiles` all fields are left to the executor.
    """
    writer = _TemplateWriter()
    lists_of_ids = []
    resolvers: dict[int, CompiledResolver] = {}
    for root in plan.root:
        found = list(resolved_within(root))
        obstacle = next((each for each in found if not can_be_filled(each.field)), None)
        if obstacle is not None:
            logger.debug(
                "'%s' is left to resolvers: %s has no meaning in SQL",
                root.response_key,
                obstacle.field.name,
            )
        if obstacle is not None or not compiles:
            writer.add(root, None)
            continue
        resolvers |= {each.field.argument_index: each.compiled(plan) for each in found}
        writer.add(root, root)
        if isinstance(root, Nodes) and root.is_list:
            lists_of_ids.append((root, plan.nodes[root.response_key]))
    template = writer.template('{"data":', "}")
    prices = PriceList(plan.charges, plan.scans)
    compiled = Compiled(
        template.query,
        template.fragments,
        template.placeholders,
        prices,
        plan.cache_control,
        Access(plan),
        History(),
        resolvers,
        tuple(lists_of_ids),
    )
    needs_plan = compiled.uncompiled or compiled.needs_loaders
    return replace(compiled, plan=plan) if needs_plan else compiled


def compile_payload(payload: Payload, argument_index: int) -> ResponseTemplate | None:
    """Compile the selection of a mutation's success; None if resolvers must answer it.

    The rows are looked up by keys at `argument_index` and the indexes after it, in the order of the
    columns.
    """
    writer = _TemplateWriter()
    for member in payload.fields:
        if any(resolved_within(member)) or _names_rows_below(member):
            return None
        row = None
        if isinstance(member, ToOne):
            relationship = relationships.lookup(member.selection.entity, "id")
            row = ToOne(
                member.response_key,
                relationship,
                member.selection,
                argument_index + len(writer.columns),
            )
        writer.add(member, row)
    return writer.template()


def _names_rows_below(field: Any) -> bool:
    """Whether a list of plain objects selects rows; loaders batch these."""
    below = field.fields if isinstance(field, Plain) else ()
    return any(isinstance(each, ToOne) or _names_rows_below(each) for each in below)
