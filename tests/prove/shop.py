"""Buyers: each sends HTTP requests, and repeats them until one is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import text

from graph.relay import to_global_id
from tests.mutations import mutation
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from graph.database.engine import Database

# A client that is refused a connection, or told to try again, waits so long.
_PAUSE_SECONDS = 0.05
_PATIENCE_SECONDS = 90
_numbers = count(1)

CUSTOMER = to_global_id("Customer", 1)
PLACE = mutation("placeOrder", key=True)


async def stocked(database: Database, stock: Sequence[int]) -> dict[int, int]:
    """A store with one customer, and so many pieces of items 1, 2, 3, ..."""
    await fill(database, customers=1, orders=0, items=len(stock))
    pieces = dict(enumerate(stock, start=1))
    async with database.write() as session:
        for item, number in pieces.items():
            change = text("UPDATE items SET stock = :stock WHERE id = :item")
            await session.execute(change, {"stock": number, "item": item})
    return pieces


def basket(random: Random, items: int) -> dict[str, Any]:
    """An order of one to four lines, one or two pieces each."""
    chosen = random.sample(range(1, items + 1), random.randint(1, 4))
    lines = [
        {"itemId": to_global_id("Item", item), "quantity": random.randint(1, 2)} for item in chosen
    ]
    return {"customerId": CUSTOMER, "lines": lines}


@dataclass
class Shop:
    """Sends mutations with keys; `heard` counts what the answers were."""

    url: str
    http: httpx.AsyncClient
    heard: Counter[str] = field(default_factory=Counter)
    answered: int = 0

    async def ask(self, name: str, values: dict[str, Any], key: str | None = None) -> Any:
        """The answer of a mutation; it is asked again, with one key, until there is one."""
        body = {
            "query": mutation(name, key=True),
            "variables": {"input": values, "key": key or f"key {next(_numbers)}"},
        }
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            answer = await self._once(body)
            if answer is not None:
                break
            assert asyncio.get_running_loop().time() < deadline, "nobody has answered for so long"
            await asyncio.sleep(_PAUSE_SECONDS)
        self.answered += 1
        payload = answer["data"][name]
        self.heard[payload["__typename"]] += 1
        self.heard["replayed"] += "extensions" in answer
        return payload

    async def _once(self, body: dict[str, Any]) -> Any:
        """The answer to one request; None where there is none, and where it is to be repeated."""
        try:
            response = await self.http.post(f"{self.url}/graphql", json=body)
        except httpx.TransportError as error:
            self.heard[type(error).__name__] += 1
            return None
        answer = response.json()
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            self.heard[answer["errors"][0]["extensions"]["code"]] += 1
            return None
        assert "errors" not in answer, answer
        return answer
