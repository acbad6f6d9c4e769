"""The lag of a replica is the time since the primary had what the replica has not replayed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from graph.database.consistency import ConsistencyToken
from graph.database.replica_lag import LagWatch, LogNotes, Look
from graph.errors import TimedOut, Unavailable

if TYPE_CHECKING:
    import pytest

    from graph.database.server import Server


def at(position: int, timeline: int = 1) -> ConsistencyToken:
    return ConsistencyToken(timeline, position)


def notes_of(*positions: ConsistencyToken) -> LogNotes:
    """Notes of one position a second, from the second 0 on."""
    notes = LogNotes(60)
    for second, position in enumerate(positions):
        notes.add(position, float(second))
    return notes


def test_what_has_replayed_all_does_not_lag_however_old_it_is() -> None:
    notes = notes_of(*[at(100)] * 500)

    assert notes.lag_seconds(at(100), 86_400) == 0
    assert notes.lag_seconds(at(101), None) == 0
    assert LogNotes(60).lag_seconds(at(1), 86_400) == 0


def test_a_replica_lags_since_the_log_went_beyond_what_it_has_replayed() -> None:
    notes = notes_of(at(100), at(100), at(200), at(200), at(300))

    assert notes.lag_seconds(at(100), 86_400) == 2
    assert notes.lag_seconds(at(150), 86_400) == 2
    assert notes.lag_seconds(at(200), 86_400) == 0
    assert notes.lag_seconds(at(299), 86_400) == 0


def test_a_lag_grows_while_the_primary_answers() -> None:
    notes = notes_of(at(100), at(200))

    assert notes.lag_seconds(at(100), None) == 0
    notes.add(at(200), 61.0)
    assert notes.lag_seconds(at(100), None) == 60


def test_before_the_notes_the_age_of_the_last_transaction_counts() -> None:
    notes = notes_of(at(100), at(200), at(200))

    assert notes.lag_seconds(at(50), 3_600) == 3_600
    assert notes.lag_seconds(at(50), 0.5) == 2
    assert notes.lag_seconds(at(50), None) == 2


def test_another_timeline_is_beyond_each_position_of_the_one_before() -> None:
    notes = notes_of(at(900), at(500, timeline=2), at(500, timeline=2))

    assert notes.lag_seconds(at(900), None) == 1
    assert notes.lag_seconds(at(500, timeline=2), None) == 0


def test_a_primary_that_went_back_is_noted_anew() -> None:
    notes = notes_of(at(900), at(900), at(100), at(101), at(101))

    assert notes.lag_seconds(at(101), None) == 0
    assert notes.lag_seconds(at(100), None) == 1


class Failing:
    """A server whose statements end with these, and then with a row."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)

    async def first(self, _sql: str) -> Any:
        if self._errors:
            raise self._errors.pop(0)
        return (1,)


async def test_a_look_meets_any_error_and_logs_an_unexpected_one_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    defects = [RuntimeError("a defect"), RuntimeError("a defect"), TypeError("another")]
    server = Failing(Unavailable(), TimedOut(), TimeoutError(), *defects)
    look = Look(cast("Server", server), "the replica r")

    with caplog.at_level(logging.INFO, "graph.database.replica_lag"):
        assert [await look.first("") for _ in range(8)] == [None] * 6 + [(1,), (1,)]
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [
        RuntimeError,
        TypeError,
        None,
    ]
    assert caplog.messages[-1] == "the state of the replica r is read again"


async def test_no_error_ends_the_watch_and_the_log_has_its_begin_and_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "graph.database.replica_lag")
    measured = asyncio.Event()

    class Replica:
        is_resting = False
        runs = 0

        async def measure(self) -> None:
            self.runs += 1
            if self.runs == 6:
                measured.set()
            if self.runs <= 3:
                raise RuntimeError

    monkeypatch.setattr("graph.database.replica_lag._EVERY_SECONDS", 0)
    primary: Any = Failing()
    watch = LagWatch(primary, [cast("Any", Replica())], LogNotes(60))
    primary.first = lambda _sql: asyncio.sleep(0, (1, 100))
    async with watch.running(), asyncio.timeout(10):
        await measured.wait()
    assert caplog.messages == [
        "the lag of the replicas cannot be measured",
        "the lag of the replicas is measured again",
    ]
