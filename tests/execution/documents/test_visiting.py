"""A visitor is freed when its walk has ended, without the garbage collector."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    FieldNode,
    NameNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    parse,
    print_ast,
    visit,
)

from graph.execution.documents.visiting import visit_once

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = build_schema("type Query { one: Int, two: Int }")


class _Renaming(Visitor):
    """Replaces the field `one`, and notes the type of each field's parent."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self._info = info
        self.parents: list[str] = []

    def enter_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        self.parents.append(str(self._info.get_parent_type()))
        return FieldNode(name=NameNode(value="two")) if node.name.value == "one" else None


@pytest.fixture
def _no_collections() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def _walked(walk: Any, *, typed: bool) -> tuple[str, list[str], weakref.ref[_Renaming]]:
    info = TypeInfo(SCHEMA)
    renaming = _Renaming(info)
    changed = walk(parse("{ one two }"), TypeInfoVisitor(info, renaming) if typed else renaming)
    return print_ast(changed), renaming.parents, weakref.ref(renaming)


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.usefixtures("_no_collections")
def test_it_walks_as_graphql_core_does_and_leaves_no_visitor_behind(typed: bool) -> None:
    text, parents, visitor = _walked(visit, typed=typed)
    assert "two" in text
    assert "one" not in text
    assert visitor() is not None  # graphql-core's refers to itself

    assert _walked(visit_once, typed=typed)[:2] == (text, parents)
    assert _walked(visit_once, typed=typed)[2]() is None
