"""Declarations that the engine cannot serve are refused when the schema is built."""

import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum as PythonEnum
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import strawberry
from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Integer,
    Interval,
    Numeric,
    String,
    Table,
    TypeDecorator,
    Uuid,
    and_,
    func,
)
from sqlalchemy.orm import DeclarativeBase, column_property, mapped_column, relationship
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig

from graph.database.catalog import catalog
from graph.errors import InvalidSchema
from graph.schema.enums import enum
from graph.schema.fields import argument, column, connection, lookup, to_one
from graph.schema.node import ENTITIES, Node, register
from graph.schema.resolvers import resolver
from graph.schema.scalars import SCALARS, BigInt
from graph.schema.schema import Schema
from graph.schema.type_factories import input_type, object_type

_numbers = count(1)


class Shade(PythonEnum):
    DARK = "d"
    LIGHT = "l"


enum(Shade, "A shade.", DARK="Dark.", LIGHT="Light.")


class Upper(TypeDecorator[str]):
    impl = String
    cache_ok = True


class Nobody(BasePermission):
    def has_permission(self, *_: Any, **__: Any) -> bool:
        return False


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """What a test adds to the stores is gone after it."""
    bases, entities = [*catalog.bases], dict(ENTITIES)
    yield
    catalog.bases[:] = bases
    ENTITIES.clear()
    ENTITIES.update(entities)


class Bench:
    """Two models, Ax and Bx, in a store of their own; x is a number, so that no two are alike."""

    def __init__(self) -> None:
        self.base: Any = type("Base", (DeclarativeBase,), {})
        catalog.bases.append(self.base)
        nth = next(_numbers)
        self.models: list[Any] = []
        self.a, self.b = f"A{nth}", f"B{nth}"

    def model(self, name: str, **attributes: Any) -> Any:
        attributes.setdefault("id", mapped_column(Integer, primary_key=True))
        made = type(name, (self.base,), {"__tablename__": name.lower(), **attributes})
        self.models.append(made)  # SQLAlchemy itself holds it by a weak reference
        return made

    def type_(self, name: str, **fields: tuple[Any, Any]) -> Any:
        fields = {"id": (int, column("The key.", name="databaseId")), **fields}
        return object_type(name, "A type.", fields, (Node,))

    def build(self, *types: Any, **roots: tuple[Any, Any]) -> Schema:
        listed = connection("All.", entity=types[0].__name__)
        query = object_type("Query", "Ways in.", {"listed": (Any, listed), **roots})
        query.__strawberry_definition__.fields[0].type_annotation = None
        config = StrawberryConfig(scalar_map=SCALARS)
        return Schema(query=query, entities=register(*types), config=config)


def refusal(field: str, reason: str) -> Any:
    return pytest.raises(InvalidSchema, match=rf"^{field} cannot be served: .*{re.escape(reason)}")


COLUMNS: list[tuple[Any, Any, str]] = [
    (mapped_column(Interval), int, "is unknown"),
    (mapped_column(Upper), str, "is unknown"),
    (mapped_column(DateTime), str, "is unknown"),
    (mapped_column(ARRAY(Integer)), list[int], "is of no kind that can be served"),
    (mapped_column(Integer, nullable=False), complex, "is of no kind that can be served"),
    (mapped_column(String, nullable=False), int, "of another kind than its column"),
    (mapped_column(Numeric, nullable=False), int, "of another kind than its column"),
    (mapped_column(Integer, nullable=False), Decimal, "of another kind than its column"),
    (mapped_column(Uuid, nullable=False), str, "of another kind than its column"),
    (mapped_column(String, nullable=False), Shade, "another enum than its column"),
    (
        mapped_column(Enum(Shade, values_callable=lambda all_: [each.value for each in all_])),
        Shade | None,
        "other texts than the names",
    ),
    (mapped_column(Integer, nullable=True), int, "can be null: annotate it `... | None`"),
    (mapped_column(Double, nullable=False), float, "NaN or infinite"),
    (mapped_column(Integer), strawberry.ID, "no foreign key leads from it"),
    (column_property(func.coalesce("a")), int, "another kind than its expression"),
    (column_property(func.coalesce(1.5)), BigInt, "another kind than its expression"),
    (None, int, "its model has no such column"),
]


@pytest.mark.parametrize(("stored", "annotation", "reason"), COLUMNS)
def test_a_column_that_cannot_be_shown_is_refused(
    stored: Any, annotation: Any, reason: str
) -> None:
    bench = Bench()
    bench.model(bench.a, **({} if stored is None else {"value": stored}))
    a = bench.type_(bench.a, value=(annotation, column("A value.")))

    with refusal(f"{bench.a}.value", reason):
        bench.build(a)


