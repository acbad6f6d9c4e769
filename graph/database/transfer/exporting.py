"""Rows become a file: one COPY, which is one snapshot, written as it arrives."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from graph.database.transfer.files import Format
from graph.errors import TransferFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from graph.database.engine import Database

_OPTIONS: dict[Format, dict[str, Any]] = {
    # JSON text has no control characters, so nothing of it is ever quoted.
    Format.NDJSON: {"format": "csv", "quote": "\x01", "delimiter": "\x02"},
    Format.CSV: {"format": "csv", "header": True},
}


async def export_select(
    database: Database,
    select: str,
    format_: Format,
    file: IO[bytes],
    progress: Callable[[int], None],
) -> int:
    """Write all rows of a SELECT; return how many. `progress` is told the bytes written."""
    if format_ is Format.NDJSON:
        select = f"SELECT row_to_json(exported) FROM ({select}) AS exported"  # noqa: S608
    written = 0

    async def write(data: bytes) -> None:
        nonlocal written
        written += file.write(data)
        progress(written)

    async with database.autocommit.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        async with driver.transaction(readonly=True):
            await driver.execute("SET LOCAL statement_timeout = 0")
            status: str = await driver.copy_from_query(select, output=write, **_OPTIONS[format_])
    return int(status.removeprefix("COPY "))


@contextmanager
def written_beside(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block ends, but not if it raises.

    What is no regular file, such as a pipe, is written as it is.

    Raises:
        TransferFailed: it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        # A link stays one: what it leads to is replaced.
        path = path.resolve()
        with _beside(path) as (file, beside):
            yield file
            file.flush()
            os.fsync(file.fileno())
            beside.replace(path)
    except OSError as error:
        raise TransferFailed(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _beside(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file in the folder of `path`, with its permissions; removed if it is still there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("xb") as file:
        try:
            if path.exists():
                beside.chmod(path.stat().st_mode)
            yield file, beside
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()
