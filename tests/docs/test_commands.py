"""Every command in the documentation exists, and those that are quick and harmless run as shown."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from bench import access, limits, memory, overload, price
from bench.__main__ import app as bench
from graph.cli import app
from graph.settings import Settings
from tests.docs.pages import ROOT, TRIED, blocks, commands, spans

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docs.pages import Command

SHOWN = [command for page in TRIED for command in commands(page)]
# By page, those that end by themselves, and change nothing but a store.
RUN = {
    page: found
    for page in TRIED
    if (found := [each for each in commands(page) if each.runs("graph") and not each.runs("serve")])
}
# Within lines: a name at the beginning, and more than that.
_BEGINS = re.compile(r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:graph|make|pytest|python|docker) .")
SPANS = [(page, span) for page in TRIED for span in spans(page) if _BEGINS.match(span)]
# The files that a command is given, if no command before it has written them.
GIVEN = {
    "queries/customers.graphql": "{ customers(first: 10) { nodes { username } } }",
    **{
        block.note: block.text
        for block in blocks(ROOT / "docs" / "mcp.md")
        if block.note.endswith(".graphql")
    },
    "schema.graphql": (ROOT / "schema.graphql").read_text(),
}
_BENCHES: dict[str, typer.Typer] = {
    "bench.limits": limits.app,
    "bench.access": access.app,
    "bench.overload": overload.app,
    "bench.memory": memory.app,
    "bench.price": price.app,
}
SETTINGS = {f"GRAPH_{name.upper()}" for name in Settings.model_fields}
# Variables that are no settings, and the file that reads them.
OTHERS = {
    "FUZZ_EXAMPLES": "tests/server/test_fuzz.py",
    "GRAPH_MIGRATION_EVENTS": "tests/store/test_event_partitions.py",
    "GRAPH_MIGRATION_LINES": "tests/store/test_key_migration.py",
    "GRAPH_PROVE_ROUNDS": "tests/prove/conftest.py",
    "SHOP_PICTURES": "tests/shop/test_looks.py",
    "GRAPH_TEST_EXAMPLES": "tests/execution/test_oracle.py",
    "GRAPH_UPGRADE_LINES": "tests/test_upgrade.py",
}


def test_there_are_commands() -> None:
    assert len(SHOWN) > 15
    assert len(SPANS) > 15


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_one_after_another(
    page: Path, own_demo_url: str, tmp_path: Path
) -> None:
    """Those of `graph`, in a folder of their own, each with what the page says that it prints."""
    for name, text in GIVEN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for command in RUN[page]:
        printed = run(command, own_demo_url, tmp_path)
        assert re.fullmatch(pattern(command.prints), printed), (str(command), printed)


@pytest.mark.parametrize("command", SHOWN, ids=str)
def test_a_command_of_a_console_exists(command: Command) -> None:
    check(command.words, command.environment)


@pytest.mark.parametrize(("page", "span"), SPANS, ids=lambda value: getattr(value, "name", value))
def test_a_command_within_a_line_exists(page: Path, span: str) -> None:
    words = shlex.split(span.replace("[", " ").replace("]", " "))
    environment = {}
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        environment[name] = value
    assert page
    check(words, environment)


def run(command: Command, database_url: str, folder: Path) -> str:
    """What a command of `graph` prints: it succeeds, and has no reason to complain."""
    done = subprocess.run(
        [sys.executable, "-m", *command.words],
        cwd=folder,
        env=os.environ | {"GRAPH_DATABASE_URL": database_url} | command.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), (str(command), done)
    return done.stdout


def pattern(prints: tuple[str, ...]) -> str:
    """A regular expression for what is shown; nothing shown is anything, `...` is any text."""
    shown = re.escape("\n".join(prints)).replace(re.escape("..."), ".*")
    return rf"(?s:{shown}\n)" if prints else r"(?s:.*)"


def check(words: list[str], environment: dict[str, str]) -> None:
    """Fail unless the command is one that a reader can run."""
    for name in environment:
        assert name in SETTINGS or name in (ROOT / OTHERS[name]).read_text(), name
    match words:
        case ["graph" | "python", *_] if not _BENCHES.keys() & words[:3]:
            start = 3 if words[0] == "python" else 1
            assert words[0] == "graph" or words[:3] == ["python", "-m", "graph"]
            check_options(app, words[start:])
        case ["python", "-m", bench, *rest]:
            check_options(_BENCHES[bench], rest)
        case ["make", *targets]:
            check_make(targets)
        case [".venv/bin/pytest" | "pytest", *rest]:
            check_pytest(rest)
        case ["docker", "compose", *rest]:
            check_compose(rest)
        case ["docker", "build", *_]:
            assert (ROOT / "Dockerfile").exists()
        case ["curl", *_]:
            pass  # test_queries sends it
        case _:
            pytest.fail(f"nothing checks '{' '.join(words)}'")


def check_options(application: typer.Typer, words: list[str]) -> None:
    """Every command and option of these words is one of the application's."""
    command: Any = typer.main.get_command(application)
    rest = list(words)
    while isinstance(command, TyperGroup) and rest:
        name = rest.pop(0)
        assert name in command.commands, name
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def check_make(words: list[str]) -> None:
    """The target exists, and what it is given is known to what it runs."""
    targets = [word for word in words if "=" not in word]
    make = shutil.which("make")
    assert make
    done = subprocess.run(
        [make, "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for word in words:
        if word.startswith("ARGS="):
            assert targets == ["bench"]
            check_options(bench, shlex.split(word.removeprefix("ARGS=")))


def check_pytest(words: list[str]) -> None:
    files = [word for word in words if "/" in word]
    texts = [(ROOT / name).read_text() for name in files if name.endswith(".py")]

    assert all((ROOT / name).exists() for name in files)
    if "-k" in words:
        chosen = words[words.index("-k") + 1]
        assert re.search(rf"def test_\w*{chosen}", "".join(texts)), chosen


def check_compose(words: list[str]) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    match words:
        case ["up", *_]:
            pass
        case ["run", "--rm", service, *command]:
            assert service in services
            check(command, {})
        case _:
            pytest.fail(f"nothing checks 'docker compose {' '.join(words)}'")
