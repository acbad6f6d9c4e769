"""The servers that are compared: how each is started, what it calls a cursor and an id.

All run as one process, have ten connections to the one PostgreSQL, and listen on the loopback.
"""

from __future__ import annotations

import json
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.beside import nothing, pgbouncer, two_replicas
from bench.environments import python_with, version_in
from bench.node import ensure_packages, usable_node
from bench.peers.strawchemy import answers as strawchemy
from bench.workloads import EXTENDED, LIMIT, LIMIT_FEATURES, REPLICAS

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from bench.beside import Beside
    from bench.store import Store

_PEERS = Path(__file__).parent / "peers"

# Asks a running server: (query) -> data.
Ask = Callable[[str], Any]


@dataclass(frozen=True)
class Server:
    name: str
    # What the tables of the documentation call it.
    title: str
    what: str
    # The port -> the command; it may install what the server needs, or raise PeerMissing.
    command: Callable[[int], list[str]] = field(repr=False)
    environment: Callable[[Store], Mapping[str, str]] = field(repr=False)
    # Asks the server what its cursors look like -> (id of a customer) -> the cursor after it.
    cursors: Callable[[Ask], Callable[[int], str | int]] = field(repr=False)
    # The value of a field `id` -> what it names, such as "Customer:17".
    read_id: Callable[[str], str] = field(repr=False)
    # An answer -> the same in the shape of all others.
    shape: Callable[[Any], Any] = field(default=lambda answer: answer, repr=False)
    # What stands beside it: started before it, and stopped after it.
    beside: Callable[[Store, Path], AbstractContextManager[Beside]] = field(
        default=nothing, repr=False
    )


def _uvicorn(
    app: str, *more: str, python: Callable[[], str] = lambda: sys.executable
) -> Callable[[int], list[str]]:
    options = (
        *("--loop", "uvloop", "--http", "httptools", "--workers", "1"),
        *("--no-access-log", "--no-server-header", "--no-date-header", "--no-proxy-headers"),
        *("--log-level", "warning"),
        *more,
    )
    return lambda port: [python(), "-m", "uvicorn", app, "--port", str(port), *options]


def _node(name: str) -> Callable[[int], list[str]]:
    def command(_port: int) -> list[str]:
        ensure_packages(_PEERS / name)
        return [usable_node().program, str(_PEERS / name / "server.mjs")]

    return command


def _graph(port: int) -> list[str]:
    return [sys.executable, "-m", "graph", "serve", "--port", str(port)]


def _graph_environment(execution: str) -> Callable[[Store], Mapping[str, str]]:
    return lambda store: {
        "GRAPH_DATABASE_URL": store.url,
        "GRAPH_LOG_LEVEL": "warning",
        "GRAPH_EXECUTION": execution,
        # On a busy machine all is slow, and nothing is to be refused for that.
        "GRAPH_EXPENSIVE_AFTER_MS": "10000",
        "GRAPH_MAX_WAIT_MS": "60000",
    }


def _python_environment(store: Store) -> Mapping[str, str]:
    return {"DATABASE_URL": store.url}


def _node_environment(store: Store) -> Mapping[str, str]:
    return {**store.libpq, "NODE_ENV": "production", "GRAPHILE_ENV": "production"}


def _same_cursors(_ask: Ask) -> Callable[[int], str | int]:
    """Cursors of `graph`, which the hand-written servers take too."""
    return lambda customer_id: _base64(f'["Customer:id",{customer_id}]')


def _cursors_of_postgraphile(ask: Ask) -> Callable[[int], str | int]:
    """Cursors of PostGraphile: base64 of `["29bfedd0a4",17]`, a digest of the order and the key."""
    edges = ask("{ allCustomers(first: 1) { edges { cursor } } }")["allCustomers"]["edges"]
    digest = json.loads(b64decode(edges[0]["cursor"]))[0]
    return lambda customer_id: _base64(f'["{digest}",{customer_id}]')


def _keys_as_cursors(_ask: Ask) -> Callable[[int], str | int]:
    """Keys, where a page is filtered by them."""
    return lambda customer_id: customer_id


def _global_id(text: str) -> str:
    return b64decode(text).decode()


def _node_id_of_postgraphile(text: str) -> str:
    entity, key = json.loads(b64decode(text))
    return f"{entity}:{key}"


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


