"""The nodes of a connection at the root of a query, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    parse,
)

from graph.errors import TransferFailed
from graph.execution.running.request import Request
from graph.viewer import SYSTEM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graphql import DocumentNode, SelectionSetNode

    from graph.execution.running.execute import Execution

_HOW = (
    "a query to be exported has one connection at its root, takes its cursor from a variable"
    " (after: $after), and selects nodes and pageInfo { hasNextPage endCursor }, without aliases"
    " and directives"
)
_PAGE = ("nodes", "pageInfo")
_PAGE_INFO = ("hasNextPage", "endCursor")
_MOST_TOKENS = 100_000


async def exported_nodes(execution: Execution, query: str) -> AsyncIterator[dict[str, Any]]:
    """The nodes of all pages. Each page is a snapshot of its own; no row is repeated.

    Raises:
        TransferFailed: the query is refused, is no query, or is not made for it: whatever would
            give a part of the nodes.
    """
    cursor = _cursor_variable(query)
    after: str | None = None
    while True:
        answer = await execution.answer(Request(query, {cursor: after}), SYSTEM)
        page = _page(orjson.loads(answer.body))
        for node in page["nodes"]:
            yield node
        info = page["pageInfo"]
        if not info["hasNextPage"]:
            return
        if info["endCursor"] in {None, after}:
            raise TransferFailed(_HOW)
        after = info["endCursor"]


def _cursor_variable(query: str) -> str:
    """The name of the variable that the connection takes its cursor from."""
    try:
        document = parse(query, max_tokens=_MOST_TOKENS)
    except (GraphQLError, RecursionError) as error:
        raise TransferFailed(f"the query is refused: {error}".splitlines()[0]) from error
    operations = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
        raise TransferFailed("only a query can be exported, and only one")
    roots = list(_Fragments(document).fields(operations[0].selection_set))
    if len(roots) != 1 or roots[0].directives:
        raise TransferFailed(_HOW)
    return _checked_root(roots[0], _Fragments(document))


def _checked_root(root: FieldNode, fragments: _Fragments) -> str:
    arguments = {argument.name.value: argument.value for argument in root.arguments or ()}
    if {"last", "before"} & arguments.keys():
        raise TransferFailed("pages go forward: leave out 'last' and 'before'")
    cursor = arguments.get("after")
    pages = [field for field in fragments.fields(root.selection_set) if _key(field) in _PAGE]
    infos = [
        field
        for page in pages
        if _key(page) == "pageInfo"
        for field in fragments.fields(page.selection_set)
        if _key(field) in _PAGE_INFO
    ]
    plain = all(_key(field) == field.name.value and not field.directives for field in pages + infos)
    named = {_key(field) for field in pages + infos}
    if not isinstance(cursor, VariableNode) or not plain or named != {*_PAGE, *_PAGE_INFO}:
        raise TransferFailed(_HOW)
    return cursor.name.value


@dataclass(frozen=True)
class _Fragments:
    document: DocumentNode

    def fields(self, selections: SelectionSetNode | None) -> Iterator[FieldNode]:
        """The fields of a selection set, those of its fragments included.

        A fragment counts once. One with a directive has none: it may be left out.
        """
        waiting, seen = [selections] if selections else [], set[str]()
        while waiting:
            for node in waiting.pop().selections:
                if isinstance(node, FieldNode):
                    yield node
                elif node.directives:
                    continue
                elif isinstance(node, InlineFragmentNode):
                    waiting.append(node.selection_set)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                    seen.add(node.name.value)
                    waiting += [each.selection_set for each in self._named(node.name.value)]

    def _named(self, name: str) -> Iterator[FragmentDefinitionNode]:
        for node in self.document.definitions:
            if isinstance(node, FragmentDefinitionNode) and node.name.value == name:
                yield node


def _key(field: FieldNode) -> str:
    return field.alias.value if field.alias else field.name.value


def _page(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("errors"):
        raise TransferFailed(f"the query is refused: {answer['errors'][0]['message']}")
    (page,) = answer["data"].values()
    if not isinstance(page, dict) or not {*_PAGE} <= page.keys():
        raise TransferFailed(_HOW)
    result: dict[str, Any] = page
    return result
