"""Directives at every place of a document, on unions and interfaces too: an answer or a refusal."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from graph.app import create_app
from graph.execution.documents.validation_rules import StreamedLists
from graph.relay import to_global_id
from graph.settings import ExecutionMode
from tests.conftest import client_of, settings_for
from tests.rows import fill
from tests.server.test_fuzz import answers_of

if TYPE_CHECKING:
    from tests.conftest import Client

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "250"))
DIRECTIVES = (
    *("@stream", "@stream(initialCount: 1)", "@stream(initialCount: -1)", "@stream(if: $b)"),
    *("@stream(initialCount: null)", "@stream(label: 3)", '@stream(initialCount: 1, label: "l")'),
    *("@defer", "@defer(label: $s)", "@defer(if: null)", '@defer(if: true, label: "d")'),
    *("@include", "@include(if: true)", "@include(if: $b)", "@include(if: 3)"),
    *("@skip", "@skip(if: false)", "@skip(if: $b)", "@skip(if: true) @skip(if: true)"),
    *("@idempotent", '@idempotent(key: "k")', "@idempotent(key: $s)", "@idempotent(key: null)"),
    *("@atomic", "@atomic(if: true)", "@unknown", "@deprecated", "@oneOf", "@cacheControl"),
    *("@cost(weight: 1)", '@specifiedBy(url: "u")', "@listSize"),
)
# A directive may stand wherever a § does.
DOCUMENTS = (
    """query ($b: Boolean = true §, $s: String = "first1") § {
        shown: __typename @include(if: $b)
        search(text: $s) § {
            nodes § { __typename § ... on Customer § { id § orders § { nodes § { id } } } ...F § }
            edges § { node § { ... § { __typename § } ... on Item { name § } } cursor § }
            pageInfo § { hasNextPage § } totalCount § count § { value § } } }
    fragment F on SearchResult § { __typename § ... on Node § { id § } }""",
    """query ($b: Boolean = true, $s: ID = "%(order)s" §) § {
        __typename § shown: __typename @include(if: $b)
        node(id: $s) § { __typename § id § ... on Order § {
            actions § { name § reasons § { code } } lineItems § { nodes § { item § { name } } }
            history § { nodes § { payload § } } } ...N § }
        nodes(ids: ["%(order)s"]) § { __typename § ...N § } }
    fragment N on Node § { id § ... § { __typename § } }""",
    """query ($b: Boolean = false, $s: String = "Query") § {
        orders @skip(if: $b) § { groups(by: [{column: STATUS}]) § { key § { status § }
            aggregates § { count § sum § { total § } } } }
        __schema § { types § { name § } } __type(name: $s) § { __typename § fields { name } } }
    """,
    """mutation ($b: Boolean = true, $s: ID = "%(order)s") § {
        cancelOrder(input: {id: $s, expectedVersion: {any: true}}) § {
            shown: __typename @include(if: $b) __typename §
            ... on OrderSaved § { order § { id § lineItems § { nodes § { id § } } } }
            ... on Error § { __typename § code § message } ...R § } }
    fragment R on CancelOrderResult § { __typename § ... § { __typename § } }""",
)


@pytest.fixture(params=ExecutionMode)
def mode(request: pytest.FixtureRequest) -> ExecutionMode:
    return ExecutionMode(request.param)


def drawn(random: Random) -> str:
    """A document with a directive at some of its places."""
    first, *rest = (random.choice(DOCUMENTS) % {"order": to_global_id("Order", 1)}).split("§")
    share = random.choice((0.03, 0.15))
    return first + "".join(
        (random.choice(DIRECTIVES) if random.random() < share else "") + text for text in rest
    )


async def answers(client: Client, query: str, variables: Any = None) -> list[dict[str, Any]]:
    """All parts of the answer."""
    response = await client.http.post(
        "/graphql",
        json={"query": query, "variables": variables},
        headers={"accept": "multipart/mixed, application/json"},
    )
    assert response.status_code in {200, 400}, response.text
    return answers_of(response)


async def test_a_directive_at_any_place_is_obeyed_or_refused(
    database_url: str, mode: ExecutionMode
) -> None:
    random = Random(EXAMPLES)  # noqa: S311  the same documents each time
    given: Any = (None, None, {"b": True, "s": "Query"}, {"b": False}, {"b": None, "s": None})
    async with client_of(create_app(settings_for(database_url, execution=mode))) as client:
        await fill(client.database, customers=2)
        obeyed = 0
        for _ in range(EXAMPLES):
            text = drawn(random)
            parts = await answers(client, text, random.choice(given))
            obeyed += bool(parts[0].get("data"))
            for part in parts:
                errors = [error for each in (part, *inner_of(part)) for error in errors_of(each)]
                codes = {error["extensions"]["code"] for error in errors}
                assert "INTERNAL_SERVER_ERROR" not in codes, text

    assert obeyed > EXAMPLES // 20


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_without_directives_each_document_is_answered(client: Client, document: str) -> None:
    await fill(client.database, customers=1)

    await client(document.replace("§", "") % {"order": to_global_id("Order", 1)})


def errors_of(part: dict[str, Any]) -> Any:
    return part.get("errors", ())


def inner_of(part: dict[str, Any]) -> list[dict[str, Any]]:
    """What of an incremental part can have errors of its own."""
    return [*part.get("incremental", ()), *part.get("completed", ())]


@pytest.mark.parametrize(
    "text",
    [
        '{ search(text: "a") { nodes { __typename @stream(initialCount: 1) } } }',
        '{ search(text: "a") { edges { node { ... on Node { __typename @stream } } } } }',
        """mutation { cancelOrder(input: {id: "a", expectedVersion: {any: true}}) {
            __typename @stream } }""",
    ],
)
async def test_a_typename_of_a_union_is_no_list(client: Client, text: str) -> None:
    answer = await client.answer(text)

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "'__typename'" in error["message"]
    assert "data" not in answer


async def test_a_rule_that_fails_refuses_the_document(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise AttributeError("fields")

    monkeypatch.setattr(StreamedLists, "__init__", fail)

    answer = await client.answer("{ customers @include(if: true) { nodes { id } } }")

    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert "AttributeError" in caplog.text
