"""The clients of docs/clients.md, as they stand there, type-check and ask a live server."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import asyncpg
from graphql import build_schema, introspection_from_schema

from graph.execution import schema_maps
from graph.relay import to_global_id
from graph.store.schema import schema
from tests.conftest import serving
from tests.docs.pages import ROOT, blocks
from tests.node import environment, require_packages, run_client

PAGE = ROOT / "docs" / "clients.md"
FILES = {block.note: block.text for block in blocks(PAGE) if block.is_file}
COMMANDS = "\n".join(block.text for block in blocks(PAGE) if block.language == "sh")
DRIVERS = ROOT / "tests" / "clients"
SCHEMA = (ROOT / "schema.graphql").read_text("utf-8")
SERVED = schema._schema  # noqa: SLF001

COMMON = ("src/operations.ts", "src/outcome.ts", "tsconfig.json", "vite.config.ts")
# By command of a generator: the files of the page around its clients, and the clients.
PROJECTS = {
    "npx graphql-codegen": (
        (*COMMON, "codegen.ts", "src/first.ts", "src/main.ts"),
        ("src/apollo.ts", "src/urql.ts", "src/tanstack.ts"),
    ),
    "npx gql.tada generate output": ((*COMMON, "src/gql.ts"), ("src/tanstack.ts",)),
    "npx relay-compiler": (
        ("tsconfig.json", "vite.config.mts", "relay.config.json"),
        ("src/relay.ts",),
    ),
}
PYTHON = ("store_ariadne.py", "store_gql.py")


def test_each_client_in_typescript_asks_a_live_server(own_demo_url: str, tmp_path: Path) -> None:
    """Generated, checked by the compiler, bundled by vite, and run by Node."""
    folders = [tmp_path / str(number) for number in range(len(PROJECTS))]
    with ThreadPoolExecutor() as threads:
        scripts = list(chain.from_iterable(threads.map(bundled, folders, PROJECTS)))
    assert len(scripts) == sum(len(clients) for _, clients in PROJECTS.values())

    # What relay-compiler has written is a manifest: its operations have no text.
    with serving(
        GRAPH_DATABASE_URL=own_demo_url, GRAPH_DOCUMENTS_MANIFEST=f"{folders[-1]}/persisted.json"
    ) as server:
        for script in scripts:
            check(own_demo_url, server.url, ["node", str(script)])


def test_each_client_in_python_asks_a_live_server(own_demo_url: str, tmp_path: Path) -> None:
    write(tmp_path, "operations.graphql", "pyproject.toml", *PYTHON)
    assert "uvx ariadne-codegen" in COMMANDS
    generate(tmp_path, "ariadne-codegen")
    # The cache of `make check` has the packages that they import.
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    run([sys.executable, "-m", "mypy", "--strict", *cache, *PYTHON], tmp_path)

    with serving(GRAPH_DATABASE_URL=own_demo_url) as server:
        for name in PYTHON:
            driver = [sys.executable, str(DRIVERS / "drive.py"), Path(name).stem]
            check(own_demo_url, server.url, driver, tmp_path)


def test_sgqlc_generates_the_schema_and_operations_as_far_as_the_page_says(tmp_path: Path) -> None:
    introspection = introspection_from_schema(build_schema(SCHEMA))
    (tmp_path / "schema.json").write_text(json.dumps(introspection))
    write(tmp_path, "operations.graphql")

    generate(tmp_path, "sgqlc-codegen schema schema.json store.py")
    generate(tmp_path, "sgqlc-codegen operation store operations.py operations.graphql")

    assert "class Customer(" in (tmp_path / "store.py").read_text()
    operations = (tmp_path / "operations.py").read_text()
    assert all(name in operations for name in ("customer", "items", "adjust_stock", "watch_item"))
    assert "idempotent" not in operations


def test_the_scalars_of_the_page_are_those_of_the_schema() -> None:
    shown = FILES["codegen.ts"].split("scalars: {", 1)[1].split("\n        },", 1)[0]
    python = tomllib.loads(FILES["pyproject.toml"])["tool"]["ariadne-codegen"]["scalars"]

    scalars = re.findall(r'(\w+): \{ input: "(.*)", output: "(.*)" \}', shown)
    assert {name: {"input": sent, "output": received} for name, sent, received in scalars} == (
        json.loads(schema_maps.typescript_scalars(SERVED))
    )
    generated = tomllib.loads(schema_maps.python_scalars(SERVED))["tool"]["ariadne-codegen"]
    assert python == generated["scalars"]


def test_the_schema_composes_as_a_subgraph(tmp_path: Path) -> None:
    subgraph = tmp_path / "subgraph.graphql"
    subgraph.write_text(FILES["subgraph.graphql"] + SCHEMA, "utf-8")

    result = run_client("federation.mjs", str(subgraph))

    assert result["errors"] == []
    for directive, (before, after) in result["uses"].items():
        # The line above the schema names each of them too; the supergraph has it as it likes.
        assert after >= before - 1 > 0, directive


def bundled(folder: Path, command: str) -> list[Path]:
    """The scripts that drive the clients of a generator, checked and bundled in this folder."""
    files, clients = PROJECTS[command]
    assert command in COMMANDS
    (folder / "src").mkdir(parents=True)
    (folder / "node_modules").symlink_to(require_packages())
    write(folder, *files, *clients)
    (folder / "src" / "possible-types.json").write_text(schema_maps.possible_types(SERVED))
    (folder / "src" / "keyless-types.json").write_text(schema_maps.keyless_types(SERVED))
    (folder / "persisted.json").write_text("{}")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "src" / "drive.ts").write_text((DRIVERS / "drive.ts").read_text())
    mains = [folder / client.replace(".ts", ".drive.ts") for client in clients]
    for main, client in zip(mains, clients, strict=True):
        main.write_text(
            'import { drive } from "./drive";\n'
            f'import {{ store }} from "./{Path(client).stem}";\n'
            "void drive(store);\n"
        )
    execute(command, folder)
    execute("npx tsc -p .", folder)
    for main in mains:
        execute(f"npx vite build --ssr {main} --outDir out --emptyOutDir false", folder)
    return [folder / "out" / main.name.replace(".ts", ".js") for main in mains]


def execute(command: str, folder: Path) -> None:
    """Run a command of a package; npx itself would take a second to find it."""
    _, name, *options = command.split()
    run([str(folder / "node_modules" / ".bin" / name), *options], folder)


def generate(folder: Path, command: str) -> None:
    """Run a generator in an environment of its own: it needs an older graphql-core."""
    uv = [sys.executable, "-m", "uv", "run", "--quiet", "--no-project", "--isolated"]
    requirements = ROOT / "requirements" / "generators.txt"
    run([*uv, "--with-requirements", str(requirements), *command.split()], folder)


def check(database_url: str, url: str, driver: list[str], folder: Path | None = None) -> None:
    """Run a client; all that it gives is right, and it has nothing to warn of."""
    tracked, untracked, expected = asyncio.run(facts(database_url))
    done = run([*driver, f"{url}/graphql", tracked, untracked], folder)
    assert done.stderr == ""
    assert json.loads(done.stdout) == expected, driver


async def facts(database_url: str) -> tuple[str, str, dict[str, Any]]:
    """The ids of an item whose stock is tracked and of one where it is not, and what to expect."""
    connection = await asyncpg.connect(database_url.replace("postgresql+asyncpg", "postgresql"))
    try:
        username = await connection.fetchval("SELECT username FROM customers WHERE id = 1")
        names = await connection.fetch("SELECT name FROM items ORDER BY id LIMIT 4")
        version = await connection.fetchval("SELECT version FROM items WHERE id = 1")
        untracked = await connection.fetchval("SELECT min(id) FROM items WHERE stock IS NULL")
    finally:
        await connection.close()
    return (
        to_global_id("Item", 1),
        to_global_id("Item", untracked),
        {
            "username": username,
            "twoPages": [row["name"] for row in names],
            "saved": f"7 pieces in version {version + 1}",
            "again": f"7 pieces in version {version + 1}",
            "mismatch": "IDEMPOTENCY_MISMATCH: This idempotency key was already used for a"
            " different request.",
            "invalid": "input.change.to: It must be from 0 to 2147483647, not -1.",
            "missing": "NOT_FOUND: There is no Item with the id 'SXRlbTo5OTk5OTk='.",
            "stale": f"CONFLICT: The Item is at version {version + 1}, not 0: it has been changed"
            " since it was read.",
            "untracked": "NOT_ALLOWED: The item's stock is not tracked; set it with 'to' first.",
            "short": "INSUFFICIENT_STOCK: One item does not have enough stock.",
            "watched": [7, 8],
        },
    )


def write(folder: Path, *names: str) -> None:
    """Write files of the page, and the schema, into a folder."""
    (folder / "schema.graphql").write_text(SCHEMA, "utf-8")
    for name in names:
        (folder / name).write_text(FILES[name], "utf-8")


def run(command: list[str], folder: Path | None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        # The clients in Python are imported from the folder.
        env=environment() | {"PYTHONPATH": str(folder or "")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done
