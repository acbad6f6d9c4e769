"""What fields declare is held against the models, and noted for the engine.

Whatever cannot be said is refused here, when a schema is built: nothing fails when it is asked for.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import StrawberryOptional

from graph.database import inspection
from graph.database.catalog import DeclaredColumn, catalog
from graph.database.inspection import Unservable
from graph.database.kinds import ScalarKind, kind_of_type
from graph.errors import InvalidSchema
from graph.schema.annotations import annotation_of
from graph.schema.entities import entity_named_by, entity_of
from graph.schema.fields import Meaning, meaning_of
from graph.schema.resolvers import needed_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from strawberry.types.field import StrawberryField

    from graph.schema.node import Node

_NAME = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
_LOOKED_UP = {ScalarKind.INTEGER, ScalarKind.BIGINT, ScalarKind.UUID, ScalarKind.TEXT}


@contextmanager
def _refused(type_: str, field: str = "") -> Iterator[None]:
    try:
        yield
    except Unservable as reason:
        raise InvalidSchema(type_, field, str(reason)) from reason


def declare_entities(types: Iterable[type[Node]]) -> None:
    """Check all fields of these entities, and note what they declare of their columns.

    Raises:
        InvalidSchema: an entity, or a field of one, cannot be served.
    """
    names = {type_.__name__ for type_ in types}
    with _refused("the models"):
        inspection.configure_models()
    for name in names:
        with _refused(name):
            if not _NAME.fullmatch(name):
                raise Unservable("its name is no name for a global id: letters and digits are")
            inspection.check_model(name)
    for type_ in types:
        _declare_fields(type_, names)


def _declare_fields(type_: Any, entities: set[str]) -> None:
    entity, has_columns = type_.__name__, False
    for field in type_.__strawberry_definition__.fields:
        with _refused(entity, field.python_name):
            check_plain(field)
            match meaning_of(field):
                case Meaning.COLUMN:
                    declared = _column(entity, field, entities)
                    catalog.columns[entity, field.python_name] = declared
                    has_columns |= declared.kind not in {ScalarKind.JSON, ScalarKind.TEXTS}
                case Meaning.TO_ONE:
                    _check_to_one(entity, field, entities)
                case Meaning.CONNECTION:
                    _check_connection(entity, field, entities)
    for field in type_.__strawberry_definition__.fields:
        with _refused(entity, field.python_name):
            _check_needs(entity, field)
    with _refused(entity):
        if not has_columns:
            raise Unservable("it declares no column that its rows can be sorted by")


def check_plain(field: StrawberryField) -> None:
    """Return when nothing stands between a declared field and its value.

    Raises:
        Unservable: it has permission classes or extensions, which one statement cannot run.
    """
    if meaning_of(field) is not None and (field.permission_classes or field.extensions):
        raise Unservable("it has permission classes or extensions, which a declared field cannot")


def _column(entity: str, field: StrawberryField, entities: set[str]) -> DeclaredColumn:
    annotation, named = annotation_of(field), field.metadata["more"].references
    if named is not None and not annotation.is_id:
        raise Unservable("`references` needs the annotation `strawberry.ID`")
    references, kind = None, annotation.kind
    if annotation.is_id:
        references = inspection.referenced_entity(entity, field.python_name, named)
        if references not in entities:
            raise Unservable(f"{references} is not an entity of this schema")
        kind = kind_of_type(inspection.column_named(entity, field.python_name).type)
    if kind is None:
        raise Unservable(f"its annotation, {annotation.type}, is of no kind that can be served")
    if kind is ScalarKind.ENUM:
        inspection.check_enum(entity, field.python_name, annotation.type)
    inspection.check_column(entity, field.python_name, kind, is_nullable=annotation.is_nullable)
    return DeclaredColumn(kind, annotation.is_nullable, references)


def _check_to_one(entity: str, field: StrawberryField, entities: set[str]) -> None:
    target = entity_named_by(field)
    found = inspection.check_relationship(entity, field.python_name, target, is_list=False)
    _check_target(target, entities)
    if found.is_optional and not isinstance(field.type, StrawberryOptional):
        raise Unservable(f"it may lead to no row: annotate it `{target} | None`")


def _check_needs(entity: str, field: StrawberryField) -> None:
    """Check the columns that a Python resolver reads."""
    for name in needed_columns(field) or ():
        column = inspection.column_named(entity, name)
        if (entity, name) not in catalog.columns and kind_of_type(column.type) is None:
            raise Unservable(f"it needs '{name}', whose type is unknown")


def _check_connection(entity: str, field: StrawberryField, entities: set[str]) -> None:
    target = field.metadata["entity"]
    if target is None:
        raise Unservable("name the entity that it lists by `entity`")
    inspection.check_relationship(entity, field.python_name, target, is_list=True)
    _check_target(target, entities)


def _check_target(target: str | None, entities: set[str]) -> None:
    if target not in entities:
        raise Unservable(f"{target} is not an entity of this schema")


def check_roots(query: Any, entities: set[str]) -> None:
    """Check the fields of Query; the types of the entities are made by now.

    Raises:
        InvalidSchema: a field cannot be served.
    """
    for field in query.__strawberry_definition__.fields:
        with _refused(query.__name__, field.python_name):
            check_plain(field)
            match meaning_of(field):
                case Meaning.CONNECTION if field.metadata["entity"] is not None:
                    _check_target(field.metadata["entity"], entities)
                case Meaning.LOOKUP:
                    _check_lookup(field, entities)


def _check_lookup(field: StrawberryField, entities: set[str]) -> None:
    """Each member of the input must name one row of the entity."""
    target = entity_named_by(field)
    _check_target(target, entities)
    columns, convert = entity_of(target).columns, NameConverter()
    (argument,) = field.arguments
    input_: Any = argument.type
    for member in input_.__strawberry_definition__.fields:
        name = convert.get_graphql_name(member)
        if name == "id":
            continue
        if name not in columns:
            raise Unservable(f"'{name}' is not a column of {target}")
        if catalog.columns[target, columns[name].name].kind not in _LOOKED_UP:
            raise Unservable(f"'{name}' is of a kind that names no row")
        inspection.check_unique(target, columns[name].name)


def check_search(query: str, field: str, union: str, entities: set[str]) -> None:
    """Check a field that searches; raises as `check_roots`."""
    with _refused(query, field):
        inspection.check_union(union, entities)
