"""Walks over documents with a visitor of graphql-core that is used once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import TypeInfoVisitor, Visitor, visit

if TYPE_CHECKING:
    from graphql import Node


def visit_once(node: Node, visitor: Visitor) -> Any:
    """The node as `visit` leaves it; the visitor does not serve again.

    A visitor keeps its own bound methods by the kinds of nodes. They are removed, as only the
    garbage collector would free a visitor that refers to itself.
    """
    changed = visit(node, visitor)
    visitor.enter_leave_map.clear()
    if isinstance(visitor, TypeInfoVisitor):
        visitor.visitor.enter_leave_map.clear()
    return changed
