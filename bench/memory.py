"""What documents leave in the memory of a worker, if each of them is a new one.

python -m bench.memory worker      the resident memory of a worker, while documents come in
python -m bench.memory garbage     the objects that only the garbage collector frees, a document
"""

from __future__ import annotations

import gc
import tempfile
from collections import Counter
from pathlib import Path
from statistics import mean, median
from types import FunctionType
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
import uvloop
from pydantic import SecretStr

from bench import report
from bench.documents import document
from bench.generator import load_generator
from bench.in_process import Application
from bench.running import running
from bench.servers import SERVERS
from bench.store import running_store
from graph.app import create_app
from graph.settings import LogLevel, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.store import Store

_SCALE = 0.1
# Few: on a busy machine more would wait than the server admits.
_CONNECTIONS = 4
_BATCH = 1000
_STEP = 5000
_MIB = 2**20
_BAR_MIB = 130
_WARM_UP = 200

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def worker(
    documents: Annotated[int, typer.Option(min=_BATCH, help="How many documents.")] = 50_000,
) -> None:
    """Send documents that are all different to one worker, and print its resident memory."""
    out = report.console()
    out.print("resident memory of one worker after so many different documents")
    with (
        running_store(_SCALE) as store,
        tempfile.TemporaryDirectory(prefix="graph-bench-") as logs,
        running(SERVERS["graph"], store, Path(logs)) as server,
        load_generator(store.customers) as generator,
    ):
        most = server.resident_bytes()
        out.print(f"{0:8,}  {most / _MIB:6.1f} MiB")
        for start in range(0, documents, _BATCH):
            bodies = [_body(number).decode() for number in range(start, start + _BATCH)]
            _check(generator.send(server, bodies, _CONNECTIONS))
            resident, sent = server.resident_bytes(), start + _BATCH
            most = max(most, resident)
            if sent % _STEP == 0:
                out.print(f"{sent:8,}  {resident / _MIB:6.1f} MiB")
    out.print(f"    most  {most / _MIB:6.1f} MiB; the bar is {_BAR_MIB}")


@app.command()
def garbage(
    documents: Annotated[int, typer.Option(min=10, help="How many documents.")] = 200,
    types: Annotated[int, typer.Option(min=0, help="Show so many types of objects.")] = 0,
) -> None:
    """Count the objects that a document leaves for the garbage collector."""
    with running_store(_SCALE) as store:
        found = uvloop.run(_garbage(store, documents))
    out = report.console()
    for what, each in found.items():
        counts = [kinds.total() for kinds in each]
        out.print(
            f"{what}: {mean(counts):,.0f} objects (mean), {median(counts):,.0f} (median), "
            f"{max(counts):,} at most"
        )
        kinds = sum(each, Counter())
        for kind, count in kinds.most_common(types):
            out.print(f"{count / documents:12.1f} {kind}")


async def _garbage(store: Store, documents: int) -> dict[str, list[Counter[str]]]:
    """The objects that each document left, by their types: where it was new, and known."""
    settings = Settings(database_url=SecretStr(store.url), log_level=LogLevel.WARNING)
    made = create_app(settings)
    async with made.router.lifespan_context(made) as state:
        application = Application(made, {**(state or {})})
        await application.ask([_body(documents + number) for number in range(_WARM_UP)])
        gc.collect()
        gc.freeze()
        gc.disable()
        return {
            what: [await _left_by(application, _body(number)) for number in range(documents)]
            for what in ("a new document", "the same once more", "the same a third time")
        }


async def _left_by(application: Application, body: bytes) -> Counter[str]:
    _check([answer.decode() for answer in await application.ask([body])])
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    left = Counter(map(_kind, gc.garbage))
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()  # else they would be found again
    return left


def _body(number: int) -> bytes:
    return orjson.dumps({"query": document(number)})


def _check(answers: Sequence[str]) -> None:
    for answer in answers:
        if "errors" in orjson.loads(answer):
            raise AssertionError(answer)


def _kind(found: Any) -> str:
    """The type of an object; of a function its name, too."""
    kind = type(found)
    name = f" {found.__qualname__}" if kind is FunctionType else ""
    return f"{kind.__module__}.{kind.__qualname__}{name}"


if __name__ == "__main__":
    app()
