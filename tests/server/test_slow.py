"""Slow operations are logged with their plan, and without a value of any client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from graph.app import create_app
from graph.database.plans import without_values
from graph.server import slow
from graph.server.slow import SlowLog, shape_of
from graph.settings import ExecutionMode, LogFormat, LogLevel
from tests.conftest import client_of
from tests.rows import fill

if TYPE_CHECKING:
    from graph.settings import Settings

QUERY = """query Slow($n: Int, $name: String) {
    customers(first: $n, where: {lastName: {eq: $name}, databaseId: {gt: 41237}}) {
        nodes { email } } }"""
# So many fields that no machine answers it within a millisecond.
RESOLVED = "{" + " ".join(f"a{n}: customers {{ totalCount }}" for n in range(40)) + "}"
VARIABLES = {"n": 77, "name": "Secretname"}


def slow_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in found if line["logger"] == "graph.slow"]


def logging(settings: Settings, **more: Any) -> Settings:
    base = {"log_level": LogLevel.WARNING, "log_format": LogFormat.JSON, "slow_ms": 1}
    return settings.model_copy(update=base | more)


@pytest.fixture
def everything_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick machine may need less than 1 ms for an operation."""
    monkeypatch.setattr(SlowLog, "is_slow", lambda *_: True)


@pytest.mark.usefixtures("everything_is_slow")
async def test_a_slow_operation_is_a_line_with_its_plan_and_no_value(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client_of(create_app(logging(settings))) as client:
        await fill(client.database, customers=3)
        await client.http.post("/graphql", json={"query": QUERY, "variables": VARIABLES})
    (line, *_) = slow_lines(capsys)

    assert (line["operation"], line["level"]) == ("Slow", "WARNING")
    assert line["variables"] == {"n": "number", "name": "string(10)"}
    assert line["cost"] > 0
    assert line["cost_of_time"] >= 0
    assert any("(cost=" in each for each in line["plan"])
    assert any("customers" in each and "Scan" in each for each in line["plan"])
    for value in ("Secretname", "41237", "77"):
        assert value not in json.dumps([line["plan"], line["variables"]])


@pytest.mark.usefixtures("everything_is_slow")
async def test_plans_are_rationed_and_others_are_lines_without_one(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client_of(create_app(logging(settings, slow_plans_per_minute=2))) as client:
        for _ in range(5):
            await client.http.post("/graphql", json={"query": QUERY, "variables": VARIABLES})
    lines = slow_lines(capsys)

    assert 1 <= sum("plan" in line for line in lines) <= 2
    assert len(lines) >= 2


@pytest.mark.usefixtures("everything_is_slow")
async def test_what_resolvers_answer_has_no_plan(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    resolved = logging(settings, execution=ExecutionMode.RESOLVERS)
    async with client_of(create_app(resolved)) as client:
        await client("{ customers { nodes { email } } }")
    (line,) = slow_lines(capsys)

    assert "plan" not in line
    assert line["statements"] >= 1


async def test_nothing_is_slow_where_that_is_off_or_quick(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for slow_ms in (0, 60_000):
        async with client_of(create_app(logging(settings, slow_ms=slow_ms))) as client:
            await client(QUERY, **VARIABLES)

    assert not slow_lines(capsys)


def test_a_shape_has_names_types_and_sizes_only() -> None:
    deep: Any = "x"
    for _ in range(10):
        deep = {"a": deep}
    value = {
        "null": None,
        "flag": True,
        "ids": ["secret", "b"],
        "none": [],
        "price": 1.5,
        "ann@example.com": {"in": [{"eq": 7}]},
    }

    assert shape_of(value) == {
        "null": "null",
        "flag": "boolean",
        "ids": {"list": 2, "first": "string(6)"},
        "none": {"list": 0},
        "price": "number",
        "?": {"in": {"list": 1, "first": {"eq": "number"}}},
    }
    assert "x" not in json.dumps(shape_of(deep))
    assert len(shape_of({f"v{number}": 1 for number in range(1_000)})) == 21


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (
            "  ->  Seq Scan on items items_1  (cost=0.00..35.50 rows=5 width=4)",
            "  ->  Seq Scan on items items_1  (cost=0.00..35.50 rows=5 width=4)",
        ),
        (
            "Filter: ((items_1.price > 17.5) AND (name = 'it''s'::text))",
            "Filter: ((items_1.price > ?) AND (name = ?::text))",
        ),
        (
            "Index Cond: (id = ANY ('{1,2}'::bigint[]))",
            "Index Cond: (id = ANY (?::bigint[]))",
        ),
        ("Filter: (quantity > '-3'::integer)", "Filter: (quantity > ?::integer)"),
    ],
)
def test_values_are_left_out_of_plans(line: str, kept: str) -> None:
    assert without_values([line]) == [kept]


def test_values_with_line_breaks_are_left_out_of_plans() -> None:
    lines = ["  Filter: ((name = 'secret", "it''s 1 secret'::text) AND (price > 5))", "Rows: 1"]

    assert without_values(lines) == ["  Filter: ((name = ?::text) AND (price > ?))", "Rows: ?"]


def test_a_value_that_is_cut_off_is_left_out_of_a_plan() -> None:
    lines = ["Filter: (name = 'secret", *["secret"] * 300, "end'::text)"]

    assert without_values(lines) == ["Filter: (name = ?"]


@pytest.mark.usefixtures("everything_is_slow")
async def test_lines_are_rationed_and_those_without_one_are_counted(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow, "_LINES_PER_MINUTE", 2)
    async with client_of(create_app(logging(settings, slow_plans_per_minute=0))) as client:
        for _ in range(5):
            await client.http.post("/graphql", json={"query": RESOLVED})
        monkeypatch.setattr(slow, "_MINUTE", 0.0)
        await client.http.post("/graphql", json={"query": RESOLVED})
    lines = slow_lines(capsys)

    assert len(lines) == 3
    assert lines[-1]["left_out"] == 3
