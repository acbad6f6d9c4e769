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
from graph.database.transfer.files import Format
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
    """What is wrong with the rows that were refused, by row."""
    return lines_of(path.with_name(f"{path.stem}.refused.problems.ndjson"))


def refused_rows(path: Path) -> bytes:
    """The rows that were refused, as they stood."""
    return path.with_suffix(".refused").read_bytes()


def counts(done: Progress) -> tuple[int, int, int, int, int]:
    return done.added, done.changed, done.unchanged, done.superseded, done.refused


async def rows_of(database: Database, select: str) -> list[Any]:
    async with database.write() as session:
        return list((await session.execute(text(select))).all())


async def test_customers_are_merged_by_their_username(database: Database, tmp_path: Path) -> None:
    first = ndjson(tmp_path / "a.ndjson", [customer(1), customer(2)])
    second = ndjson(tmp_path / "b.ndjson", [customer(2, town="X"), customer(3), customer(1)])

    await imported(database, first, "customers")
    done = await imported(database, second, "customers")

    assert done.rows == 3
    assert counts(done) == (1, 1, 1, 0, 0)
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
    lines = path.read_bytes().splitlines(keepends=True)
    assert refused_rows(path) == b"".join(lines[1:8])
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

    assert [line["row"] for line in refused(path)] == [2, 3, 4, 5, 6]
    assert refused(path)[-1]["problems"][0]["code"] == "REPEATED"
    assert await rows_of(database, "SELECT status, date_placed::text FROM orders") == [
        ("CANCELLED", "2026-02-01 12:00:00.5+00")
    ]
    lines = """
        SELECT item_name, quantity, cancelled_quantity, unit_price::text
        FROM order_lines ORDER BY id"""
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
        with pytest.raises(TransferFailed, match="cannot represent"):
            await exported(database, entity, format_, path)
        return

    assert len(await exported(database, entity, format_, path)) == len(before)
    done = await imported(database, path, entity, format_)

    assert counts(done) == (0, 0, len(before), 0, 0)
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


async def test_numbers_of_files_follow_the_rules_of_the_api(
    database: Database, tmp_path: Path
) -> None:
    item = {"name": "x", "costPrice": "1.00", "sellingPrice": "2"}
    good: list[Any] = [item | {"name": "a", "stock": 5}, item | {"name": "b", "stock": "5.0"}]
    good += ['{"name": "c", "costPrice": 1.10, "sellingPrice": 2, "stock": 5.0}']
    bad: list[Any] = [
        item | {"stock": each} for each in ("1_000", "\u0663", "1e3", " 5", "5.5", True)
    ]
    bad += [
        item | {"costPrice": each}
        for each in ("1_0", "\u0663.\u0665", "1e1", " 1", "NaN", "0x1", True)
    ]
    bad += ['{"name": "x", "costPrice": 1e0, "sellingPrice": 2}', item | {"stock": "9" * 5_000}]
    path = ndjson(tmp_path / "items.ndjson", [*good, *bad])

    done = await imported(database, path, "items")

    assert counts(done) == (3, 0, 0, 0, len(bad))
    assert {problem["code"] for line in refused(path) for problem in line["problems"]} == {
        "INVALID"
    }
    found = await rows_of(database, "SELECT name, cost_price::text, stock FROM items ORDER BY id")
    assert found == [("a", "1.00", 5), ("b", "1.00", 5), ("c", "1.10", 5)]


@pytest.mark.parametrize("format_", Format)
async def test_refused_rows_can_be_corrected_and_imported_as_they_are(
    database: Database, tmp_path: Path, format_: Format
) -> None:
    path = tmp_path / f"items.{format_}"
    if format_ is Format.CSV:
        path.write_bytes(
            b'\xef\xbb\xbfname,costPrice,sellingPrice\r\ngood,1,2\r\n"several\r\nlines",1,X\r\n'
            b"\xff,1,X\r\ngood too,1,2"
        )
    else:
        path.write_bytes(
            b'\xef\xbb\xbf{"name": "several\\r\\nlines", "costPrice": 1, "sellingPrice": X}\n'
            b'{"name": "\xff", "costPrice": 1, "sellingPrice": X}\n'
            b'{"name": "good", "costPrice": 1, "sellingPrice": 2}\n'
            b'{"name": "good too", "costPrice": 1, "sellingPrice": 2}'
        )

    done = await imported(database, path, "items", format_, batch_rows=1)
    assert counts(done) == (2, 0, 0, 0, 2)
    corrected = tmp_path / f"corrected.{format_}"
    corrected.write_bytes(refused_rows(path).replace(b"X", b"3").replace(b"\xff", "ÿ".encode()))
    done = await imported(database, corrected, "items", format_)

    assert counts(done) == (2, 0, 0, 0, 0)
    found = await rows_of(database, "SELECT name FROM items ORDER BY id")
    assert [name for (name,) in found] == ["good", "good too", "several\r\nlines", "ÿ"]
    assert not corrected.with_suffix(".refused").exists()


