"""One whole comparison: start everything, see that all servers agree, measure, print."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import markdown, report
from bench.errors import PeerMissing
from bench.generator import load_generator
from bench.rounds import Measuring
from bench.running import running
from bench.same import check_same, meaning
from bench.servers import SERVERS, versions
from bench.statements import counted, prepare_counting
from bench.store import running_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from bench.generator import Generator
    from bench.rounds import Cell, Plan
    from bench.running import Running
    from bench.statements import Statements
    from bench.store import Store
    from bench.workloads import Workload

_COUNTED_REQUESTS = 20


def compare(
    workloads: Sequence[Workload],
    names: Sequence[str],
    plan: Plan,
    *,
    scale: float,
    syncs: bool,
    out: Console,
    in_markdown: bool,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Print the tables as they come, and return all of it as data for JSON.

    `limit` must be the first of the names. With `in_markdown` the ratios come once more, as the
    documentation has them. `tell` says what is being done, to somebody who waits.

    Raises:
        ServerFailed: a server does not start, or does not answer as it should.
        DataDiffers: two servers do not give the same data.
    """
    facts = report.machine()
    with ExitStack() as until_the_end:
        tell("fills the store")
        store = until_the_end.enter_context(running_store(scale, syncs=syncs))
        prepare_counting(store)
        servers, left_out = _start(names, store, until_the_end, tell)
        generator = until_the_end.enter_context(load_generator(store.customers))
        facts["versions"] = versions([server.name for server in servers])
        report.print_head(out, facts, store, plan)
        report.print_servers(out, [server.server for server in servers], left_out)

        cells: list[Cell] = []
        measuring = Measuring(servers, store, generator, plan, tell)
        try:
            for group in _reading_first(workloads):
                for workload in group:
                    tell(f"{workload.name}: compares the data")
                    those = _taking_part(workload, servers)
                    bodies = _answers_if_same(workload, those, generator)
                    report.print_same(out, workload, len(those), bodies)
                out.print()
                for workload in group:
                    tell(f"{workload.name}: counts statements")
                    those = _taking_part(workload, servers)
                    statements = _statements(workload, those, store, generator)
                    for row in measuring.rows(workload, statements):
                        report.print_cells(out, row)
                        cells += row
        finally:
            # Minutes of measuring are not thrown away when a server fails at last.
            if cells:
                report.print_ratios(out, cells)
                report.print_legend(out)
                if in_markdown:
                    titles = {server.name: server.server.title for server in servers}
                    report.print_lines(out, markdown.ratios(cells, titles))
    return {"machine": facts, "store": store.rows, "cells": [cell.as_json() for cell in cells]}


def _reading_first(workloads: Sequence[Workload]) -> list[list[Workload]]:
    """Those that change rows come last: what others read would not be the same any more."""
    groups: list[list[Workload]] = [[], []]
    for workload in workloads:
        groups[workload.changes_rows].append(workload)
    return [group for group in groups if group]


def _start(
    names: Sequence[str], store: Store, until_the_end: ExitStack, tell: Callable[[str], None]
) -> tuple[list[Running], dict[str, str]]:
    """Start what can be started; say of the others why not."""
    logs = Path(until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="graph-bench-")))
    logs.chmod(0o711)  # where the bench runs as root, PostgreSQL and PgBouncer do not
    servers, left_out = [], {}
    for name in names:
        tell(f"starts {name}")
        try:
            servers.append(until_the_end.enter_context(running(SERVERS[name], store, logs)))
        except PeerMissing as reason:
            left_out[name] = str(reason)
    return servers, left_out


def _taking_part(workload: Workload, servers: Sequence[Running]) -> list[Running]:
    return [server for server in servers if workload.takes_part(server.name)]


def _answers_if_same(
    workload: Workload, servers: Sequence[Running], generator: Generator
) -> list[str]:
    """The bodies of the first server, once all the others have given the same data."""
    limit, *others = servers
    bodies = generator.learn(limit, workload)
    expected = [meaning(body, limit.server) for body in bodies]
    for other in others:
        found = [meaning(body, other.server) for body in generator.learn(other, workload)]
        check_same(workload.name, limit.name, expected, other.name, found)
    return bodies


def _statements(
    workload: Workload, servers: Sequence[Running], store: Store, generator: Generator
) -> dict[str, Statements]:
    found = {}
    for server in servers:
        with counted(store) as count:
            generator.run(server, workload, 1, _COUNTED_REQUESTS)
        found[server.name] = count.per_request(_COUNTED_REQUESTS)
    return found