def test_a_reference_must_be_to_keys_of_the_same_type() -> None:
    bench = Bench()
    bench.model(bench.a, value=mapped_column(Integer, nullable=False))
    bench.model(bench.b, id=mapped_column(Uuid, primary_key=True))
    b = object_type(bench.b, "B.", {"id": (UUID, column("K.", name="databaseId"))}, (Node,))

    id_ = column("An id.", references=bench.b)
    with refusal(f"{bench.a}.value", f"of another type than the keys of {bench.b}"):
        bench.build(bench.type_(bench.a, value=(strawberry.ID, id_)), b)


def test_a_reference_needs_an_entity_and_the_annotation_of_an_id() -> None:
    bench = Bench()
    bench.model(bench.a, value=mapped_column(Integer, nullable=False))

    with refusal(f"{bench.a}.value", "needs the annotation `strawberry.ID`"):
        bench.build(bench.type_(bench.a, value=(int, column("A.", references=bench.a))))
    with refusal(f"{bench.a}.value", "no store has a model of this name"):
        bench.build(bench.type_(bench.a, value=(strawberry.ID, column("A.", references="Nowhere"))))


NEEDS: list[tuple[Any, str, str]] = [
    (mapped_column(Integer), "nothing", "its model has no such column"),
    (mapped_column(Interval), "value", "it needs 'value', whose type is unknown"),
]


@pytest.mark.parametrize(("stored", "needed", "reason"), NEEDS)
def test_a_resolver_cannot_need_what_no_record_has(stored: Any, needed: str, reason: str) -> None:
    bench = Bench()
    bench.model(bench.a, value=stored)

    def value(root: Any) -> int:
        return len(root)

    field = resolver("A value.", needs=[needed])(value)
    a = bench.type_(bench.a, value=(int, field))

    with refusal(f"{bench.a}.value", reason):
        bench.build(a)


def test_only_rows_have_what_a_resolver_needs() -> None:
    bench = Bench()
    bench.model(bench.a)

    def answer(root: Any) -> int:
        return len(root)

    with refusal("Query.answer", "it needs columns, but its object is no row"):
        field = resolver("An answer.", needs=["id"])(answer)
        bench.build(bench.type_(bench.a), answer=(int, field))


KEYS: list[tuple[dict[str, Any], str]] = [
    (
        {
            "id": mapped_column(Integer, primary_key=True),
            "n": mapped_column(Integer, primary_key=True),
        },
        "its key has 2 columns; one is needed",
    ),
    ({"id": mapped_column(String, primary_key=True)}, "an integer or a UUID is needed"),
    (
        {"id": mapped_column(Integer), "code": mapped_column(Integer, primary_key=True)},
        "its key is 'code'; it must be the attribute 'id'",
    ),
]


@pytest.mark.parametrize(("columns", "reason"), KEYS)
def test_a_key_that_no_global_id_can_hold_is_refused(columns: dict[str, Any], reason: str) -> None:
    bench = Bench()
    bench.model(bench.a, **columns)

    with refusal(bench.a, reason):
        bench.build(bench.type_(bench.a))


def test_an_entity_needs_a_model_of_its_own() -> None:
    bench = Bench()
    with refusal(bench.a, "no store has a model of this name"):
        bench.build(bench.type_(bench.a))

    parent = bench.model(bench.a)
    bench.models.append(type(bench.b, (parent,), {}))
    with refusal(bench.b, "inherits from another model"):
        bench.build(bench.type_(bench.a), bench.type_(bench.b))


def test_a_declared_field_with_permissions_is_refused() -> None:
    bench = Bench()
    bench.model(bench.a, value=mapped_column(Integer, nullable=False))
    guarded = column("A value.", permission_classes=[Nobody])

    with refusal(f"{bench.a}.value", "permission classes or extensions"):
        bench.build(bench.type_(bench.a, value=(int, guarded)))


def related(bench: Bench, *, nullable: bool = False, **options: Any) -> Any:
    """A with a foreign key to B, and the relationship `other` over it."""
    bench.model(bench.b)
    key = mapped_column(ForeignKey(f"{bench.b.lower()}.id"), nullable=nullable)
    return bench.model(bench.a, b_id=key, other=relationship(bench.b, **options))


