"""The samples of SQL in docstrings of `graph.database.reads` are the SQL that it emits.

A sample is a GraphQL operation and its statement, indented under `Sample:` in a docstring.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from graph.database.reads import connections, lists
from graph.database.worlds import EVERYTHING
from graph.execution.documents.document import Documents
from graph.selection import Attribute, Sort, sort_of
from graph.store.schema import schema

if TYPE_CHECKING:
    from types import ModuleType

_SAMPLE = re.compile(r"^Sample:\n\n((?:    .*\n|\n)+)", re.MULTILINE)


def samples_of(module: ModuleType) -> list[tuple[str, str]]:
    """The (operation, statement) of each sample in the module's docstring."""
    blocks = _SAMPLE.findall(f"{module.__doc__}\n")
    pairs = [block.split("\n\n", 1) for block in blocks]
    return [(operation.strip(), statement) for operation, statement in pairs]


SAMPLES = [
    pytest.param(*sample, id=f"{module.__name__.rpartition('.')[2]}-{nth}")
    for module in (connections, lists)
    for nth, sample in enumerate(samples_of(module))
]


def emitted(operation: str) -> str:
    document = Documents(schema._schema).read(operation)  # noqa: SLF001  as `Execution` does
    read = document.operation(None)
    sorts = (Sort(Attribute("stock")), Sort(Attribute("id")))
    values = json.dumps([sort_of("Item", sorts), 5, 7], separators=(",", ":"))
    cursor = b64encode(values.encode()).decode()
    variables = {"after": cursor} if "$after" in operation else {}
    compiled, _ = read.compiled(read.variables.coerced(variables))
    assert compiled.query is not None
    return compiled.query.statement("json_scalar", EVERYTHING).sql


def without_space(sql: str) -> str:
    return "".join(re.sub(r"--.*", "", sql).split())


def test_there_are_samples() -> None:
    assert len(samples_of(connections)) == 3
    assert len(samples_of(lists)) == 1


@pytest.mark.parametrize(("operation", "statement"), SAMPLES)
def test_a_sample_is_the_sql_that_is_emitted(operation: str, statement: str) -> None:
    assert without_space(emitted(operation)) == without_space(statement)
