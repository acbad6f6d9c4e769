"""The fields of `Subscription`: each follows the log of changes, and is answered by a query.

The engine writes the query: a page of the log's connection, or the selection itself
(`graph.execution.documents.subscriptions`).
"""

from __future__ import annotations

from typing import Any

from graph.schema.fields import Meaning, argument, declare, derived, with_arguments

_AFTER = argument(
    str | None,
    "Begin after the event with this cursor, of an earlier result or of a page of events. Without"
    " it, the stream begins with the next event.",
)


def stream(description: str, *, entity: str) -> Any:
    """The events of the store's log, one per result: the edges of its connection.

    `entity` is that of the events.
    """
    where = argument(derived(f"{entity}Where") | None, "Return only events that match.")
    resolver = with_arguments(_unresolved, {"after": _AFTER, "where": where})
    return declare(Meaning.STREAM, description, entity=entity, resolver=resolver)


def live(description: str) -> Any:
    """The answer of a query, and again each time that it changes."""
    return declare(Meaning.LIVE, description, resolver=with_arguments(_unresolved, {}))


def _unresolved(_root: Any, _info: Any) -> Any:
    """Resolve to nothing: the engine answers subscriptions by queries."""
    raise NotImplementedError