def test_a_relationship_that_may_lead_nowhere_is_annotated_so() -> None:
    bench = Bench()
    related(bench, nullable=True)
    b = bench.type_(bench.b)

    with refusal(f"{bench.a}.other", f"annotate it `{bench.b} | None`"):
        bench.build(bench.type_(bench.a, other=(b, to_one("B."))), b)


def test_a_relationship_leads_where_the_field_says() -> None:
    bench = Bench()
    related(bench)
    a, b = bench.type_(bench.a), bench.type_(bench.b)

    with refusal(f"{bench.a}.other", f"leads to {bench.b}, not to {bench.a}"):
        bench.build(bench.type_(bench.a, other=(a, to_one("A."))), b)
    with refusal(f"{bench.a}.other", "leads to one: declare a `to_one`"):
        listed = connection("Bs.", entity=bench.b)
        bench.build(bench.type_(bench.a, other=(Any, listed)), b)
    with refusal(f"{bench.a}.other", f"{bench.b} is not an entity of this schema"):
        bench.build(bench.type_(bench.a, other=(b, to_one("B."))))
    with refusal(f"{bench.a}.nothing", "its model has no such relationship"):
        bench.build(bench.type_(bench.a, nothing=(b, to_one("B."))), b)


def test_a_join_of_more_than_two_columns_is_refused() -> None:
    bench = Bench()
    b = bench.model(bench.b)
    key: Any = mapped_column(ForeignKey(f"{bench.b.lower()}.id"), nullable=False)
    a = bench.model(bench.a, b_id=key)
    a.other = relationship(b, primaryjoin=and_(a.b_id == b.id, b.id > 3))
    type_ = bench.type_(bench.b)

    with refusal(f"{bench.a}.other", "joined by more than the equality of two columns"):
        bench.build(bench.type_(bench.a, other=(type_, to_one("B."))), type_)


def test_one_row_is_led_to_by_a_unique_column_only() -> None:
    bench = Bench()
    bench.model(bench.b, a_id=mapped_column(ForeignKey(f"{bench.a.lower()}.id")))
    bench.model(bench.a, other=relationship(bench.b, uselist=False))
    b = bench.type_(bench.b)

    with refusal(f"{bench.a}.other", f"'a_id' of {bench.b} is not unique"):
        bench.build(bench.type_(bench.a, other=(b | None, to_one("B."))), b)


def test_a_relationship_to_a_model_that_does_not_exist_is_refused() -> None:
    bench = Bench()
    bench.model(bench.a, other=relationship("Nowhere"))
    try:
        with refusal("the models", "Nowhere"):
            bench.build(bench.type_(bench.a))
    finally:
        bench.base.registry.dispose()


def test_a_look_up_names_a_unique_column() -> None:
    bench = Bench()
    bench.model(bench.a, value=mapped_column(Integer, nullable=False))
    a = bench.type_(bench.a, value=(int, column("A value.")))

    def by(name: str) -> Any:
        members = {name: (int, "Names one."), "databaseId": (int, "The key.")}
        return input_type(f"{bench.a}{name}Lookup", "Names one.", members, one_of=True)

    with refusal("Query.one", f"'value' of {bench.a} is not unique"):
        bench.build(a, one=(a | None, lookup("One.", by=argument(by("value"), "Which."))))
    with refusal("Query.one", f"'other' is not a column of {bench.a}"):
        bench.build(a, one=(a | None, lookup("One.", by=argument(by("other"), "Which."))))


BROKEN = """
import sys
from graph.store import models
models.Customer.__table__.c.town.nullable = True
from graph.cli import main
sys.argv = ["graph", {command!r}, *{options!r}]
main()
"""


@pytest.mark.parametrize(
    ("command", "options"), [("schema", ["--check"]), ("serve", ["--port", "0"])]
)
def test_commands_print_one_line_and_fail(command: str, options: list[str], tmp_path: Any) -> None:
    code = BROKEN.format(command=command, options=options)
    environment = {"GRAPH_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("graph: Customer.town cannot be served: its column can be null")


def test_there_is_a_table_for_pairs_that_is_one() -> None:
    bench = Bench()
    pairs = Table(
        f"pairs_{bench.a.lower()}",
        bench.base.metadata,
        Column("a", ForeignKey(f"{bench.a.lower()}.id")),
        Column("b", ForeignKey(f"{bench.b.lower()}.id")),
    )
    bench.model(bench.b)
    bench.model(bench.a, others=relationship(bench.b, secondary=pairs.alias()))
    b = bench.type_(bench.b)

    with refusal(f"({bench.a}.others|the models)", ""):
        bench.build(bench.type_(bench.a, others=(Any, connection("Bs.", entity=bench.b))), b)
