"""A refused request costs little, and its client pays for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from graph.errors import MethodNotAllowed
from graph.execution.documents.document import Documents
from graph.execution.failures import RequestRejected, refusal
from graph.execution.planning.variables import Variables
from graph.execution.running.charging import Charging
from graph.execution.running.execute import Execution
from graph.execution.running.rate_limit import MemoryTokenBuckets
from graph.execution.running.request import Request
from graph.store.schema import schema
from graph.viewer import ANONYMOUS
from tests.server.probes import REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.database.engine import Database

CORE = schema._schema  # noqa: SLF001
# 50 ms on a machine that does nothing else; this one may be busy.
SECONDS = 0.15


def refused(text: str, variables: dict[str, Any]) -> float:
    """The CPU seconds that it takes to refuse a request."""
    began = time.process_time()
    try:
        operation = Documents(CORE).read(text).operation(None)
        operation.compiled(operation.variables.coerced(variables))
    except RequestRejected as rejected:
        orjson.dumps([refusal(error, rejected.code) for error in rejected.errors])
    return time.process_time() - began


def requests() -> Iterator[Any]:
    for name, probe in REFUSED.items():
        try:
            body = orjson.loads(probe.body)
            if isinstance(body["query"], str) and isinstance(body["variables"], dict):
                yield pytest.param(body["query"], body["variables"], id=name)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue


@pytest.mark.parametrize(("query", "variables"), list(requests()))
def test_it_is_refused_without_much_work(query: str, variables: dict[str, Any]) -> None:
    refused("{ customers { nodes { id } } }", {})

    # What is in the way of a busy machine is not there each time.
    assert min(refused(query, variables) for _ in range(3)) < SECONDS


def test_a_long_literal_has_one_error_and_a_short_message() -> None:
    members = " ".join(f"unknown{n}: 1" for n in range(200))
    with pytest.raises(RequestRejected) as long:
        Documents(CORE).read(f"{{ customers(where: {{{members}}}) {{ totalCount }} }}")
    with pytest.raises(RequestRejected) as short:
        Documents(CORE).read("{ customers(where: {unknown1: 1, unknown2: 2}) { totalCount } }")

    assert len(long.value.errors) == 1
    assert len(refusal(long.value.errors[0], long.value.code)["message"]) <= 501
    assert len(short.value.errors) == 2


@pytest.mark.parametrize("of_mutation", [False, True])
def test_variables_hold_so_many_values_and_no_more(*, of_mutation: bool) -> None:
    text = "query ($where: CustomerWhere) { customers(where: $where) { totalCount } }"
    (definition,) = Documents(CORE).read(text).node.definitions
    definitions: Any = definition
    variables = Variables(CORE, definitions.variable_definitions, of_mutation=of_mutation)
    most = 20_000 if of_mutation else 6_000

    def coerced(values: int) -> Any:
        # the variables, `where` and `databaseId` are objects: 3 each, and one for each member
        ids = list(range(values - 13))
        return variables.coerced({"where": {"databaseId": {"in": ids}}}).coerced["where"]

    assert len(coerced(most)["databaseId"]["in"]) == most - 13
    with pytest.raises(RequestRejected) as caught:
        coerced(most + 2)
    assert caught.value.code == "OPERATION_TOO_LARGE"
    assert caught.value.errors[0].message == f"The variables hold more than {most:,} values."


def test_a_refused_text_is_refused_again_without_being_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    documents, read = Documents(CORE), []
    original = documents._read  # noqa: SLF001

    def noted(text: str) -> Any:
        read.append(text)
        return original(text)

    monkeypatch.setattr(documents, "_read", noted)
    found = []
    for _ in range(3):
        with pytest.raises(RequestRejected) as caught:
            documents.read("{ customers { unknown } nothing(a: 1) }")
        rejected = caught.value
        found.append([refusal(error, rejected.code) for error in rejected.errors])

    assert len(read) == 1
    assert found[0] == found[1] == found[2]
    assert found[0][0]["locations"] == [{"line": 1, "column": 15}]


async def test_refusals_are_charged_and_a_debt_refuses_all(database: Database) -> None:
    buckets = MemoryTokenBuckets(20, 0.001)
    execution = Execution(schema, database, charging=Charging(buckets, cost_per_ms=1_000))

    async def code(number: int) -> str:
        request = Request(f"{{ unknown{number} }}", {}, client="a")
        answer = orjson.loads((await execution.answer(request, ANONYMOUS)).body)
        return str(answer["errors"][0]["extensions"]["code"])

    codes = [await code(number) for number in range(40)]

    assert codes[0] == "GRAPHQL_VALIDATION_FAILED"
    assert codes[-1] == "RATE_LIMITED"


async def test_a_request_for_a_query_only_is_refused_before_it_runs(database: Database) -> None:
    execution = Execution(schema, database)
    request = Request("mutation { __typename }", {}, only_query=True)

    with pytest.raises(MethodNotAllowed):
        await execution.answer(request, ANONYMOUS)
