"""Applies the recipes of `docs/extending.md` to a copy of the package.

    ```diff graph/store/models.py      lines of a file, with the lines around them
    ```python graph/store/writes/x.py  a whole new file

A diff has no line numbers. A line `@@ text` begins a part, which is found below the first line that
contains the text; its lines must stand there exactly once.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT, Block, Example, blocks, tokens

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Recipe:
    """A section of the page: its changes, its rows and its examples, in order."""

    title: str
    changes: list[Block] = field(default_factory=list)
    steps: list[Block | Example] = field(default_factory=list)

    @property
    def files(self) -> set[str]:
        """The files that it changes or adds, without the migration."""
        return {block.note for block in self.changes if "/versions/" not in block.note}

    @property
    def lines(self) -> int:
        """The lines that it adds to them."""
        return sum(
            len([line for line in block.text.splitlines() if is_added(block, line)])
            for block in self.changes
            if block.note in self.files
        )

    @property
    def has_migration(self) -> bool:
        return any("/versions/" in block.note for block in self.changes)


def is_added(block: Block, line: str) -> bool:
    return line.startswith("+") if block.language == "diff" else bool(line)


def recipes(page: Path) -> list[Recipe]:
    """The sections of the page, without what stands before the first one under its own title."""
    lines = {}
    previous = None
    for token in tokens(page):
        if previous is not None and previous.type == "heading_open" and previous.map:
            lines[previous.map[0]] = token.content
        previous = token
    found = [Recipe(title) for title in lines.values()]
    starts = list(lines)
    for block in blocks(page):
        recipe = found[sum(start < block.line for start in starts) - 1]
        if block.note.startswith("graph/"):
            recipe.changes.append(block)
        elif block.language == "sql":
            recipe.steps.append(block)
        elif block.language == "graphql":
            recipe.steps.append(Example(block))
        elif block.note == "answer":
            example = recipe.steps[-1]
            assert isinstance(example, Example), f"{block}: an answer follows an operation"
            recipe.steps[-1] = replace(example, answer=json.loads(block.text))
    return found


def copy_package(folder: Path) -> None:
    """A copy of the package without what browsers get."""
    ignored = shutil.ignore_patterns("node_modules", "dist", "__pycache__")
    shutil.copytree(ROOT / "graph", folder / "graph", ignore=ignored)


def apply(block: Block, folder: Path) -> None:
    """Change or add the file that a block names."""
    path = folder / block.note
    if block.language == "python":
        assert not path.exists(), f"{block}: {block.note} exists"
        path.write_text(block.text, "utf-8")
        return
    lines = path.read_text("utf-8").splitlines()
    for below, hunk in hunks(block):
        before = [line[1:] for line in hunk if not line.startswith("+")]
        after = [line[1:] for line in hunk if not line.startswith("-")]
        place = position(block, lines, below, before)
        lines[place : place + len(before)] = after
    path.write_text("\n".join(lines) + "\n", "utf-8")


def hunks(block: Block) -> list[tuple[str, list[str]]]:
    """The parts of a diff: the text above each, and its lines."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("@@ "):
            found.append((line[3:], []))
        else:
            assert line[:1] in {"", " ", "+", "-"}, f"{block}: {line}"
            if not found:
                found.append(("", []))
            found[-1][1].append(line)
    return found


def position(block: Block, lines: list[str], below: str, before: list[str]) -> int:
    """The index of the first place below a text where these lines stand."""
    start = next((nth for nth, line in enumerate(lines) if below in line), None)
    assert start is not None, f"{block}: no line has '{below}'"
    found = [
        nth
        for nth in range(start, len(lines))
        if before and lines[nth : nth + len(before)] == before
    ]
    assert found, f"{block}: {block.note} has no such lines: {before}"
    return found[0]
