"""The command `graph documents`: the documents of clients, and what becomes of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from graph.errors import InvalidSetting

if TYPE_CHECKING:
    from graph.execution.documents.impact import Comparison
    from graph.execution.documents.manifest import Manifest

documents = typer.Typer(help="Persisted documents.")


@documents.callback()
def _group() -> None:
    """A group of commands, although it has one: `graph documents check`."""


@documents.command("check")
def check(
    manifests: Annotated[
        list[Path],
        typer.Argument(metavar="MANIFEST...", help="Folders of documents, or JSON files."),
    ],
    *,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD", help="Only tell what breaks since this schema; - is the standard input."
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(metavar="NEW", help="Check this schema instead of that of the code."),
    ] = None,
    usage: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --against: the output of `graph usage --json`."),
    ] = None,
) -> None:
    """Validate every document of manifests against the schema; exit 1 if one is invalid.

    With --against, tell of each client and release what the change of the schema since OLD means
    for its documents; exit 1 if it breaks one, and 2 if OLD or NEW is not a schema.
    """
    from graph.execution.documents.manifest import read_manifests

    if usage is not None and against is None:
        raise InvalidSetting("--usage", "it needs --against")
    found = read_manifests(*manifests, source="MANIFEST")
    if against is None:
        _validate(found, schema, ", ".join(str(path) for path in manifests))
    else:
        _compare(found, against, schema, _Usage(usage))


def _validate(manifests: list[Manifest], schema: Path | None, names: str) -> None:
    from graph.execution.documents.document import Documents, problems_of
    from graph.execution.schema_changes import read_schema
    from graph.store.schema import schema as served

    # The schema of the code as Execution has it, with what only the code can say.
    documents = Documents(read_schema(schema) if schema else served._schema)  # noqa: SLF001
    problems = [
        f"{manifest}: {problem}"
        for manifest in manifests
        for problem in problems_of(documents, manifest.texts)
    ]
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    texts = {text for manifest in manifests for text in manifest.texts.values()}
    valid = "1 document is" if len(texts) == 1 else f"all {len(texts):,} documents are"
    typer.echo(f"{names}: {valid} valid.")


def _compare(manifests: list[Manifest], old: Path, new: Path | None, usage: _Usage) -> None:
    from graph.execution.documents.impact import Comparison
    from graph.execution.schema_changes import read_schema, schema_of
    from graph.schema.schema import text_of
    from graph.store.schema import schema as served

    after = read_schema(new) if new else schema_of(text_of(served))
    comparison = Comparison(read_schema(old), after)
    broken = [_broken_of(manifest, comparison, usage) for manifest in manifests]
    if any(broken):
        raise typer.Exit(1)


def _broken_of(manifest: Manifest, comparison: Comparison, usage: _Usage) -> int:
    """The number of documents of a release that break, after a line for each change of each."""
    broken = 0
    for id_, text in manifest.texts.items():
        impact = comparison.impact(id_, text)
        broken += bool(impact.breaking)
        used = usage.of(manifest, impact.operations)
        for verb, problems in (("breaks", impact.breaking), ("is affected", impact.dangerous)):
            for problem in problems:
                typer.echo(f"{manifest}: {impact.name} {verb}: {problem}{used}")
        if impact.was_invalid:
            typer.echo(f"{manifest}: {impact.name} was invalid before")
    typer.echo(f"{manifest}: {broken} of {len(manifest.texts)} documents break.")
    return broken


@dataclass(frozen=True, slots=True)
class _Use:
    client: str
    version: str
    uses: int
    last_used: str


class _Usage:
    """What `graph usage --json` printed; None without a file.

    Raises:
        InvalidSetting: the file is something else.
    """

    def __init__(self, file: Path | None) -> None:
        self._by_operation: dict[str, list[_Use]] | None = None
        if file is None:
            return
        try:
            operations = json.loads(file.read_text("utf-8"))["operations"]
            self._by_operation = {
                entry["name"]: [
                    _Use(row["client"], row["version"], int(row["uses"]), row["lastUsed"][:10])
                    for row in entry["clients"]
                ]
                for entry in operations
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"{file} is not what `graph usage --json` prints: {error}"
            raise InvalidSetting("--usage", problem) from None

    def of(self, manifest: Manifest, operations: tuple[str, ...]) -> str:
        """How often the release used these operations, to stand behind a problem."""
        if self._by_operation is None:
            return ""
        uses = [use for name in operations for use in self._by_operation.get(name, ())]
        own = [
            use
            for use in uses
            if use.client == manifest.client and manifest.release in {"", use.version}
        ]
        # Browsers cannot name themselves on a WebSocket.
        unnamed = [use for use in uses if not use.client]
        if own:
            return f" ({_sum(own)})"
        return f" ({_sum(unnamed)} by clients without a name)" if unnamed else " (not used)"


def _sum(uses: list[_Use]) -> str:
    last = max(use.last_used for use in uses)
    times = sum(use.uses for use in uses)
    return f"used {'once' if times == 1 else f'{times:,} times'}, last {last}"