async def test_refused_rows_never_go_into_the_file_that_is_imported(
    database: Database, tmp_path: Path
) -> None:
    path = ndjson(tmp_path / "rows.ndjson", [customer(1), "{"])
    before = path.read_bytes()
    link, hard_link = tmp_path / "link", tmp_path / "hard"
    link.symlink_to(path)
    hard_link.hardlink_to(path)
    problems = tmp_path / "x.problems.ndjson"
    problems.hardlink_to(path)

    for side in (path, link, hard_link, tmp_path / "x"):
        with pytest.raises(TransferFailed, match="is the file that is imported"):
            await import_file(
                database, path, "customers", ENTITIES["customers"], Format.NDJSON,
                bad_rows=side, progress=lambda *_: None,
            )  # fmt: skip

    assert path.read_bytes() == before
    assert await rows_of(database, "SELECT 1 FROM customers") == []


async def test_orders_of_one_moment_are_told_apart_by_their_ordinal(
    database: Database, tmp_path: Path
) -> None:
    await fill(database, customers=1, orders=0, items=1)
    order: dict[str, Any] = {"username": "user1", "datePlaced": "2026-02-01T12:00:00Z"}

    def nth(ordinal: int | None, quantity: int) -> dict[str, Any]:
        return order | {"ordinal": ordinal, "lines": [{"item": "Item 1", "quantity": quantity}]}

    first = ndjson(tmp_path / "first", [nth(1, 1), nth(3, 3), nth(2, 2), nth(2, 9)])
    second = ndjson(tmp_path / "second", [nth(None, 7), nth(3, 3), nth(1, 1), nth(2, 5)])

    assert counts(await imported(database, first, "orders")) == (2, 0, 0, 0, 2)
    codes = [line["problems"][0]["code"] for line in refused(first)]
    assert codes == ["NOT_FOUND", "REPEATED"]
    assert counts(await imported(database, second, "orders")) == (1, 1, 1, 0, 1)
    assert refused(second)[0]["problems"][0]["code"] == "AMBIGUOUS"

    lines = "SELECT quantity FROM order_lines ORDER BY order_id"
    assert await rows_of(database, lines) == [(1,), (5,), (3,)]


async def test_items_of_one_name_are_told_apart_by_their_ordinal(
    database: Database, tmp_path: Path
) -> None:
    await fill(database, customers=1, orders=0, items=0)
    item: dict[str, Any] = {"name": "x", "costPrice": "1"}
    rows = [item | {"ordinal": nth, "sellingPrice": str(nth)} for nth in (1, 2, 4)]
    path = ndjson(tmp_path / "items", [*rows, item | {"sellingPrice": "9"}])
    order: dict[str, Any] = {"username": "user1", "datePlaced": "2026-02-01T12:00:00Z"}
    lines: list[dict[str, Any]] = [{"item": "x", "quantity": 1}]
    lines += [lines[0] | {"itemOrdinal": nth} for nth in (3, 2)]
    orders = ndjson(tmp_path / "orders", [order | {"lines": [line]} for line in lines])

    # Without an ordinal it is the first one, as long as there is no other.
    assert counts(await imported(database, path, "items")) == (2, 0, 0, 1, 1)
    assert counts(await imported(database, orders, "orders")) == (1, 0, 0, 0, 2)

    found = await rows_of(database, "SELECT selling_price::text FROM items ORDER BY id")
    assert found == [("9.00",), ("2.00",)]
    assert await rows_of(database, "SELECT item_id FROM order_lines") == [(2,)]


async def test_an_order_that_is_cancelled_by_a_file_puts_back_what_it_took(
    database: Database, tmp_path: Path
) -> None:
    await fill(database, customers=1, orders=1, lines=2, items=2)
    await rows_of(database, "UPDATE items SET stock = 10 RETURNING 1")
    await rows_of(database, "UPDATE order_lines SET quantity = 5, taken = 4 RETURNING 1")
    order = {"username": "user1", "datePlaced": "2026-01-31T12:00:00Z", "status": "CANCELLED"}
    line = {"item": "Item 2", "quantity": 5}
    path = ndjson(tmp_path / "orders", [order | {"lines": [line]}])

    assert counts(await imported(database, path, "orders")) == (0, 1, 0, 0, 0)

    assert await rows_of(database, "SELECT stock FROM items ORDER BY id") == [(14,), (14,)]
    lines = await rows_of(database, "SELECT item_id, cancelled_quantity, taken FROM order_lines")
    assert lines == [(2, 5, 0)]
    assert await rows_of(database, "SELECT status, version FROM orders") == [("CANCELLED", 3)]


async def test_an_order_of_a_file_that_has_nothing_left_is_cancelled(
    database: Database, tmp_path: Path
) -> None:
    await fill(database, customers=1, orders=0, items=1)
    line = {"item": "Item 1", "quantity": 2, "cancelledQuantity": 2}
    order = {"username": "user1", "datePlaced": "2026-02-01T12:00:00Z", "status": "PAID"}
    path = ndjson(tmp_path / "orders", [order | {"lines": [line]}])

    assert counts(await imported(database, path, "orders")) == (1, 0, 0, 0, 0)
    assert counts(await imported(database, path, "orders")) == (0, 0, 1, 0, 0)

    assert await rows_of(database, "SELECT status FROM orders") == [("CANCELLED",)]
