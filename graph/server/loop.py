"""The event loop of a worker, on a stack that has room for all frames of a request."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# In pointers: 512 KB, in a chunk of 1 MB. The rest of it holds some 3,000 frames.
_OWN_SIZE = 1 << 16


def with_room(call: Callable[[], T]) -> T:
    """Call on a chunk of the stack that no frame below reaches the end of.

    CPython keeps the frames of a thread in chunks of 16 KB. It maps a chunk when a call does not
    fit into the last one, and unmaps it at the end of that call. A loop that calls across the end
    of a chunk does so each time: the standard executor took twice its time. The frame of this
    function is so large that it gets a chunk of its own. Of that, only what is used takes memory.
    """
    return call()


with_room.__code__ = with_room.__code__.replace(co_stacksize=_OWN_SIZE)


class Loop(uvloop.Loop):
    """uvloop's, whose callbacks run `with_room`."""

    def run_until_complete(self, future: Any) -> Any:
        return with_room(partial(super().run_until_complete, future))
