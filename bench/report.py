"""What a person reads: a table for each workload and number of connections, and one of all ratios.

All of it fits into a hundred columns. `markdown` has the tables of the documentation.
"""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.workloads import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.rounds import Cell, Plan
    from bench.servers import Server
    from bench.store import Store
    from bench.workloads import Workload

_COLUMNS = 100
_LEGEND = """\
Each number is the median of the rounds, in parentheses the lowest and the highest; ratios are
taken within a round. CPU: user and system time from /proc in seconds, server and PG (PostgreSQL)
together, the load generator apart. SQL: statements of one request, by pg_stat_statements; after a
plus those that only begin, end or reset. RSS: the server's, without PostgreSQL. n: requests in a
round."""
_CELL_COLUMNS = (
    "CPU s\nof 1,000",
    "\nserver",
    "\nPG",
    "\nx limit",
    "\nper s",
    "p50\nms",
    "p99\nms",
    "\nSQL",
    "RSS\nMB",
    "\nn",
)


def console() -> Console:
    """A console on which the tables fit, also where nobody tells how wide it is."""
    found = Console(highlight=False)
    return found if found.width >= _COLUMNS else Console(highlight=False, width=_COLUMNS)


def machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def print_head(out: Console, facts: dict[str, Any], store: Store, plan: Plan) -> None:
    rows = ", ".join(f"{count:,} {table}" for table, count in store.rows.items())
    out.print(
        f"{facts['cores']} cores ({facts['processor']}), {facts['system']},"
        f" load average {facts['load_average']:.1f} before the start"
    )
    out.print(f"Python {facts['python']}, PostgreSQL {store.version}; {_listed(facts['versions'])}")
    out.print(f"{rows.replace('_', ' ')}; rounds: {plan.rounds}, the servers in turn\n")


def print_servers(out: Console, servers: Sequence[Server], left_out: dict[str, str]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for server in servers:
        table.add_row(f"[bold]{server.name}[/bold]", server.what)
    for name, reason in left_out.items():
        table.add_row(f"[bold]{name}[/bold]", f"[yellow]left out: {reason}[/yellow]")
    out.print(table)
    out.print(
        "\nData is compared before anything is timed, value by value and in order: ids and"
        " times by what they\nmean, all else as it is written."
    )


def print_same(out: Console, workload: Workload, servers: int, bodies: Sequence[str]) -> None:
    size = mean(len(body.encode()) for body in bodies)
    out.print(
        f"  [bold]{workload.name}[/bold]: {workload.what}\n"
        f"    {len(bodies):,} requests; {servers} servers gave the same answers, of"
        f" {digits(size / 1000)} kB"
    )
    for server, reason in workload.without.items():
        out.print(f"    without {server}: {reason}", style="dim")


def print_cells(out: Console, cells: Sequence[Cell]) -> None:
    limit = _limit_of(cells)
    out.print(f"[bold]{cells[0].workload}, {connections_in_words(cells[0].connections)}")
    table = _table(_CELL_COLUMNS)
    for cell in cells:
        table.add_row(
            f"[bold]{cell.server}[/bold]",
            digits(cell.middle(lambda round_: round_.cpu_per_thousand)),
            digits(cell.middle(lambda round_: round_.server_cpu_per_thousand)),
            digits(cell.middle(lambda round_: round_.postgres_cpu_per_thousand)),
            _spread(cell.ratios_to(limit)),
            f"{cell.middle(lambda round_: round_.requests_per_second):,.0f}",
            digits(cell.middle(lambda round_: round_.p50_ms)),
            digits(cell.middle(lambda round_: round_.p99_ms)),
            str(cell.statements),
            f"{cell.resident_bytes / 2**20:.0f}",
            f"{cell.rounds[0].requests:,}",
        )
    out.print(table)


def print_ratios(out: Console, cells: Sequence[Cell]) -> None:
    """All ratios in one table: a column for each number of connections."""
    found = {(cell.workload, cell.server, cell.connections): cell for cell in cells}
    workloads, servers, connections = (
        list(dict.fromkeys(names)) for names in zip(*found, strict=True)
    )
    out.print("[bold]CPU as multiples of the limit's")
    table = _table([connections_in_words(count) for count in connections])
    for workload in workloads:
        limits = [found.get((workload, LIMIT, count)) for count in connections]
        table.add_row(f"[bold]{workload}[/bold]", *(_unit(limit) for limit in limits), style="dim")
        for server in servers:
            those = [found.get((workload, server, count)) for count in connections]
            if server != LIMIT and any(those):
                table.add_row(f"  {server}", *map(_ratios, those, limits))
        table.add_section()
    out.print(table)


def _unit(limit: Cell | None) -> str:
    """What the multiples are of."""
    return (
        f"1 is {digits(limit.middle(lambda round_: round_.cpu_per_thousand))} ms" if limit else ""
    )


def _ratios(cell: Cell | None, limit: Cell | None) -> str:
    return _spread(cell.ratios_to(limit)) if cell and limit else ""


def print_lines(out: Console, lines: Iterable[str]) -> None:
    """Print text as it is, however long its lines are."""
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def print_legend(out: Console) -> None:
    out.print(_LEGEND, style="dim")


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _limit_of(cells: Sequence[Cell]) -> Cell:
    return next(cell for cell in cells if cell.server == LIMIT)


def connections_in_words(count: int) -> str:
    return f"{count} connection{'s' if count != 1 else ''}"


def _spread(values: Sequence[float]) -> str:
    middle = digits(median(values))
    return f"{middle} ({digits(min(values))}-{digits(max(values))})" if len(values) > 1 else middle


def digits(value: float) -> str:
    """Three digits, or more before the point; no more than three after it."""
    after_point = min(max(2 - math.floor(math.log10(value)), 0), 3) if value else 0
    return f"{value:,.{after_point}f}"


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _processor() -> str:
    """The name that the processor gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
