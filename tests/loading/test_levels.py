"""The batches of a level run one after another and are answered together."""

from __future__ import annotations

import asyncio

import pytest

from graph.loading.levels import LevelScheduler


async def test_batches_never_overlap_and_are_answered_in_one_turn() -> None:
    levels = LevelScheduler()
    events: list[str] = []

    async def batch(name: str) -> str:
        events.append(f"{name} begins")
        await asyncio.sleep(0)
        events.append(f"{name} ends")
        return name

    async def field(name: str) -> None:
        events.append(f"{await levels.run(lambda: batch(name))} is answered")

    await asyncio.gather(field("a"), field("b"))

    assert events == [
        "a begins", "a ends", "b begins", "b ends", "a is answered", "b is answered",
    ]  # fmt: skip


async def test_requests_during_a_batch_form_the_next_level() -> None:
    levels = LevelScheduler()
    order: list[str] = []

    async def batch(name: str) -> None:
        order.append(name)
        await asyncio.sleep(0)

    async def first() -> None:
        await levels.run(lambda: batch("first"))

    async def late() -> None:
        await asyncio.sleep(0)
        await levels.run(lambda: batch("late"))

    await asyncio.gather(first(), late())

    assert order == ["first", "late"]


async def test_an_error_of_a_batch_reaches_its_requests_and_ends_the_level() -> None:
    levels = LevelScheduler()
    ran: list[str] = []

    async def works() -> str:
        return "rows"

    async def fails() -> None:
        raise LookupError("no rows")

    async def late() -> None:
        ran.append("late")

    worked, failed, same_level = await asyncio.gather(
        levels.run(works), levels.run(fails), levels.run(late), return_exceptions=True
    )
    (next_level,) = await asyncio.gather(levels.run(late), return_exceptions=True)

    assert worked == "rows"
    assert isinstance(failed, LookupError)
    assert same_level is next_level is failed
    assert ran == []


async def test_closing_stops_the_batch_that_runs() -> None:
    levels = LevelScheduler()
    asked = asyncio.create_task(levels.run(asyncio.Event().wait))
    await asyncio.sleep(0.01)

    await levels.close()

    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_nothing_runs_after_closing() -> None:
    levels = LevelScheduler()
    ran: list[str] = []

    async def late() -> None:
        ran.append("late")

    await levels.close()

    with pytest.raises(RuntimeError, match="operation is over"):
        await levels.run(late)
    assert ran == []
