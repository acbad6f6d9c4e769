"""Orders come from files and from buyers, and are cancelled: stock is what it was, all the same."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from graph.database.transfer.files import Format
from graph.database.transfer.importing import import_file
from graph.store.transfer.exporting import export_rows
from graph.store.transfer.staging import ENTITIES
from tests.mutations import ANY, run
from tests.prove.books import Books
from tests.prove.conftest import ROUNDS
from tests.prove.shop import basket, stocked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Client

ITEMS, STEPS = 6, 30
HELD = """
    SELECT items.id, stock + coalesce(sum(taken), 0)::integer AS pieces
    FROM items LEFT JOIN order_lines ON item_id = items.id GROUP BY items.id ORDER BY items.id
"""
ORDERS = """{ orders(first: 100) { nodes { id status lineItems(first: 100) { nodes {
    id quantity cancelledQuantity } } } } }"""


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_stock_and_what_lines_took_add_up_whatever_is_imported_and_cancelled(
    client: Client,
    database_url: str,
    tmp_path: Path,
    number: int,
    figures: Callable[..., None],
) -> None:
    random = Random(number)  # noqa: S311  the same in every run
    started_with = await stocked(client.database, [random.randint(0, 40) for _ in range(ITEMS)])
    books, done = Books(database_url), dict.fromkeys(("placed", "imported", "cancelled"), 0)

    for step in range(STEPS):
        match random.choice(("place", "import", "again", "cancel", "remove", "change")):
            case "place":
                answer = await run(client, "placeOrder", **basket(random, ITEMS))
                done["placed"] += answer["__typename"] == "OrderSaved"
            case "import":
                done["imported"] += await _import(client, tmp_path / f"{step}", _file(random, step))
            case "again":
                await _import_what_is_there(client, tmp_path / f"{step}")
            case kind:
                done["cancelled"] += await _shrink(client, random, kind)
        held = {row["id"]: row["pieces"] for row in await books.fetch(HELD)}
        assert held == started_with

    await _cancel_all(client)
    left = {row["id"]: row["stock"] for row in await books.fetch("SELECT id, stock FROM items")}
    assert left == started_with
    await books._check_history()  # noqa: SLF001
    figures(steps=STEPS, **done)


def _file(random: Random, step: int) -> list[dict[str, Any]]:
    """Orders of the past: some open, some of several pieces cancelled."""
    lines = [
        {
            "item": f"Item {random.randint(1, ITEMS)}",
            "quantity": 3,
            "cancelledQuantity": random.randint(0, 3),
        }
        for _ in range(random.randint(0, 3))
    ]
    order = {"username": "user1", "status": random.choice(("PLACED", "PAID", "CANCELLED"))}
    return [order | {"datePlaced": f"2020-01-01T00:00:{step:02}Z", "lines": lines}]


async def _import(client: Client, path: Path, rows: list[dict[str, Any]]) -> int:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = await import_file(
        client.database, path, "orders", ENTITIES["orders"], Format.NDJSON,
        bad_rows=path.with_suffix(".refused"), progress=lambda *_: None,
    )  # fmt: skip
    assert done.refused == 0
    return done.added


async def _import_what_is_there(client: Client, path: Path) -> None:
    with path.open("wb") as file:
        await export_rows(client.database, "orders", Format.NDJSON, file, lambda _: None)
    before = await client(ORDERS)

    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert await _import(client, path, rows) == 0

    assert await client(ORDERS) == before


async def _shrink(client: Client, random: Random, kind: str) -> int:
    """Some pieces of some line are cancelled, or it is removed, or has another quantity."""
    lines = [
        (order["id"], line)
        for order in (await client(ORDERS))["orders"]["nodes"]
        for line in order["lineItems"]["nodes"]
    ]
    if not lines:
        return 0
    order, line = random.choice(lines)
    given: dict[str, Any] = {"id": line["id"], "expectedVersion": ANY}
    if kind == "remove":
        answer = await run(client, "removeOrderLine", **given)
    elif kind == "change":
        answer = await run(client, "changeOrderLine", **given, quantity=random.randint(1, 5))
    else:
        pieces = [{"id": line["id"], "quantity": 1}]
        answer = await run(client, "cancelOrder", **given | {"id": order}, lines=pieces)
    return int("order" in answer)


async def _cancel_all(client: Client) -> None:
    for order in (await client(ORDERS))["orders"]["nodes"]:
        if order["status"] in {"PLACED", "PAID"}:
            answer = await run(client, "cancelOrder", id=order["id"], expectedVersion=ANY)
            assert answer["__typename"] == "OrderSaved"
