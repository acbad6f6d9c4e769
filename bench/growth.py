"""What a larger store costs: the same requests over 1,000, 10,000 and 100,000 customers.

Each answer has as many rows whatever the store's size. So its cost should not grow, but for the
depth of an index and for pages of the store that are not in the processor's caches. The stores run
at the same time and take turns, so that a busy machine is busy for all of them. PostgreSQL's own
count of the blocks that it looks at does not depend on the machine at all.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import orjson
from rich import box
from rich.table import Table

from bench import markdown, report
from bench.generator import load_generator
from bench.rounds import Cell, Measuring, rotated
from bench.running import running
from bench.servers import SERVERS
from bench.statements import counted, prepare_counting
from bench.store import running_store
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.generator import Generator
    from bench.rounds import Plan
    from bench.running import Running
    from bench.store import Store
    from bench.workloads import Workload

_SCALES = (0.1, 1, 10)
_WORKLOADS = ("point", "list", "nested", "page", "counted-page")
_COUNTED_REQUESTS = 100
_MOST = 1.3


@dataclass
class _Size:
    """A store of one size, its server, and what has been measured there by workload."""

    store: Store
    server: Running
    generator: Generator
    measuring: Measuring
    cells: dict[str, Cell] = field(default_factory=dict)

    def prepare(self, workload: Workload) -> float:
        """Warm up, and count blocks; return how many requests a second are answered at best."""
        for body in self.generator.learn(self.server, workload):
            if "errors" in orjson.loads(body):
                raise self.server.failure(f"refuses {workload.name}: {body}")
        rate = self.measuring.warm_up(workload, self.server)
        with counted(self.store) as count:
            self.generator.run(self.server, workload, 1, _COUNTED_REQUESTS)
        statements = count.per_request(_COUNTED_REQUESTS)
        self.cells[workload.name] = Cell(workload.name, 1, self.server.name, statements)
        return rate


def measure_growth(
    server: str, plan: Plan, *, in_markdown: bool, tell: Callable[[str], None]
) -> None:
    """Print CPU milliseconds and blocks of a request by workload and store, and their growth."""
    with ExitStack() as until_the_end:
        sizes = [_started(server, scale, plan, until_the_end, tell) for scale in _SCALES]
        for name in _WORKLOADS:
            _measure(WORKLOADS[name], sizes, plan, tell)
    out = report.console()
    out.print(
        f"CPU of {server} and PostgreSQL: ms of a request, and multiples of the first store's"
    )
    columns = ["", *(f"{size.store.customers:,} customers" for size in sizes), ""]
    rows = [_row(name, [size.cells[name] for size in sizes]) for name in _WORKLOADS]
    table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*row)
    out.print(table)
    if in_markdown:
        report.print_lines(out, markdown.table(columns[:-1], [row[:-1] for row in rows]))


def _started(
    server: str, scale: float, plan: Plan, until_the_end: ExitStack, tell: Callable[[str], None]
) -> _Size:
    tell(f"fills a store of scale {scale}")
    enter = until_the_end.enter_context
    store = enter(running_store(scale))
    prepare_counting(store)
    logs = enter(tempfile.TemporaryDirectory(prefix="graph-bench-"))
    started = enter(running(SERVERS[server], store, Path(logs)))
    generator = enter(load_generator(store.customers))
    return _Size(store, started, generator, Measuring([started], store, generator, plan, tell))


def _measure(
    workload: Workload, sizes: Sequence[_Size], plan: Plan, tell: Callable[[str], None]
) -> None:
    """Let the stores take turns, with as many requests each."""
    tell(f"{workload.name}: warms up")
    (connections,) = plan.connections
    count = plan.count(connections, min(size.prepare(workload) for size in sizes))
    for number in range(plan.rounds):
        tell(f"{workload.name}, round {number + 1}")
        for size in rotated(sizes, number):
            found = size.measuring.round(workload, size.server, connections, count)
            size.cells[workload.name].rounds.append(found)


def _row(name: str, cells: Sequence[Cell]) -> list[str]:
    first, *_ = cells
    growths = [median(cell.ratios_to(first)) for cell in cells]
    texts = [
        f"{report.digits(cell.middle(lambda round_: round_.cpu_per_thousand))}"
        f" ({growth:.2f}), {cell.statements.blocks:,.0f} blocks"
        for cell, growth in zip(cells, growths, strict=True)
    ]
    return [name, *texts, "" if max(growths) <= _MOST else f"more than {_MOST}"]
