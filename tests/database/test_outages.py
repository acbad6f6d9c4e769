"""An outage of the database is two lines in the log, however many requests meet it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from graph.app import create_app
from graph.database import outages as module
from graph.database.driver_errors import translated
from graph.database.engine import Database
from graph.database.outages import Outages
from graph.errors import TooExpensive, Unavailable
from graph.settings import LogFormat, LogLevel
from graph.telemetry import start_logging
from tests.conftest import client_of

if TYPE_CHECKING:
    from graph.settings import Settings


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in found if "outage" in line]


def test_it_is_a_line_when_it_begins_and_one_when_it_ends(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging(LogLevel.INFO, LogFormat.JSON)
    outages = Outages()
    for _ in range(1_000):
        outages.failed(ConnectionRefusedError(111, "refused"), "")
        clock.now += 0.01
        outages.succeeded()  # on another connection: it goes on
    outages.failed(RuntimeError("terminating\nconnection"), "57P01")
    assert outages.are_open
    clock.now += 5
    outages.succeeded()
    assert not outages.are_open
    outages.failed(ConnectionRefusedError(111, "refused"), "")

    began, other, ended, other_ended, again = lines(capsys)
    assert (began["outage"], began["cause"], began["sqlstate"]) == (
        "began",
        "[Errno 111] refused",
        None,
    )
    assert (other["cause"], other["sqlstate"]) == ("terminating", "57P01")
    assert (ended["outage"], ended["failures"], ended["seconds"]) == ("ended", 1_000, 10.0)
    assert (other_ended["sqlstate"], other_ended["failures"]) == ("57P01", 1)
    assert again["outage"] == "began"


def test_what_this_process_ends_is_no_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fresh = Outages()
    monkeypatch.setattr("graph.database.driver_errors.outages", fresh)
    error = TooExpensive(0.25)
    assert translated(error) is error
    assert not fresh.are_open
    assert isinstance(translated(ConnectionRefusedError(111, "refused")), Unavailable)
    assert fresh.are_open


async def test_a_store_that_ends_connections_has_a_line_with_its_cause(
    settings: Settings, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = Outages()
    logging = {"log_level": LogLevel.INFO, "log_format": LogFormat.JSON}
    other = Database.connect(settings)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("driver_errors", "stopwatch", "readiness"):
            patch.setattr(f"graph.database.{name}.outages", fresh)
        async with client_of(create_app(settings.model_copy(update=logging))) as client:
            await client("{ items { totalCount } }")
            for _ in range(3):
                await other.all(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await client.http.post("/graphql", json={"query": "{ items { totalCount } }"})
            clock.now += 10
            await client("{ items { totalCount } }")
    await other.close()

    found = lines(capsys)
    assert {line["outage"] for line in found} == {"began", "ended"}
    assert all(line["cause"] and "SELECT" not in line["cause"] for line in found)
    assert len({line["cause"] for line in found}) * 2 == len(found)
