"""What the rules of access cost: `python -m bench.access`.

A customer asks for all rows, of which only their own exist for them. A manager asks for the same
rows with a filter. Both answers are the same text. Blocks of requests alternate between the two;
each pair of blocks gives a ratio of CPU seconds, of Python and PostgreSQL together.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from statistics import median, quantiles
from time import process_time
from typing import TYPE_CHECKING, Annotated

import typer
import uvloop
from pydantic import SecretStr
from rich.table import Table

from bench import report
from bench.store import running_store
from graph.database.engine import Database
from graph.execution.running.execute import Execution
from graph.execution.running.request import Request
from graph.relay import to_global_id
from graph.settings import Settings
from graph.store.access import ROLES
from graph.store.schema import schema
from graph.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.store import Store

_COLUMNS = "id databaseId firstName lastName username email town createdOn"
_LINES = "nodes { quantity unitPrice item { name sellingPrice } }"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class _Workload:
    """A query whose `FILTER` is left out by a customer, and replaced for a manager."""

    name: str
    query: str
    filter: str

    def text(self, *, filtered: bool) -> str:
        condition = f"where: {self.filter}" if filtered else ""
        variables = "query ($id: ID!) " if filtered or "$id" in self.query else ""
        return variables + self.query.replace("FILTER", condition)


_WORKLOADS = (
    _Workload("point", f"{{ customer(by: {{id: $id}}) {{ {_COLUMNS} }} }}", ""),
    _Workload(
        "list",
        "{ orders(first: 100 FILTER) { nodes { id datePlaced status } } }",
        "{customerId: {eq: $id}}",
    ),
    _Workload(
        "nested",
        "{ customers(first: 20 FILTER) { nodes { id firstName orders(first: 5) { nodes { id total"
        f" lineItems(first: 10) {{ {_LINES} }} }} }} }} }} }}",
        "{id: {eq: $id}}",
    ),
    _Workload(
        "lines",
        f"{{ orderLines(first: 100 FILTER) {{ {_LINES} }} }}",
        "{order: {customerId: {eq: $id}}}",
    ),
)


async def _measure(store: Store, *, pairs: int, requests: int) -> dict[str, list[float]]:
    database = Database.connect(Settings(database_url=SecretStr(store.url)))
    execution = Execution(schema, database)
    customers = [1 + number * 37 % store.customers for number in range(requests)]

    async def ask(text: str, viewers: Sequence[Viewer]) -> list[bytes]:
        ids = [to_global_id("Customer", customer) for customer in customers]
        answers = [
            await execution.answer(Request(text, {"id": id_} if "$id" in text else {}), viewer)
            for id_, viewer in zip(ids, viewers, strict=True)
        ]
        return [answer.body for answer in answers]

    own = [Viewer("c", "customer", ROLES["customer"], own=customer) for customer in customers]
    manager = [Viewer("m", "manager", ROLES["manager"])] * requests
    measured: dict[str, list[float]] = {}
    gc.disable()
    for workload in _WORKLOADS:
        filtered = workload.text(filtered=bool(workload.filter))
        sides = ((workload.text(filtered=False), own), (filtered, manager))
        bodies = await ask(*sides[0])
        if bodies != await ask(*sides[1]) or not bodies[0].startswith(b'{"data"'):
            raise AssertionError(workload.name, bodies[0])
        measured[workload.name] = []
        for number in range(pairs):
            spent = {}
            for side in (0, 1) if number % 2 else (1, 0):
                began = process_time() + store.cpu_seconds()
                await ask(*sides[side])
                spent[side] = process_time() + store.cpu_seconds() - began
            measured[workload.name].append(spent[0] / spent[1])
    await database.close()
    return measured


@app.command()
def access(
    pairs: Annotated[int, typer.Option(min=2, help="Blocks of each side.")] = 40,
    requests: Annotated[int, typer.Option(min=10, help="Requests of a block.")] = 200,
    scale: Annotated[float, typer.Option(min=0.01, help="1 is 10,000 customers.")] = 1,
) -> None:
    """Measure a customer's requests beside the same rows by a filter, as ratios of CPU seconds."""
    table = Table("", "customer / filter", box=None, pad_edge=False)
    with running_store(scale) as store:
        for name, ratios in uvloop.run(_measure(store, pairs=pairs, requests=requests)).items():
            low, _, high = quantiles(ratios, n=4)
            table.add_row(name, f"{median(ratios):.3f} ({low:.3f}-{high:.3f})")
    report.console().print(table)


if __name__ == "__main__":
    app()