_ALL = (
    Server(
        LIMIT,
        "hand-written SQL, bare ASGI",
        "one hand-written JSON statement; bare ASGI, asyncpg, uvicorn with uvloop and httptools",
        _uvicorn("bench.peers.limit:app"),
        _python_environment,
        _same_cursors,
        _global_id,
    ),
    Server(
        LIMIT_FEATURES,
        "hand-written SQL with the store's version, history and stock",
        "the same where rows change, with the store's versions, history and stock",
        _uvicorn("bench.peers.limit:app"),
        lambda store: {**_python_environment(store), "WITH_FEATURES": "1"},
        _same_cursors,
        _global_id,
    ),
    Server(
        "graph",
        "**graph**",
        "this project, as `graph serve` starts it",
        _graph,
        _graph_environment("compiled"),
        _same_cursors,
        _global_id,
    ),
    Server(
        "graph-resolvers",
        "graph with `GRAPH_EXECUTION=resolvers`",
        "the same with GRAPH_EXECUTION=resolvers: Strawberry's executor and DataLoaders",
        _graph,
        _graph_environment("resolvers"),
        _same_cursors,
        _global_id,
    ),
    Server(
        EXTENDED,
        "graph with a Python resolver",
        "graph with a Python resolver on Customer",
        _uvicorn("bench.peers.extended_graph:served_app", "--factory"),
        _graph_environment("compiled"),
        _same_cursors,
        _global_id,
    ),
    Server(
        REPLICAS,
        "graph with two replicas",
        "this project with two streaming replicas, which answer what it reads",
        _graph,
        _graph_environment("compiled"),
        _same_cursors,
        _global_id,
        beside=two_replicas,
    ),
    Server(
        "graph-pgbouncer",
        "graph through PgBouncer",
        "this project through PgBouncer in transaction mode, which counts as PostgreSQL",
        _graph,
        _graph_environment("compiled"),
        _same_cursors,
        _global_id,
        beside=pgbouncer,
    ),
    Server(
        "strawberry",
        "Strawberry, SQLAlchemy, DataLoaders as documented",
        "plain Strawberry: its ASGI view, DataLoaders, SQLAlchemy ORM entities; uvicorn as above",
        _uvicorn("bench.peers.plain_strawberry:app"),
        _python_environment,
        _same_cursors,
        _global_id,
    ),
    Server(
        "strawchemy",
        "strawchemy",
        "strawchemy: Strawberry and one statement from SQLAlchemy's ORM; uvicorn as above",
        _uvicorn("bench.peers.strawchemy.server:app", python=lambda: python_with("strawchemy")),
        _python_environment,
        _keys_as_cursors,
        str,
        strawchemy.in_common_shape,
    ),
    Server(
        "yoga",
        "GraphQL Yoga with graphql-jit",
        "GraphQL Yoga with graphql-jit on node:http; pg, prepared statements, DataLoaders",
        _node("yoga"),
        _node_environment,
        _same_cursors,
        _global_id,
    ),
    Server(
        "mercurius",
        "Mercurius with its JIT",
        "Mercurius with its JIT on Fastify; pg, prepared statements, DataLoaders",
        _node("mercurius"),
        _node_environment,
        _same_cursors,
        _global_id,
    ),
    Server(
        "postgraphile",
        "PostGraphile 5",
        "PostGraphile with its amber preset and filters on node:http; pg, prepared statements",
        _node("postgraphile"),
        _node_environment,
        _cursors_of_postgraphile,
        _node_id_of_postgraphile,
    ),
)
SERVERS = {server.name: server for server in _ALL}


def inherited_environment() -> dict[str, str]:
    """The variables of this process, without those that would change a server's settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GRAPH_", "PG", "NODE_"))
    }


def versions(names: list[str]) -> dict[str, str]:
    """What the numbers depend on, by name, for those of the servers that take part."""
    packages = ("strawberry-graphql", "sqlalchemy", "asyncpg", "uvicorn", "uvloop", "httptools")
    found = {package: version(package) for package in packages}
    if "strawchemy" in names:
        found["strawchemy"] = version_in("strawchemy", "strawchemy")
    if "yoga" in names:
        found |= _npm_versions("yoga", "graphql-yoga", "graphql-jit", "graphql", "pg")
    if "postgraphile" in names:
        found |= _npm_versions(
            "postgraphile", "postgraphile", "postgraphile-plugin-connection-filter", "grafast", "pg"
        )
    if "mercurius" in names:
        found |= _npm_versions("mercurius", "mercurius", "fastify")
    if {"yoga", "mercurius", "postgraphile"} & set(names):
        found["Node"] = usable_node().version.removeprefix("v")
    return found


def _npm_versions(peer: str, *packages: str) -> dict[str, str]:
    folder = _PEERS / peer / "node_modules"
    return {
        package: json.loads((folder / package / "package.json").read_text())["version"]
        for package in packages
    }
