"""The stack of a worker: no call in it may have to map memory."""

from __future__ import annotations

import asyncio
import resource
from functools import partial

import pytest

from graph.server.loop import Loop, with_room

CALLS = 2_000
# More frames than 16 KB hold.
DEPTHS = range(300)


def nothing() -> None:
    pass


# Larger than the frames above it, so that at some depth it does not fit into their chunk.
nothing.__code__ = nothing.__code__.replace(co_stacksize=60)


def faults_of_calls(depth: int) -> int:
    """The pages that the kernel gives to the process while functions are called at this depth."""
    if depth:
        return faults_of_calls(depth - 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(CALLS):
        nothing()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def worst() -> int:
    return max(faults_of_calls(depth) for depth in DEPTHS)


def test_with_room_no_call_maps_memory() -> None:
    assert with_room(worst) < CALLS / 10


def test_callbacks_of_the_loop_have_room() -> None:
    loop = Loop()
    try:
        found: list[int] = []
        loop.call_soon(lambda: found.append(worst()))
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()

    assert found[0] < CALLS / 10


def test_results_and_errors_pass() -> None:
    assert with_room(partial(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        with_room(partial(divmod, 7, 0))


def test_a_deep_recursion_is_still_refused() -> None:
    with pytest.raises(RecursionError):
        with_room(partial(faults_of_calls, 1_000_000))
