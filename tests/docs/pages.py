"""The documentation as it is written: its blocks of code, its tables, its links and headings.

    ```graphql          an operation that a test runs; `as clerk` or `as customer 2` behind it signs
                        in, and `as nobody` is a client without a token, in production
    ```ts src/file.ts   a file, in any language: part of a client, which a test runs
    ```json variables   the variables of the operation above
    ```json answer      the whole answer to the operation, or to the `curl` command, above
    ```json parts       the same where the answer comes in parts: a list of them
    ```sql              the one statement that the operation above becomes
    ```console          commands, each after a `$`, and what they print

A string `"..."` in an answer stands for any string, measurement or object.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "examples" / "shop" / "README.md",
]
# Its recipes add to the store, so its examples do not run on the store as it is.
RECIPES = ROOT / "docs" / "extending.md"
# The pages whose examples do.
TRIED = [page for page in PAGES if page != RECIPES]

_ANY = "..."


@dataclass(frozen=True)
class Block:
    """A fenced block of code; `note` is what stands behind its language."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def is_file(self) -> bool:
        return "." in self.note


@dataclass(frozen=True)
class Example:
    """A block that asks the API something, and what the page shows of the answer."""

    block: Block
    variables: dict[str, Any] = field(default_factory=dict)
    answer: Any = None
    parts: Any = None
    sql: str = ""

    def __str__(self) -> str:
        return str(self.block)

    @property
    def commands(self) -> list[Command]:
        """The commands of a console."""
        return _commands(self.block)

    @property
    def role(self) -> str:
        """Who sends it: a role, and the id of the customer who it is; "" for the default."""
        return self.block.note.removeprefix("as ") if self.block.note.startswith("as ") else ""

    @property
    def is_mutation(self) -> bool:
        return self.block.text.startswith("mutation")

    @property
    def is_refused(self) -> bool:
        """Whether the page shows errors instead of data."""
        return "data" not in (self.answer or {"data": None})


@dataclass(frozen=True)
class Command:
    """A command of a console, as words, and the lines that it prints."""

    block: Block
    text: str
    prints: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block} {self.text}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that stand before the command."""
        return dict(word.split("=", 1) for word in self._words[: self._begin])

    @property
    def words(self) -> list[str]:
        return self._words[self._begin :]

    def runs(self, name: str) -> bool:
        """Whether it is this program, or this command of it."""
        return name in self.words[:2]

    @property
    def _words(self) -> list[str]:
        return shlex.split(self.text, comments=True)

    @property
    def _begin(self) -> int:
        assigned = [bool(re.match(r"[A-Z_]+=", word)) for word in self._words]
        return assigned.index(False)


def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))


def inline(page: Path) -> Iterator[Token]:
    """What stands in the lines of a page: text, code, links."""
    for token in tokens(page):
        yield from token.children or ()


def spans(page: Path) -> list[str]:
    """Code within lines."""
    return [token.content for token in inline(page) if token.type == "code_inline"]


def blocks(page: Path) -> list[Block]:
    found = []
    for token in tokens(page):
        if token.type == "fence":
            language, _, note = token.info.partition(" ")
            line = (token.map or [0])[0] + 1
            found.append(Block(page, line, language, note, token.content))
    return found


def examples(page: Path) -> list[Example]:
    """The operations and `curl` commands of a page, in order."""
    found: list[Example] = []
    for block in blocks(page):
        if block.is_file:
            continue
        if block.language == "graphql" or _asks_by_http(block):
            found.append(Example(block))
        elif block.language == "json" and block.note in {"variables", "answer", "parts"}:
            found[-1] = replace(found[-1], **{block.note: json.loads(block.text)})
        elif block.language == "sql" and block.note == "statement":
            found[-1] = replace(found[-1], sql=block.text)
    return found


def operations() -> list[Example]:
    """The operations of all pages that are not sent by `curl`."""
    return [
        example
        for page in TRIED
        for example in examples(page)
        if example.block.language != "console"
    ]


def commands(page: Path) -> list[Command]:
    """The commands of all consoles of a page, in order."""
    consoles = [block for block in blocks(page) if block.language == "console"]
    return [command for block in consoles for command in _commands(block)]


def rows(page: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head; each cell as it is written."""
    under, in_body = False, False
    found: list[list[str]] = []
    previous = ""
    for token in tokens(page):
        if token.type == "inline" and previous == "heading_open":
            if found:
                break
            under = token.content == heading
        elif under and token.type == "tbody_open":
            in_body = True
        elif in_body and token.type == "tbody_close":
            break
        elif in_body and token.type == "tr_open":
            found.append([])
        elif in_body and token.type == "inline":
            found[-1].append(token.content)
        previous = token.type
    assert found, f"{page.name} has no table under '{heading}'"
    return found


def headings(page: Path) -> list[str]:
    """The anchors of a page's headings, as browsers of repositories make them."""
    all_tokens = tokens(page)
    titles = [
        "".join(child.content for child in token.children or ())
        for before, token in pairwise(all_tokens)
        if before.type == "heading_open"
    ]
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def links(page: Path) -> list[str]:
    found = [token.attrs for token in inline(page)]
    return [str(attrs.get("href") or attrs["src"]) for attrs in found if attrs]


def as_shown(actual: Any, shown: Any) -> Any:
    """The actual value, but for what the page leaves open."""
    if shown == _ANY and isinstance(actual, str | float | dict):
        return _ANY
    if isinstance(actual, dict) and isinstance(shown, dict):
        return {name: as_shown(value, shown.get(name)) for name, value in actual.items()}
    if isinstance(actual, list) and isinstance(shown, list) and len(actual) == len(shown):
        return [as_shown(*pair) for pair in zip(actual, shown, strict=True)]
    return actual


def _asks_by_http(block: Block) -> bool:
    return block.language == "console" and block.text.startswith("$ curl")


def _commands(block: Block) -> list[Command]:
    texts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not texts[0], f"{block}: a console begins with a command"
    return [_command(block, text) for text in texts[1:]]


def _command(block: Block, text: str) -> Command:
    """A command is as many lines as its quotes need; the rest is what it prints."""
    lines = text.splitlines()
    for end in range(1, len(lines) + 1):
        command = "\n".join(lines[:end])
        try:
            shlex.split(command, comments=True)
        except ValueError:
            continue
        if not command.endswith("\\"):
            return Command(block, command, tuple(lines[end:]))
    raise AssertionError(f"{block}: a quote is not closed")
