"""The command line: `python -m bench`, or `make bench ARGS="--workload nested --rounds 9"`."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bench import report
from bench.comparison import compare
from bench.errors import BenchError
from bench.growth import measure_growth
from bench.live import LIVE, measure_live
from bench.rounds import Plan
from bench.servers import SERVERS
from bench.workloads import LIMIT, WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_CONNECTIONS = 256
_GROWTH_CONNECTIONS = 16

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(  # noqa: PLR0917  typer passes them by name
    workload: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(WORKLOADS)}; may be repeated. Or {LIVE}.")
    ] = None,
    server: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(SERVERS)}; may be repeated.")
    ] = None,
    connections: Annotated[str, typer.Option(help="How many at once, by commas.")] = "1,16,64",
    rounds: Annotated[int, typer.Option(min=1, max=100, help="How often each is measured.")] = 5,
    requests: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Requests a round. [as many as SECONDS hold]"),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.05, max=60, help="How long a round takes, about.")
    ] = 0.5,
    scale: Annotated[
        float, typer.Option(min=0.01, max=100, help="1 is 10,000 customers, 150,000 lines.")
    ] = 1,
    fsync: Annotated[  # noqa: FBT002  a switch
        bool, typer.Option("--fsync", help="Changes wait for the disk, as in production.")
    ] = False,
    growth: Annotated[  # noqa: FBT002  a switch
        bool, typer.Option("--growth", help="Compare stores of 1,000 to 100,000 customers.")
    ] = False,
    in_markdown: Annotated[  # noqa: FBT002  a switch
        bool, typer.Option("--markdown", help="Print the ratios once more, for the documentation.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all rounds into this file, too.")
    ] = None,
) -> None:
    """Compare what the same requests cost several servers, in CPU seconds before all else."""
    if workload == [LIVE]:
        measure_live(rounds=rounds)
        return
    if growth:
        plan = Plan([_GROWTH_CONNECTIONS], rounds, requests, seconds)
        with Console(stderr=True).status("") as status:
            measure_growth(
                (server or ["graph"])[0],
                plan,
                in_markdown=in_markdown,
                tell=lambda what: status.update(f"bench {what}"),
            )
        return
    workloads = [WORKLOADS[name] for name in _known("workload", workload, WORKLOADS)]
    # Ratios are to the limit, so it always takes part.
    names = dict.fromkeys((LIMIT, *_known("server", server, SERVERS)))
    plan = Plan(_numbers(connections), rounds, requests, seconds)
    with Console(stderr=True).status("") as status:
        document = compare(
            workloads,
            list(names),
            plan,
            scale=scale,
            syncs=fsync,
            out=report.console(),
            in_markdown=in_markdown,
            tell=lambda what: status.update(f"bench {what}"),
        )
    if json_file:
        json_file.write_text(json.dumps(document, indent=1) + "\n")


def _known(what: str, asked: list[str] | None, known: Iterable[str]) -> list[str]:
    for name in asked or []:
        if name not in known:
            raise typer.BadParameter(f"no {what} is called '{name}': {', '.join(known)}")
    return asked or list(known)


def _numbers(text: str) -> list[int]:
    numbers = text.split(",")
    if not all(number.isdecimal() and 1 <= int(number) <= _MOST_CONNECTIONS for number in numbers):
        raise typer.BadParameter(f"numbers from 1 to {_MOST_CONNECTIONS}, such as 1,16,64")
    return [int(number) for number in numbers]


def main() -> None:
    """Run the command; SIGTERM ends it like Ctrl-C, with everything stopped on the way out."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except BenchError as error:
        typer.echo(f"bench: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
