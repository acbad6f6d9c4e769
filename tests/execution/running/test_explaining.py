"""An operation is explained: its stages, its cost, and its statements with their plans."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from graph.app import create_app
from graph.database import statement_plans as plans
from graph.database.recording import MAX_STATEMENTS, Recorder, Recording
from graph.errors import TimedOut
from graph.execution.running import explaining
from graph.execution.running.charging import Charging
from graph.execution.running.execute import Execution
from graph.execution.running.rate_limit import MemoryTokenBuckets
from graph.execution.running.request import ExplainMode, Request
from graph.settings import ExecutionMode, Settings
from graph.store.access import EXPLAIN, OWN, READ, ROLES
from graph.store.schema import schema
from graph.viewer import ANONYMOUS, SYSTEM, Viewer
from tests.conftest import all_returned, client_of, recorded, settings_for
from tests.execution.test_compiled import EXTENDED
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.database.engine import Database
    from tests.conftest import Client

QUERY = "{ customers(first: 2) { totalCount nodes { town orders(first: 1) { nodes { id } } } } }"
CHANGE = """mutation { updateCustomer(input: {
  id: "Q3VzdG9tZXI6MQ==", expectedVersion: {any: true}, town: "Elsewhere"
}) { ... on CustomerSaved { customer { town orders { totalCount } } } } }"""
PLAN = True
MALFORMED: list[Any] = ["yes", 1, [], {}, {"analyze": 1}, {"analyze": True, "more": 1}, {"a": 1}]
STAGES = [
    *("parse", "validate", "plan", "place", "connection"),
    *("compile", "statement", "resolve", "encode"),
]


@pytest.fixture(params=ExecutionMode)
async def shop(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    changed = settings.model_copy(update={"execution": request.param})
    async with client_of(create_app(changed)) as client:
        await fill(client.database, customers=3)
        yield client


async def explained(client: Client, query: str, explain: Any = PLAN) -> dict[str, Any]:
    """The explanation of an answer without errors, whose data is that without one."""
    body = {"query": query, "extensions": {"explain": explain}}
    answer = (await client.http.post("/graphql", json=body)).json()
    assert "errors" not in answer, answer
    extensions = answer.pop("extensions")
    if "mutation" not in query:
        assert answer == await client.answer(query)
    explanation: dict[str, Any] = extensions["explain"]
    return explanation


async def test_the_stages_are_in_order_and_make_up_the_time(shop: Client) -> None:
    first, again = await explained(shop, QUERY), await explained(shop, QUERY)

    assert list(first["stages"]) == STAGES
    assert first["ms"] == pytest.approx(sum(first["stages"].values()), abs=0.01)
    assert all(ms >= 0 for ms in first["stages"].values())
    for stage in ("parse", "validate", "plan", "statement", "encode"):
        assert first["stages"][stage] > 0
    assert again["stages"]["parse"] == again["stages"]["validate"] == 0
    assert first["stages"]["statement"] >= sum(each["ms"] for each in first["statements"]) - 0.01


async def test_the_answer_is_described(shop: Client) -> None:
    response = await shop.http.post("/graphql", json={"query": QUERY})

    explanation = await explained(shop, QUERY)

    assert explanation["status"] == 200
    assert explanation["bytes"] == len(response.content)


async def test_the_statements_are_those_that_ran(shop: Client) -> None:
    with recorded(shop.database) as plain:
        await shop(QUERY)

    explanation = await explained(shop, QUERY)

    def in_words(text: str) -> str:
        return re.sub(r"\s+", "", text)

    shown = [in_words(each["sql"]) for each in explanation["statements"]]
    assert shown == [in_words(text) for text in plain.texts]
    assert explanation["omittedStatements"] == 0
    for each in explanation["statements"]:
        assert len(each["parameters"]) == len(set(re.findall(r"\$\d+", each["sql"])))
        assert each["ms"] > 0


async def test_each_statement_of_a_query_has_its_plan(shop: Client) -> None:
    explanation = await explained(shop, QUERY)

    for each in explanation["statements"]:
        assert each["plan"]["Plan"]["Total Cost"] > 0
        assert "Actual Rows" not in json.dumps(each["plan"])


async def test_analyze_runs_the_statements_once_more(shop: Client) -> None:
    explanation = await explained(shop, QUERY, {"analyze": True})

    for each in explanation["statements"]:
        assert each["plan"]["Execution Time"] > 0
        assert each["plan"]["Plan"]["Actual Rows"] >= 1
    plain = await explained(shop, QUERY, {"analyze": False})
    assert "Execution Time" not in plain["statements"][0]["plan"]


async def test_the_plans_are_made_in_a_read_only_transaction_that_is_rolled_back(
    shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    explain = plans._plan  # noqa: SLF001

    async def look(tx: Any, statement: Any, *, analyze: bool) -> Any:
        plan = await explain(tx, statement, analyze=analyze)
        seen.extend(await tx.fetch("SELECT current_setting('transaction_read_only') AS read_only"))
        return plan

    monkeypatch.setattr(plans, "_plan", look)
    await explained(shop, QUERY, {"analyze": True})

    assert {row["read_only"] for row in seen} == {"on"}
    assert await all_returned(shop.database)


async def test_the_cost_is_listed_by_field_and_the_explanation_is_paid_for(shop: Client) -> None:
    cost = (await explained(shop, QUERY))["cost"]
    analyzed = (await explained(shop, QUERY, {"analyze": True}))["cost"]

    fields = {each["path"]: each["cost"] for each in cost["fields"]}
    assert fields == {
        "customers": 1,
        "customers.totalCount": 5,
        "customers.nodes": 2,
        "customers.nodes.orders": 2,
        "customers.nodes.orders.nodes": 2,
    }
    assert cost["requested"] == sum(fields.values()) == 12
    assert cost["charged"] == cost["actual"] + 12
    assert analyzed["charged"] == cost["actual"] + 24


@pytest.mark.parametrize(("mode", "times"), [(ExplainMode.PLAN, 2), (ExplainMode.ANALYZE, 3)])
async def test_a_clients_bucket_pays_for_an_explanation(
    database: Database, mode: ExplainMode, times: int
) -> None:
    await fill(database, customers=3)
    buckets = MemoryTokenBuckets(1_000, 0.000_1)
    execution = Execution(schema, database, charging=Charging(buckets, cost_per_ms=0))

    await execution.answer(
        Request("{ items(first: 5) { nodes { id } } }", {}, explain=mode), SYSTEM
    )

    await buckets.consume("", 1_000 - times * 6)
    with pytest.raises(Exception, match="cost"):
        await buckets.consume("", 1)


async def test_a_mutation_shows_its_statements_without_plans(shop: Client) -> None:
    explanation = await explained(shop, CHANGE)

    assert any("UPDATE customers" in each["sql"] for each in explanation["statements"])
    assert {each["plan"] for each in explanation["statements"]} == {None}
    assert explanation["stages"]["encode"] > 0
    assert (await shop("{ customer(by: {databaseId: 1}) { town } }")) == {
        "customer": {"town": "Elsewhere"}
    }


async def test_no_value_of_a_parameter_is_shown_for_a_mutation(shop: Client) -> None:
    assert "Elsewhere" not in json.dumps(await explained(shop, CHANGE))


@pytest.mark.parametrize(
    ("query", "explain", "message"),
    [
        (CHANGE, {"analyze": True}, "'explain.analyze' is for queries only"),
        ("subscription { live { items { totalCount } } }", True, "A subscription cannot be"),
        *((QUERY, value, "'extensions.explain' must be true, or") for value in MALFORMED),
    ],
)
async def test_what_cannot_be_explained_is_refused_before_it_runs(
    client: Client, query: str, explain: Any, message: str
) -> None:
    await fill(client.database, customers=1)
    body = {"query": query, "extensions": {"explain": explain}}

    answer = (await client.http.post("/graphql", json=body)).json()

    (error,) = answer["errors"]
    assert error["message"].startswith(message)
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert "data" not in answer
    town = await client("{ customer(by: {databaseId: 1}) { town } }")
    assert town["customer"]["town"] != "Elsewhere"


@pytest.mark.parametrize("value", [False, None])
async def test_no_explanation_is_none(client: Client, value: Any) -> None:
    body = {"query": QUERY, "extensions": {"explain": value}}

    assert "extensions" not in (await client.http.post("/graphql", json=body)).json()


async def test_a_refused_operation_has_the_stages_so_far(client: Client) -> None:
    body = {"query": "{ nothing }", "extensions": {"explain": True}}

    answer = (await client.http.post("/graphql", json=body)).json()

    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    explanation = answer["extensions"]["explain"]
    assert (explanation["status"], explanation["statements"]) == (400, [])
    assert explanation["stages"]["parse"] > 0


async def test_an_explained_answer_is_whole_and_not_kept(client: Client) -> None:
    query = "{ items(first: 1) { nodes { id ... @defer { name } } } }"
    body = {"query": query, "extensions": {"explain": True}}
    parts = await client.http.post(
        "/graphql", json=body, headers={"accept": "multipart/mixed, application/json"}
    )
    got = await client.http.get(
        "/graphql",
        params={"query": "{ items { nodes { id } } }", "extensions": '{"explain": true}'},
        headers={"x-requested-with": "test"},
    )

    assert "explain" in parts.json()["extensions"]
    assert "explain" in got.json()["extensions"]
    assert "etag" not in got.headers


async def test_all_extensions_are_in_one_object(client: Client) -> None:
    await fill(client.database, customers=1)
    body = {"query": CHANGE, "extensions": {"explain": True, "cost": True}}
    headers = {"idempotency-key": "once"}

    texts = [
        (await client.http.post("/graphql", json=body, headers=headers)).text for _ in range(2)
    ]

    assert [text.count('"extensions"') for text in texts] == [1, 1]
    assert [set(json.loads(text)["extensions"]) for text in texts] == [
        {"cost", "explain"},
        {"cost", "explain", "replayed"},
    ]


# Who may


@pytest.mark.parametrize(
    ("viewer", "code"),
    [
        (ANONYMOUS, "UNAUTHENTICATED"),
        (Viewer("c", "customer", ROLES["customer"], own=1), "FORBIDDEN"),
        (Viewer("k", "clerk", ROLES["clerk"]), "FORBIDDEN"),
        (Viewer("m", "manager", ROLES["manager"]), None),
        (Viewer("s", "service", frozenset({EXPLAIN})), None),
        (SYSTEM, None),
    ],
)
async def test_elsewhere_it_takes_a_permission(
    database: Database, viewer: Viewer, code: str | None
) -> None:
    execution = Execution(schema, database, explains=False)
    request = Request("{ items { totalCount } }", {}, explain=ExplainMode.PLAN)

    with recorded(database) as statements:
        answer = json.loads((await execution.answer(request, viewer)).body)

    if code is None:
        assert "explain" in answer["extensions"]
    else:
        (error,) = answer["errors"]
        assert error["extensions"] == {
            "code": code,
            "fields": [{"path": "extensions.explain", "permissions": ["operations:explain"]}],
        }
        assert "extensions" not in answer
        assert len(statements) == 0


async def test_it_follows_the_profile(database_url: str) -> None:
    for profile, is_explained in (("development", True), ("production", False)):
        settings = settings_for(database_url, profile=profile, anonymous_role="clerk")
        async with client_of(create_app(settings)) as client:
            body = {"query": "{ items { totalCount } }", "extensions": {"explain": True}}
            answer = (await client.http.post("/graphql", json=body)).json()

        assert ("data" in answer) is is_explained


async def test_the_rows_of_others_stay_out_of_the_statements_that_are_analyzed(
    database: Database,
) -> None:
    await fill(database, customers=5, orders=1)
    execution = Execution(schema, database, explains=True)
    request = Request("{ orders { nodes { id } } }", {}, explain=ExplainMode.ANALYZE)

    answers = {
        viewer.role: json.loads((await execution.answer(request, viewer)).body)
        for viewer in (
            Viewer("c", "customer", frozenset({OWN}), own=2),
            Viewer("k", "clerk", frozenset({READ})),
        )
    }

    for role, rows in {"customer": 1, "clerk": 5}.items():
        assert len(answers[role]["data"]["orders"]["nodes"]) == rows
        (statement,) = answers[role]["extensions"]["explain"]["statements"]
        scanned = [node for node in nodes(statement["plan"]["Plan"]) if "Relation Name" in node]
        assert [node["Actual Rows"] for node in scanned] == [rows]
    assert "WHERE orders.customer_id" in answers["customer"]["extensions"]["explain"]["statements"][
        0
    ]["sql"].replace("\n", " ")


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from nodes(below)


async def test_statements_of_others_are_not_recorded(client: Client) -> None:
    await fill(client.database, customers=3)
    other = '{ items(where: {name: {eq: "other"}}) { totalCount } }'

    explanation, *_ = await asyncio.gather(
        explained(client, QUERY), *(client(other) for _ in range(20))
    )

    assert len(explanation["statements"]) == 1
    assert "items" not in explanation["statements"][0]["sql"]


# Warnings


async def test_a_sequential_scan_of_a_large_table_is_a_warning(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(client.database, customers=30)
    await client.database.all("ANALYZE customers")
    query = '{ customers(where: {town: {eq: "Wolfden"}}) { totalCount } }'
    assert (await explained(client, query))["warnings"] == []

    monkeypatch.setattr(plans, "LARGE_ROWS", 30)

    assert (await explained(client, query))["warnings"] == [
        {
            "code": "SEQUENTIAL_SCAN",
            "message": "All of about 30 rows of 'customers' are looked at.",
            "statement": 0,
            "table": "customers",
        }
    ]


async def test_a_resolver_is_a_warning(database_url: str, database: Database) -> None:
    await fill(database, customers=2)
    query = "{ customers { nodes { fullName } } orders { totalCount } }"
    found = {}
    for mode in ExecutionMode:
        settings = settings_for(database_url, execution=mode)
        async with client_of(create_app(settings, schema=EXTENDED)) as client:
            warnings = (await explained(client, query))["warnings"]
        assert {each["code"] for each in warnings} == {"RESOLVER"}
        found[mode] = {each["path"]: each["message"] for each in warnings}

    assert found[ExecutionMode.COMPILED] == {
        "customers": "'customers' is answered by resolvers, as 'Customer.fullName' has no meaning"
        " in SQL."
    }
    assert set(found[ExecutionMode.RESOLVERS]) == {"customers", "orders"}


async def test_an_answer_without_a_plan_is_an_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def time_out(*_: Any, **__: Any) -> Any:
        raise TimedOut

    monkeypatch.setattr(plans, "_plan", time_out)

    explanation = await explained(client, QUERY)

    (warning,) = explanation["warnings"]
    assert warning["code"] == "TIMEOUT"
    assert explanation["statements"][0]["plan"] is None
    assert await all_returned(client.database)


async def test_an_explanation_does_not_make_its_operation_slow_for_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take_long(*arguments: Any, **_: Any) -> Any:
        with arguments[3]:
            await asyncio.sleep(2.5)
        raise TimedOut

    monkeypatch.setattr(explaining, "plans_of", take_long)
    request = Request(QUERY, {}, explain=ExplainMode.ANALYZE)
    slow = settings.model_copy(update={"expensive_after_ms": 2_000})
    async with client_of(create_app(slow)) as client:
        await client.execution.answer(request, SYSTEM)

    place, work = request.observation.place, request.observation.work
    assert place is not None
    assert place.observed_seconds > 2
    assert work is not None
    assert not work.history.is_slow


async def test_a_recording_is_bounded() -> None:
    recording = Recording()
    recorder = Recorder(recording)
    for _ in range(MAX_STATEMENTS + 5):
        with recorder:
            recorder.note("SELECT 1", ())

    assert (len(recording.statements), recording.count) == (MAX_STATEMENTS, MAX_STATEMENTS + 5)
    assert recorder.seconds >= sum(each.seconds for each in recording.statements)
