"""Import and export of files: an interrupted import resumes, invalid rows are set aside."""

from __future__ import annotations

import asyncio
import csv
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.database.transaction import Transaction
from graph.database.transfer.files import Format, records
from graph.database.transfer.importing import import_file
from graph.errors import TransferFailed
from graph.store.transfer.exporting import export_rows
from graph.store.transfer.staging import ENTITIES
from tests.prove.books import Books
from tests.rows import fill

if TYPE_CHECKING:
    from pathlib import Path

    from graph.database.engine import Database
    from graph.database.transfer.importing import Progress


def customer(number: int, **values: Any) -> dict[str, Any]:
    row = {"firstName": f"First{number}", "lastName": "Last", "username": f"new{number}"}
    row |= {"email": f"new{number}@example.com", "address": "1 Street", "town": "Wolfden"}
    return row | values


def ndjson(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


async def imported(
    database: Database, path: Path, into: str, format_: Format = Format.NDJSON, **options: Any
) -> Progress:
    return await import_file(
        database,
        path,
        into,
        ENTITIES[into],
        format_,
        bad_rows=path.with_suffix(".refused"),
        progress=options.pop("progress", lambda *_: None),
        **options,
    )


async def exported(database: Database, entity: str, format_: Format, path: Path) -> list[Any]:
    with path.open("wb") as file:
        rows = await export_rows(database, entity, format_, file, lambda _: None)
    if format_ is Format.CSV:
        with path.open() as read:
            found: list[Any] = list(csv.DictReader(read))
    else:
        found = lines_of(path)
    assert len(found) == rows
    return found


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def refused(path: Path) -> list[Any]:
    return lines_of(path.with_suffix(".refused"))


async def rows_of(database: Database, select: str) -> list[Any]:
    async with database.write() as session:
        return list((await session.execute(text(select))).all())


async def test_customers_are_merged_by_their_username(database: Database, tmp_path: Path) -> None:
    first = ndjson(tmp_path / "a.ndjson", [customer(1), customer(2)])
    second = ndjson(tmp_path / "b.ndjson", [customer(2, town="X"), customer(3), customer(1)])

    await imported(database, first, "customers")
    done = await imported(database, second, "customers")

    assert (done.rows, done.refused) == (3, 0)
    found = await rows_of(
        database, "SELECT id, username, town, version FROM customers ORDER BY username"
    )
    assert [row[1:] for row in found] == [
        ("new1", "Wolfden", 1),
        ("new2", "X", 2),
        ("new3", "Wolfden", 1),
    ]
    assert not second.with_suffix(".refused").exists()


async def test_refused_rows_are_set_aside_with_the_reason(
    database: Database, tmp_path: Path
) -> None:
    await fill(database, customers=1)
    rows: list[Any] = [
        customer(1),
        customer(2, email="USER1@example.com"),
        customer(3, town=" ", firstName=7),
        "{not json",
        "[]",
        customer(4, email="NEW1@example.com"),
        customer(5, phone="1"),
        customer(6, town="a\0b"),
        customer(7),
    ]
    path = ndjson(tmp_path / "rows.ndjson", rows)

    done = await imported(database, path, "customers")

    assert (done.rows, done.refused) == (9, 7)
    assert [
        (line["row"], [(".".join(each["path"]), each["code"]) for each in line["problems"]])
        for line in refused(path)
    ] == [
        (2, [("email", "TAKEN")]),
        (3, [("firstName", "INVALID")]),
        (4, [("", "INVALID")]),
        (5, [("", "INVALID")]),
        (6, [("email", "TAKEN")]),
        (7, [("phone", "UNKNOWN")]),
        (8, [("town", "INVALID")]),
    ]
    assert refused(path)[0]["given"] == rows[1]
    assert refused(path)[2]["given"] == "{not json"
    assert await rows_of(database, "SELECT username FROM customers ORDER BY 1") == [
        ("new1",), ("new7",), ("user1",),
    ]  # fmt: skip


async def test_items_come_from_csv(database: Database, tmp_path: Path) -> None:
    await fill(database, customers=0, items=2)
    path = tmp_path / "items.csv"
    path.write_text(
        "\ufeffname,costPrice,sellingPrice,stock\r\n"
        'Item 1,1.00,2.50,7\r\n"Big, ""red""\nchair",1,2,\r\nx,1,-2,\r\ny,1\r\n',
        "utf-8",
    )

    done = await imported(database, path, "items", Format.CSV)

    assert (done.rows, done.refused) == (4, 2)
    assert [line["problems"][0]["code"] for line in refused(path)] == ["OUT_OF_RANGE", "INVALID"]
    found = await rows_of(
        database, "SELECT name, selling_price::text, stock FROM items ORDER BY id"
    )
    assert found == [
        ("Item 1", "2.50", 7), ("Item 2", "2.50", None), ('Big, "red"\nchair', "2.00", None),
    ]  # fmt: skip


async def test_orders_come_with_their_lines_and_only_once(
    database: Database, tmp_path: Path
) -> None:
    await fill(database, customers=1, orders=0, items=2)
    order = {"username": "user1", "datePlaced": "2026-02-01T12:00:00.5Z", "status": "CANCELLED",
             "lines": [{"item": "Item 2", "quantity": 2, "unitPrice": "0.99"},
                       {"item": "Item 1", "quantity": 1}]}  # fmt: skip
    rows = [
        order,
        order | {"username": "nobody"},
        order | {"lines": [{"item": "None", "quantity": 0}]},
        order | {"lines": [{"item": "None", "quantity": 1}]},
        order | {"datePlaced": "2026-02-01"},
        order,
    ]
    path = ndjson(tmp_path / "orders.ndjson", rows)

    await imported(database, path, "orders")
    await imported(database, path, "orders")

    assert [line["row"] for line in refused(path)] == [2, 3, 4, 5]
    assert await rows_of(database, "SELECT status, date_placed::text FROM orders") == [
        ("CANCELLED", "2026-02-01 12:00:00.5+00")
    ]
    lines = "SELECT item_name, quantity, cancelled, unit_price::text FROM order_lines ORDER BY id"
    assert await rows_of(database, lines) == [("Item 2", 2, 2, "0.99"), ("Item 1", 1, 1, "1.50")]


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("entity", ["customers", "items", "orders"])
async def test_an_export_can_be_imported_and_changes_nothing(
    database: Database, tmp_path: Path, entity: str, format_: Format
) -> None:
    await fill(database, customers=5)
    strange = "UPDATE customers SET town = E'a \"b\" \\\\ c,\\n\\u2028 \\td' WHERE id = 1"
    await rows_of(database, strange + " RETURNING id")
    path = tmp_path / "rows"
    before = await rows_of(database, f"SELECT * FROM {entity} ORDER BY id")  # noqa: S608
    if (entity, format_) == ("orders", Format.CSV):
        with pytest.raises(TransferFailed, match="no place"):
            await exported(database, entity, format_, path)
        return

    assert len(await exported(database, entity, format_, path)) == len(before)
    done = await imported(database, path, entity, format_)

    assert (done.rows, done.refused) == (len(before), 0)
    assert await rows_of(database, f"SELECT * FROM {entity} ORDER BY id") == before  # noqa: S608


async def test_an_import_that_was_interrupted_goes_on_and_reads_no_row_twice(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [customer(number, town=" " * (number % 7 == 0) or "X") for number in range(100)]
    path = ndjson(tmp_path / "rows.ndjson", rows)
    commit, commits = Transaction.commit, 0

    async def dies(transaction: Transaction) -> None:
        nonlocal commits
        commits += 1
        if commits == 5:
            raise KeyboardInterrupt
        await commit(transaction)

    monkeypatch.setattr(Transaction, "commit", dies)
    with pytest.raises(KeyboardInterrupt):
        await imported(database, path, "customers", batch_rows=10)
    assert len(await rows_of(database, "SELECT 1 FROM customers")) == 30 - 5
    assert len(refused(path)) == 6  # one of them from the batch that was lost

    monkeypatch.undo()
    began: list[int] = []
    done = await imported(
        database, path, "customers", batch_rows=10, progress=lambda read, _: began.append(read)
    )

    assert began[0] > 0
    assert (done.rows, done.refused) == (100, 15)
    assert [line["row"] for line in refused(path)] == [number + 1 for number in range(0, 100, 7)]
    assert len(await rows_of(database, "SELECT 1 FROM customers")) == 85
    assert await rows_of(database, "SELECT 1 FROM imports") == []
    versions = await rows_of(database, "SELECT DISTINCT version FROM customers")
    assert versions == [(1,)]
    await Books(database_url)._check_history()  # noqa: SLF001


async def test_of_two_imports_of_a_file_at_once_one_gives_way(
    database: Database, tmp_path: Path
) -> None:
    path = ndjson(tmp_path / "rows.ndjson", [customer(number) for number in range(500)])

    outcomes = await asyncio.gather(
        *(imported(database, path, "customers", batch_rows=10) for _ in range(2)),
        return_exceptions=True,
    )

    assert any(isinstance(outcome, TransferFailed) for outcome in outcomes)
    done = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(done) <= 1
    assert len(await rows_of(database, "SELECT 1 FROM customers")) == 500


async def test_memory_does_not_grow_with_the_file(database: Database, tmp_path: Path) -> None:
    async def peak(rows: int) -> int:
        path = ndjson(tmp_path / f"{rows}.ndjson", [customer(number) for number in range(rows)])
        tracemalloc.start()
        await imported(database, path, "customers", batch_rows=200)
        with (tmp_path / "out").open("wb") as file:
            await export_rows(database, "customers", Format.NDJSON, file, lambda _: None)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    await peak(200)

    assert await peak(4_000) < await peak(400) + 200_000


def test_a_file_without_line_breaks_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * 3_000_000)

    with path.open("rb") as file:
        read = list(records(file, Format.NDJSON, offset=0, number=0))

    assert [record.values for record in read] == [None] * 3
