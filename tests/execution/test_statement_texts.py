"""An operation has the same SQL in every process, so `pg_stat_statements` knows it as one."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from graphql import get_nullable_type, is_object_type

from graph.execution.documents.coordinates import all_coordinates, coordinates_of
from graph.relay import to_global_id
from graph.schema.node import ENTITIES
from tests.docs.pages import ROOT
from tests.execution.generator import Known, survey
from tests.execution.generator.choices import Choices
from tests.execution.generator.known import listed_by
from tests.execution.generator.operations import _Writer
from tests.execution.generator.stores import write_store
from tests.execution.oracle import SCHEMA, is_valid, parsed, parts_of
from tests.rows import cursor_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLField

    from graph.database.engine import Database

DRAWN = 20
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}|\b1[34][0-9]{13}\b")


def operations() -> list[tuple[str, dict[str, object]]]:
    """All relationships of all entities, and operations as the oracle draws them."""
    known = Known()
    for entity in ENTITIES:
        known.ids[entity] = [to_global_id(entity, key) for key in range(1, 5)]
        known.cursors[entity] = [cursor_of(entity, key) for key in range(1, 5)]
    writers = (_Writer(SCHEMA, known, Choices(random.Random(seed))) for seed in range(DRAWN))  # noqa: S311
    drawn = [writer.operation() for writer in writers]
    valid = [(each.text, each.variables[0]) for each in drawn if is_whole(each.text)]
    return [(survey(SCHEMA), {}), (looked_up(), {}), *((text, {}) for text in to_one()), *valid]


def looked_up() -> str:
    """An operation with each root field that is no list."""
    ids = {entity: to_global_id(entity, 1) for entity in ("Customer", "Item", "Order")}
    rows = (f'{entity.lower()}(by: {{id: "{id_}"}}) {{ id }}' for entity, id_ in ids.items())
    nodes = f'node(id: "{ids["Item"]}") {{ id }} nodes(ids: ["{ids["Order"]}"]) {{ id }}'
    search = 'search(text: "a", first: 3) { nodes { ... on Node { id } } }'
    return f"{{ viewer {{ role }} {' '.join(rows)} {nodes} {search} }}"


def to_one() -> Iterator[str]:
    """For each list at the root: its rows, and those that they lead to."""
    assert SCHEMA.query_type
    for root, field in SCHEMA.query_type.fields.items():
        entity: Any = SCHEMA.type_map.get(listed_by(field) or "")
        edges = [name for name, each in getattr(entity, "fields", {}).items() if is_to_one(each)]
        if edges:
            selected = " ".join(f"{name} {{ id }}" for name in edges)
            yield f"{{ {root}(first: 3) {{ nodes {{ {selected} }} }} }}"


def is_to_one(field: GraphQLField) -> bool:
    type_ = get_nullable_type(field.type)
    return is_object_type(type_) and type_.name in ENTITIES


def is_whole(text: str) -> bool:
    try:
        return is_valid(text) and bool(parts_of(parsed(text), None))
    except Exception:  # noqa: BLE001  some are mangled, and some have several operations
        return False


async def test_the_statements_of_two_processes_are_the_same(
    database: Database, database_url: str
) -> None:
    await write_store(database, 1)
    wanted = operations()
    found = [await asyncio.to_thread(statements, database_url, wanted, seed) for seed in ("1", "2")]

    assert sum(map(len, found[0])) > DRAWN
    for nth, (first, second) in enumerate(zip(*found, strict=True)):
        assert first == second, wanted[nth % len(wanted)][0]
    assert not [text for texts in found[0] for text in texts if _ADDRESS.search(text)]


def test_each_root_field_and_relationship_is_among_them() -> None:
    met = set[str]()
    for text, _ in operations():
        operation, fragments = parts_of(parsed(text), None)
        met.update(coordinates_of(SCHEMA, operation, fragments))
    fields = [name for name in all_coordinates(SCHEMA) if "(" not in name]
    roots = {name for name in fields if name.startswith("Query.")}
    edges = {
        f"{entity}.{name}"
        for entity in ENTITIES
        if entity in SCHEMA.type_map  # tests of other stores have theirs
        for name, field in getattr(SCHEMA.type_map[entity], "fields", {}).items()
        if listed_by(field) or is_to_one(field)
    }

    assert len(edges) > len(ENTITIES)
    assert met >= roots | edges


def statements(url: str, wanted: list[tuple[str, dict[str, object]]], seed: str) -> list[list[str]]:
    """The SQL of each operation, both ways, in a process with this seed of hashes.

    Statements that wait for nothing of each other have no order.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.execution.statement_texts", url],
        input="".join(f"{json.dumps(each)}\n" for each in wanted),
        env=os.environ | {"PYTHONHASHSEED": seed},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [sorted(json.loads(line)) for line in done.stdout.splitlines()]
