"""The memory of a parsed document."""

from __future__ import annotations

import gc

from graphql.language import Token

from graph.execution.documents.document import Documents
from graph.store.schema import schema


def test_a_document_that_is_kept_holds_no_token_of_its_text() -> None:
    documents = Documents(schema._schema)  # noqa: SLF001
    gc.collect()
    before = sum(isinstance(each, Token) for each in gc.get_objects())

    text = "{ customers(first: 2) { nodes { id ...F } } } fragment F on Node { id }"
    document = documents.read(text)

    gc.collect()
    assert sum(isinstance(each, Token) for each in gc.get_objects()) == before
    assert document.node.loc is not None
    assert (document.node.loc.start, document.node.loc.end) == (0, len(text))


def test_a_document_that_is_read_and_planned_leaves_nothing_to_the_garbage_collector() -> None:
    documents = Documents(schema._schema)  # noqa: SLF001
    text = "query %s($n: Int) { customers(first: $n) { nodes { id orders { totalCount } } } }"

    def use(name: str) -> None:
        operation = documents.read(text % name).operation(None)
        operation.compiled(operation.variables.coerced({"n": 2}))

    use("First")
    gc.collect()
    gc.disable()
    try:
        use("Second")
        assert gc.collect() == 0
    finally:
        gc.enable()
