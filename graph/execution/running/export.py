"""The nodes of a connection at the root of a query, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from graph.errors import TransferFailed
from graph.execution.running.request import Request
from graph.viewer import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.execution.running.execute import Execution

_HOW = (
    "a query to be exported has one connection at its root, takes its cursor from a variable"
    " ($after: String), and selects nodes and pageInfo { hasNextPage endCursor }"
)


async def exported_nodes(execution: Execution, query: str) -> AsyncIterator[dict[str, Any]]:
    """The nodes of all pages. Each page is a snapshot of its own; no row is repeated.

    Raises:
        TransferFailed: the query is rejected, or does not page through one connection.
    """
    after: str | None = None
    while True:
        answer = await execution.answer(Request(query, {"after": after}), ANONYMOUS)
        page = _page(orjson.loads(answer.body))
        for node in page["nodes"]:
            yield node
        info = page["pageInfo"]
        if not info["hasNextPage"]:
            return
        if info["endCursor"] == after:
            raise TransferFailed(_HOW)
        after = info["endCursor"]


def _page(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("errors"):
        raise TransferFailed(f"the query is refused: {answer['errors'][0]['message']}")
    roots = list(answer["data"].values())
    page: dict[str, Any] = roots[0] if len(roots) == 1 and isinstance(roots[0], dict) else {}
    if not {"nodes", "pageInfo"} <= page.keys():
        raise TransferFailed(_HOW)
    if not {"hasNextPage", "endCursor"} <= page["pageInfo"].keys():
        raise TransferFailed(_HOW)
    return page
