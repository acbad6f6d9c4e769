"""Subscriptions that want the same, and so are answered together."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from graph.errors import RateLimited, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.execution.live.dispatcher import Dispatcher
    from graph.execution.running.charging import Charging

_LEAST_CHARGE = 20
_LONGEST_WAIT_SECONDS = 10.0
_RETRY_SECONDS = 1.0
# Receivers that are woken in one turn of the event loop; between turns, others have theirs.
_IN_ONE_TURN = 10


class Group(ABC):
    """Receivers wait here until a refresh has brought something new."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.members = set[object]()
        # The costs of all refreshes up to now, for each member.
        self.shares = 0.0
        # Called when the last member has left.
        self.on_empty: Callable[[], None] = lambda: None
        # How many members pay at present; they may have to wait for it.
        self.paying = 0
        self._waiting = dict[object, asyncio.Future[None]]()

    @abstractmethod
    async def refresh(self) -> float | None:
        """Read what is new; the seconds after which to do it again, None if nothing is pending."""

    def share(self, cost: int) -> None:
        """Divide the cost of a refresh among the members."""
        self.shares += cost / max(len(self.members), 1)

    async def wait(self, member: object) -> None:
        """Wait until a refresh is over, or the member leaves."""
        turn = self._waiting[member] = asyncio.get_running_loop().create_future()
        try:
            await turn
        finally:
            self._waiting.pop(member, None)

    def leave(self, member: object) -> None:
        if member not in self.members:
            return
        self.members.discard(member)
        if not self.members:
            self.on_empty()
        turn = self._waiting.pop(member, None)
        if turn is not None and not turn.done():
            turn.set_result(None)

    async def wake(self) -> None:
        """Wake all receivers, a few in each turn of the event loop."""
        for nth, turn in enumerate(list(self._waiting.values()), start=1):
            if not turn.done():
                turn.set_result(None)
            if nth % _IN_ONE_TURN == 0:
                await asyncio.sleep(0)


class Bill:
    """What a receiver owes for its shares of the refreshes of its group."""

    def __init__(self, charging: Charging, client: str) -> None:
        self._charging = charging
        self._client = client
        self._owed = self._shares = 0.0

    def begin(self, group: Group) -> None:
        self._shares = group.shares

    def add(self, cost: float) -> None:
        self._owed += cost

    def is_due(self, group: Group) -> bool:
        return self._due(group) >= _LEAST_CHARGE

    async def settle(self, group: Group) -> None:
        """Charge what has come together; wait where the client's bucket does not hold it."""
        cost = self._due(group)
        self._owed -= cost
        group.paying += 1
        try:
            await self._charging.consume(self._client, cost)
        except RateLimited as limited:
            await self._charging.charge(self._client, cost)
            await asyncio.sleep(min(limited.retry_after_seconds, _LONGEST_WAIT_SECONDS))
        except Unavailable:
            self._owed += cost
            await asyncio.sleep(_RETRY_SECONDS)
        finally:
            group.paying -= 1

    async def close(self, group: Group) -> None:
        """Charge the rest."""
        await self._charging.charge(self._client, self._due(group))
        self._owed = 0.0

    def _due(self, group: Group) -> int:
        self._owed += group.shares - self._shares
        self._shares = group.shares
        return int(self._owed)
