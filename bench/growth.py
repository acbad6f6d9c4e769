"""What a larger store costs: the same requests over 1,000, 10,000 and 100,000 customers.

Each answer has as many rows whatever the store's size. So its cost should not grow, but for the
depth of an index and for pages of the store that are not in the processor's caches.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from bench import report
from bench.generator import load_generator
from bench.rounds import Measuring
from bench.running import running
from bench.servers import SERVERS
from bench.statements import Statements
from bench.store import running_store
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.rounds import Plan

_SCALES = (0.1, 1, 10)
_WORKLOADS = ("point", "list", "nested", "page")
_MOST = 1.3


def measure_growth(server: str, plan: Plan, tell: Callable[[str], None]) -> None:
    """Print CPU seconds by workload and store, and their ratios to those of the smallest store."""
    costs: dict[str, list[float]] = {name: [] for name in _WORKLOADS}
    sizes = []
    for scale in _SCALES:
        tell(f"fills a store of scale {scale}")
        customers, found = _costs(server, scale, plan, tell)
        sizes.append(f"{customers:,} customers")
        for name, cost in found.items():
            costs[name].append(cost)
    out = report.console()
    out.print(f"CPU seconds of {server} and PostgreSQL for 1,000 requests, and their growth")
    table = Table("", *sizes, box=box.SIMPLE_HEAD)
    for name, each in costs.items():
        ratios = [cost / each[0] for cost in each]
        mark = "" if max(ratios) <= _MOST else f"  more than {_MOST}"
        cells = (f"{cost:.3f} ({ratio:.2f})" for cost, ratio in zip(each, ratios, strict=True))
        table.add_row(name, *cells, mark)
    out.print(table)


def _costs(
    server: str, scale: float, plan: Plan, tell: Callable[[str], None]
) -> tuple[int, dict[str, float]]:
    """The number of customers, and the CPU seconds for 1,000 requests of each workload."""
    with (
        running_store(scale) as store,
        tempfile.TemporaryDirectory(prefix="graph-bench-") as logs,
        running(SERVERS[server], store, Path(logs)) as started,
        load_generator(store.customers) as generator,
    ):
        measuring = Measuring([started], store, generator, plan, tell)
        found = {}
        for name in _WORKLOADS:
            generator.learn(started, WORKLOADS[name])
            ((cell,),) = measuring.rows(WORKLOADS[name], {server: Statements(0, 0)})
            found[name] = cell.middle(lambda round_: round_.cpu_per_thousand)
        return store.customers, found
