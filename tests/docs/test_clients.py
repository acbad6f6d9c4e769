"""The clients of docs/clients.md, as they stand there, type-check and ask a live server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docs.pages import ROOT, blocks
from tests.node import run_client

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "clients.md"
FILES = {block.note: block.text for block in blocks(PAGE) if block.is_file}


def test_the_schema_composes_as_a_subgraph(tmp_path: Path) -> None:
    schema = (ROOT / "schema.graphql").read_text("utf-8")
    subgraph = tmp_path / "subgraph.graphql"
    subgraph.write_text(FILES["subgraph.graphql"] + schema, "utf-8")

    result = run_client("federation.mjs", str(subgraph))

    assert result["errors"] == []
    for directive, (before, after) in result["uses"].items():
        # The line above the schema names each of them too; the supergraph has it as it likes.
        assert after >= before - 1 > 0, directive
